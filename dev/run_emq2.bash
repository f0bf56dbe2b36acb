# How run handles an EMQ 2.3 release, and the stand-in. Sourced by run, after emq_home.bash.
# shellcheck shell=bash disable=SC2154,SC2034 # of run and emq_home.bash, and for run
# shellcheck source=dev/emq2.bash
source "$here/emq2.bash"
control=$home/bin/emqttd_ctl

node_do() { "$home/bin/emqttd" "$1"; }

# EMQ's own way to another port for one start, without an edit of its conf.
borrow_port() {
    local port
    port=$(conf_value "$home/etc/emq.conf" listener.tcp.external)
    mqtt_port=$("$here/free-port" "${port##*:}")
    [[ $mqtt_port == "${port##*:}" ]] || export EMQ_TCP_PORT=127.0.0.1:$mqtt_port
}

install_plugin() {
    "$here/install" "$home"
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
