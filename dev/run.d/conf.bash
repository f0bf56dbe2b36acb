# What run does alike with an EMQ 2.3 and an EMQX 4 release, whose plugins have a conf file. Sourced by emq2.bash and emqx4.bash.
# shellcheck shell=bash disable=SC2154,SC2034 # of run and emq_home.bash, and for run

install_plugin() {
    "$root/dev/install/install" "$home"
    # EMQX 4 has the conf in the plugin's own folder, which is there only now.
    find_emq
    keep_settings "$conf"
    set_conf "$conf" emq.plugin.kafka.server "$server"
    topic=$(conf_value "$conf" emq.plugin.kafka.topic)
    topic=${topic:-test}
}

load_plugin() {
    "$control" plugins load "$plugin" || true
    "$control" plugins list
}

is_loaded() { [[ $("$control" plugins list 2>/dev/null) =~ Plugin\($plugin,[^$'\n']*active=true\) ]]; }
