# What install, uninstall and run share for every generation of EMQ: which one is in a directory, and how its files are handled. Sourced,
# with $home set. What only one generation has is in emq2.bash, emqx4.bash and emqx5.bash.
# shellcheck shell=bash
plugin=emq_plugin_kafka
checker=$(dirname "${BASH_SOURCE[0]}")/check_plugin.escript

script=${0##*/}
say() { printf '%s: %s\n' "${script%_emq*}" "$*" >&2; }
die() { say "$*"; exit 1; }

# examples: the directories of the generations that are served here. An archive of `make dist` has the scripts of one.
examples() {
    local each text=''
    for each in 'emq2 /opt/emqttd (EMQ 2.3)' 'emqx4 /opt/emqx (EMQX 4)' 'emqx5 /opt/emqx (EMQX 5)'; do
        [[ ! -f $(dirname "${BASH_SOURCE[0]}")/${each%% *}.bash ]] || text+="${text:+, }${each#* }"
    done
    echo "$text"
}

# Sets home, generation (emq2, emqx4 or emqx5), broker (its name for messages) and release_dir, or says why $home is none.
# shellcheck disable=SC2034 # they are used by those who source this
find_home() {
    [[ -n $home ]] || die "name the EMQ release's directory, for example $(examples); --help says more"
    [[ -d $home ]] || die "$home is no directory"
    home=$(cd "$home" && pwd -P)
    local needed release
    [[ -e $home/bin/emqttd || -e $home/bin/emqx ]] ||
        die "$home is no EMQ release: it has neither bin/emqttd (EMQ 2.3) nor bin/emqx (EMQX 4 and 5)"
    for needed in releases/start_erl.data lib; do
        [[ -e $home/$needed ]] || die "$home is no EMQ release: it has no $needed"
    done
    # Two words: the version of erts, the version of the release.
    release=$(awk 'NR == 1 { print $2 }' "$home/releases/start_erl.data")
    release_dir=$home/releases/$release
    broker="EMQX $release"
    case $(basename "$(ls -d "$home"/bin/emqttd 2>/dev/null || echo emqx)")-$release in
        emqttd-*) generation=emq2 broker="EMQ $release" ;;
        emqx-4.*) generation=emqx4 ;;
        emqx-5.[0-6].*) die "$home is EMQX $release: the plugin needs 5.7 or newer there, whose plugins have a configuration" ;;
        emqx-[56].*) generation=emqx5 ;;
        *) die "$home is EMQX $release: there is a plugin for EMQ 2.3, EMQX 4 and EMQX 5" ;;
    esac
}

# needs FILE...: those below $home without which it is no whole release.
needs() {
    local needed
    for needed in "$@"; do
        [[ -e $home/$needed ]] || die "$home is no whole release of $broker: it has no $needed"
    done
}

# writable DIRECTORY...
writable() {
    local needed
    for needed in "$@"; do
        [[ -w $needed ]] ||
            die "$needed cannot be written: run this as the owner of the release ($(stat -c %U "$needed"))" \
                "or as root, and not on a file system that is mounted read-only"
    done
}

# below_home PATH: as EMQ reads a path.
below_home() {
    [[ $1 == /* ]] && echo "$1" || echo "$home/$1"
}

# etc_dir VARIABLE: the configuration of EMQX 4 or 5. That of an installed package is in /etc, as a variable of its scripts says.
etc_dir() {
    # shellcheck disable=SC1091 # the release's own
    (export RUNNER_ROOT_DIR=$home; set +u; [[ ! -f $home/releases/emqx_vars ]] || source "$home/releases/emqx_vars"; echo "${!1:-$home/etc}")
}

# Sets escript: the release's own Erlang, where it brings one that works. What it can load is what counts. No crash dump is left where
# it does not work.
find_escript() {
    local candidate
    for candidate in "$home"/erts-*/bin/escript "$(command -v escript || true)"; do
        if [[ -x $candidate ]] && ERL_CRASH_DUMP_SECONDS=0 "$candidate" "$checker" probe >/dev/null 2>&1; then
            escript=$candidate
            return
        fi
    done
    die "no Erlang: $home brings none of its own that works, and there is no escript on the PATH"
}

# works_in_release LIB_DIR SOURCES [SPOOL_DIR]: whether the release's Erlang loads the plugin.
works_in_release() {
    "$escript" "$checker" "$1" "$plugin" "${@:2}" || die "the release's Erlang cannot work with the plugin (see above)"
}

# built_root: the folder of what is to be installed. These scripts are in bin/ of an archive, or in dev/install/ of the repository.
built_root() {
    local here
    here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
    if [[ $here == */dev/install ]]; then here=$(dirname "$here"); fi
    dirname "$here"
}

# built ROOT FILE...: what is to be installed.
built() {
    local root=$1 file
    for file in "${@:2}"; do
        [[ -f $root/$file ]] || die "$root/$file is missing: run make first"
    done
}

# conf_value FILE KEY: the last line of a key counts, as for EMQ.
conf_value() {
    sed -n "s/^[[:space:]]*${2//./\\.}[[:space:]]*=[[:space:]]*\(.*[^[:space:]]\)[[:space:]]*$/\1/p" "$1" | tail -n 1
}

# set_conf FILE KEY VALUE: in the place of the line that sets it, or at the end.
set_conf() {
    local key="^[[:space:]]*${2//./\\.}[[:space:]]*=" value=${3//[\\&|]/\\&}
    if grep -q "$key" "$1"; then sed -i "s|$key.*|$2 = $value|" "$1"; else printf '%s = %s\n' "$2" "$3" >>"$1"; fi
}

# Where the plugin's spool is, of a conf file by the cuttlefish schema: as it says, below EMQ's own directory unless it is absolute.
spool_dir() {
    local dir=''
    [[ ! -f $1 ]] || dir=$(conf_value "$1" emq.plugin.kafka.spool.dir)
    below_home "${dir:-data/kafka_spool}"
}

# purge_spool DIRECTORY: nothing but its own files: the directory may be a disk of its own.
purge_spool() {
    find "$1" -maxdepth 2 -type f -regextype posix-extended \
        -regex '.*/([0-9]{20}\.(seg|free|bad)|ACK|LOCK|life)' -delete 2>/dev/null || true
    rmdir "$1/handover" "$1" 2>/dev/null || true
    [[ ! -e $1 ]] || say "$1 is not empty: what is left there is not the plugin's"
}

# forget_last_settings DATA_DIRECTORY: the settings for a start that finds wrong ones.
forget_last_settings() { rm -f "$1/kafka_spool.settings" "$1/kafka_spool.settings.new"; }

say_spool_kept() {
    [[ ! -d $1 ]] || say "kept the spool $1 ($(du -sh "$1" | cut -f1)), in which there may be records that Kafka does not have;" \
        "uninstall --purge deletes it"
}

app_vsn() { sed -n 's/.*{ *vsn *, *"\([^"]*\)".*/\1/p' "$1"; }

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
        if tr '\0' '\n' 2>/dev/null <"$cmdline" |
            grep -qxF -e "$release_dir/emqttd" -e "$release_dir/emqx" -e "$release_dir/start"; then
            cmdline=${cmdline#/proc/}
            echo "${cmdline%/cmdline}"
            # Called in a trap, a bare return would hand on the status of what came before the trap.
            return 0
        fi
    done 2>/dev/null
    return 1
}

# next STEP...: what the operator is to do.
next() {
    local step
    echo "next:" >&2
    for ((step = 1; step <= $#; step++)); do echo "  $step. ${!step}" >&2; done
}
