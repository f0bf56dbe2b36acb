# Where things are in an EMQX 5 release. Sourced by install_emqx5, uninstall_emqx5 and run, after emq_home.bash.
# shellcheck shell=bash

# shellcheck disable=SC2034,SC2154 # they are used by those who source this; they come from emq_home.bash
find_emq() {
    needs bin/emqx_ctl
    # Debian's and Red Hat's packages have what changes elsewhere.
    local variable=$home
    [[ -d $home/data || ! -d /var/lib/emqx ]] || variable=/var/lib/emqx
    plugins=${EMQX_PLUGINS__INSTALL_DIR:-$variable/plugins}
    plugins=$(below_home "$plugins")
    data=$variable/data
    [[ $variable == "$home" ]] || data=$variable
    live=$data/plugins/$plugin/config.hocon
    [[ -d $plugins ]] || die "$plugins, where $broker wants the packages of plugins, is no directory"
    [[ -d $data ]] || die "$home is no whole release of $broker: it has no data directory"
    writable "$plugins" "$data"
    vm_args=$(etc_dir EMQX_ETC_DIR)/vm.args
    find_escript
}

# installed_versions: of the plugin, older ones first.
installed_versions() {
    local folder
    for folder in "$plugins/$plugin"-[0-9]*/release.json; do
        folder=$(basename "$(dirname "$folder")")
        [[ $folder == *'*'* ]] || echo "${folder#"$plugin-"}"
    done | sort -V
}

# plugins_do VERB NAME-VSN: EMQX's command for plugins, which does not say by its exit status whether it did it.
plugins_do() {
    local said
    said=$("$home/bin/emqx_ctl" plugins "$1" "$2" 2>&1) || true
    [[ $said =~ \"result\"[[:space:]]*:[[:space:]]*\"ok\" ]] || die "emqx ctl plugins $1 $2: $said"
}

# plugin_is NAME-VSN FIELD VALUE: what EMQX says of it.
plugin_is() {
    local said
    said=$("$home/bin/emqx_ctl" plugins describe "$1" 2>/dev/null) || true
    grep -q "^ *\"$2\" *: *\"$3\"" <<<"$said"
}

# hocon_set FILE FIELD TEXT: of the top level, where EMQX writes one field a line.
hocon_set() {
    local quoted=${3//\\/\\\\}
    quoted=\"${quoted//\"/\\\"}\"
    set_conf "$1" "$2" "$quoted"
}

# Where the spool is, by the live configuration: what is below data/ is below EMQX's own data directory, wherever that is.
hocon_spool_dir() {
    local dir=''
    [[ ! -f $live ]] || dir=$(conf_value "$live" spool_dir | sed 's/^"\(.*\)"$/\1/')
    dir=${dir:-data/kafka_spool}
    if [[ $dir == data/* ]]; then echo "$data/${dir#data/}"; else below_home "$dir"; fi
}
