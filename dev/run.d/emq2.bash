# How run handles an EMQ 2.3 release, and the stand-in. Sourced by run, after emq_home.bash.
# shellcheck shell=bash disable=SC2154,SC2034 # of run and emq_home.bash, and for run
# shellcheck source=dev/install/emq2.bash
source "$root/dev/install/emq2.bash"
# shellcheck source=dev/run.d/conf.bash
source "$root/dev/run.d/conf.bash"
control=$home/bin/emqttd_ctl

node_do() { "$home/bin/emqttd" "$1"; }

# EMQ's own way to another port for one start, without an edit of its conf.
borrow_port() {
    local port
    port=$(conf_value "$home/etc/emq.conf" listener.tcp.external)
    mqtt_port=$("$root/dev/free-port" "${port##*:}")
    [[ $mqtt_port == "${port##*:}" ]] || export EMQ_TCP_PORT=127.0.0.1:$mqtt_port
}
