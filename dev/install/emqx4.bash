# Where things are in an EMQX 4 release, in which the plugin is a folder among those that EMQX scans when it starts. Sourced by
# install_emqx4, uninstall_emqx4 and run, after emq_home.bash.
# shellcheck shell=bash

# shellcheck disable=SC2034,SC2154 # they are used by those who source this; they come from emq_home.bash
find_emq() {
    local etc emqx_conf plugins
    needs bin/emqx_ctl
    etc=$(etc_dir RUNNER_ETC_DIR)
    emqx_conf=$etc/emqx.conf
    vm_args=$etc/vm.args
    [[ -f $emqx_conf ]] || die "$home is no whole release of $broker: it has no ${emqx_conf#"$home/"}"
    data=$(conf_value "$emqx_conf" node.data_dir)
    data=$(below_home "${data:-data}")
    plugins=$(conf_value "$emqx_conf" plugins.expand_plugins_dir)
    plugins=$(below_home "${plugins:-etc/plugins}")
    plugins=${plugins%/}
    [[ -d $plugins ]] || die "$plugins is no directory: $emqx_conf names it as plugins.expand_plugins_dir"
    loaded=$(conf_value "$emqx_conf" plugins.loaded_file)
    loaded=$(below_home "${loaded:-data/loaded_plugins}")
    folder=$plugins/$plugin
    # EMQX takes this one, where it is there, and the folder's own otherwise.
    conf=$etc/plugins/$plugin.conf
    [[ -f $conf ]] || conf=$folder/etc/$plugin.conf
    writable "$plugins" "$(dirname "$plugins")"
    find_escript
}

# Whether EMQX starts the plugin when it starts.
is_enabled() { grep -qE "^(\{ *$plugin *, *true *\}|$plugin)\.$" "$loaded" 2>/dev/null; }

forget_plugin() {
    if grep -q "$plugin" "$loaded" 2>/dev/null; then
        grep -vE "^(\{ *$plugin *,.*\}|$plugin)\.$" "$loaded" >"$loaded.new" || true
        replace "$loaded.new" "$loaded"
    fi
}

enable_plugin() {
    is_enabled && return
    { cat "$loaded" 2>/dev/null || true; echo "{$plugin, true}."; } >"$loaded.new"
    replace "$loaded.new" "$loaded"
}
