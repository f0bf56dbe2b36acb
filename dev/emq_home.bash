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
    [[ -w $boot && -w $home/lib && -w $home/etc/plugins ]] ||
        die "$home cannot be written: run this as its owner or as root"
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
