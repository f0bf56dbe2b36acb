# How run handles an EMQX 4 release. Sourced by run, after emq_home.bash.
# shellcheck shell=bash disable=SC2154,SC2034 # of run and emq_home.bash, and for run
# shellcheck source=dev/install/emqx4.bash
source "$root/dev/install/emqx4.bash"
# shellcheck source=dev/run.d/conf.bash
source "$root/dev/run.d/conf.bash"
control=$home/bin/emqx_ctl

node_do() { "$home/bin/emqx" "$1"; }

# EMQX's own way to another port for one start, without an edit of its conf.
borrow_port() {
    local port file
    # 4.3 has its listeners in a file of their own, 4.4 in emqx.conf.
    for file in "$home"/etc/{emqx,listeners}.conf; do
        [[ -n ${port:-} || ! -f $file ]] || port=$(conf_value "$file" listener.tcp.external)
    done
    port=${port:-1883}
    mqtt_port=$("$root/dev/free-port" "${port##*:}")
    [[ $mqtt_port == "${port##*:}" ]] || export EMQX_LISTENER__TCP__EXTERNAL=127.0.0.1:$mqtt_port
}
