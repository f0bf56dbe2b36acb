# What install, uninstall and run share: where things are in an EMQ 2.3 release. Sourced, with $home set.
# shellcheck shell=bash
plugin=emq_plugin_kafka
patcher=$(dirname "${BASH_SOURCE[0]}")/patch_boot.escript

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# Sets the paths below, or says why $home is no EMQ.
# shellcheck disable=SC2034 # they are used by those who source this
find_emq() {
    [[ -n $home ]] || die "name the EMQ release's directory: EMQ_HOME=/opt/emqttd"
    [[ -d $home ]] || die "$home is no directory"
    home=$(cd "$home" && pwd -P)
    local needed release
    for needed in bin/emqttd bin/emqttd_ctl etc/emq.conf etc/plugins lib releases/start_erl.data; do
        [[ -e $home/$needed ]] || die "$home is no EMQ 2.3 release: it has no $needed"
    done
    # Two words: the version of erts, the version of the release.
    release=$(awk 'NR == 1 { print $2 }' "$home/releases/start_erl.data")
    release_dir=$home/releases/$release
    boot=$release_dir/emqttd.boot
    boot_backup=$boot.before_$plugin
    schema=$release_dir/schema/$plugin.schema
    conf=$home/etc/plugins/$plugin.conf
    for needed in "$boot" "$release_dir/schema"; do
        [[ -e $needed ]] || die "$home is no EMQ 2.3 release: it has no ${needed#"$home"/}"
    done
    for needed in "$release_dir" "$release_dir/schema" "$home/lib" "$home/etc/plugins"; do
        [[ -w $needed ]] ||
            die "$needed cannot be written: run this as the owner of the release ($(stat -c %U "$needed"))" \
                "or as root, and not on a file system that is mounted read-only"
    done
    find_escript
}

# Sets escript: the release's own Erlang, where it brings one that works. What it can load is what counts, and it writes
# the boot file as the release's others are written. No crash dump is left where it does not work.
find_escript() {
    local candidate
    for candidate in "$home"/erts-*/bin/escript "$(command -v escript || true)"; do
        if [[ -x $candidate ]] && ERL_CRASH_DUMP_SECONDS=0 "$candidate" "$patcher" probe >/dev/null 2>&1; then
            escript=$candidate
            return
        fi
    done
    die "no Erlang: $home brings none of its own that works, and there is no escript on the PATH"
}

patch_boot() { "$escript" "$patcher" "$@"; }

# conf_value FILE KEY: the last line of a key counts, as for EMQ.
conf_value() {
    sed -n "s/^[[:space:]]*${2//./\\.}[[:space:]]*=[[:space:]]*\(.*[^[:space:]]\)[[:space:]]*$/\1/p" "$1" | tail -n 1
}

# set_conf FILE KEY VALUE: in the place of the line that sets it, or at the end.
set_conf() {
    local key="^[[:space:]]*${2//./\\.}[[:space:]]*=" value=${3//[\\&|]/\\&}
    if grep -q "$key" "$1"; then sed -i "s|$key.*|$2 = $value|" "$1"; else printf '%s = %s\n' "$2" "$3" >>"$1"; fi
}

# Where the plugin's spool is: as its conf says, below EMQ's own directory unless it is absolute.
spool_dir() {
    local dir=''
    [[ ! -f $1 ]] || dir=$(conf_value "$1" emq.plugin.kafka.spool.dir)
    dir=${dir:-data/kafka_spool}
    [[ $dir == /* ]] || dir=$home/$dir
    echo "$dir"
}

app_vsn() { sed -n 's/.*{ *vsn *, *"\([^"]*\)".*/\1/p' "$1"; }

# installed_folders [BUT]: those of the plugin in the release's lib, older versions first. An archive may have been unpacked
# in there itself: BUT is what is being installed, not what is installed.
installed_folders() {
    local folder
    for folder in "$home/lib/$plugin"-[0-9]*; do
        [[ ! -f $folder/ebin/$plugin.app || ${1:-/} -ef $folder ]] || echo "$folder"
    done | sort -V
}

# Whether EMQ starts the plugin when it boots.
is_enabled() { grep -qx "$plugin\." "$home/data/loaded_plugins" 2>/dev/null; }

enable_plugin() {
    local loaded=$home/data/loaded_plugins
    is_enabled || { cat "$loaded" 2>/dev/null || true; echo "$plugin."; } >"$loaded.new"
    [[ ! -e $loaded.new ]] || replace "$loaded.new" "$loaded"
}

# Moved into place in one step: a node that starts meanwhile reads the old file or the new one.
replace() {
    local new=$1 old=$2
    if [[ -e $old ]]; then
        chmod --reference="$old" "$new"
        [[ $(id -u) != 0 ]] || chown --reference="$old" "$new"
    fi
    mv -f "$new" "$old"
}

# The node that was booted from this release, if it runs.
running_node() {
    local cmdline
    for cmdline in /proc/[0-9]*/cmdline; do
        # Processes end while they are looked at.
        if tr '\0' '\n' 2>/dev/null <"$cmdline" | grep -qxF -- "$release_dir/emqttd"; then
            cmdline=${cmdline#/proc/}
            echo "${cmdline%/cmdline}"
            # Called in a trap, a bare return would hand on the status of what came before the trap.
            return 0
        fi
    done 2>/dev/null
    return 1
}
