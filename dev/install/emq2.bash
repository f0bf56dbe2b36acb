# Where things are in an EMQ 2.3 release. Sourced by install_emq2, uninstall_emq2 and run, after emq_home.bash.
# shellcheck shell=bash disable=SC2154 # they come from emq_home.bash
patcher=$(dirname "${BASH_SOURCE[0]}")/patch_boot.escript

# shellcheck disable=SC2034 # they are used by those who source this
find_emq() {
    needs bin/emqttd_ctl etc/emq.conf etc/plugins
    boot=$release_dir/emqttd.boot
    boot_backup=$boot.before_$plugin
    schema=$release_dir/schema/$plugin.schema
    conf=$home/etc/plugins/$plugin.conf
    needs "${boot#"$home/"}" "${release_dir#"$home/"}/schema"
    writable "$release_dir" "$release_dir/schema" "$home/lib" "$home/etc/plugins"
    find_escript
}

patch_boot() { "$escript" "$patcher" "$@"; }

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
