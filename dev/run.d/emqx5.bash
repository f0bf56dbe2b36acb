# How run handles an EMQX 5 release. Sourced by run, after emq_home.bash.
# shellcheck shell=bash disable=SC2154,SC2034 # of run and emq_home.bash, and for run
# shellcheck source=dev/install/emqx5.bash
source "$root/dev/install/emqx5.bash"
control=$home/bin/emqx_ctl

node_do() { "$home/bin/emqx" "$1"; }

# EMQX's own way to another port for one start, without an edit of its conf.
borrow_port() {
    local port
    port=$(conf_value "$home/etc/emqx.conf" listeners.tcp.default.bind | tr -d '"')
    port=${port:-1883}
    mqtt_port=$("$root/dev/free-port" "${port##*:}")
    [[ $mqtt_port == "${port##*:}" ]] || export EMQX_LISTENERS__TCP__DEFAULT__BIND=127.0.0.1:$mqtt_port
}

# Laid ready: EMQX installs a plugin while it runs.
install_plugin() {
    if [[ ! -f $live ]]; then
        mkdir -p "$(dirname "$live")"
        cp "$root/priv/config.hocon" "$live"
        [[ $(id -u) != 0 ]] || chown -R --reference="$data" "$data/plugins"
    fi
    keep_settings "$live"
    "$root/dev/install/install" --server "$server" "$home"
    topic=$(conf_value "$live" topic | tr -d '"')
    topic=${topic:-test}
}

load_plugin() { "$root/dev/install/install" --enable "$home"; }

is_loaded() { plugin_is "$plugin-$(installed_versions | tail -n 1)" running_status running; }
