# The broker of run: the stand-in, or the release in EMQ_HOME. Sourced by run, after emq_home.bash.
# shellcheck shell=bash disable=SC2154,SC2034 # of run and emq_home.bash, and for run

# Finds $home, and what its generation calls things.
find_broker() {
    find_home
    # shellcheck source=dev/run.d/emq2.bash
    source "$root/dev/run.d/$generation.bash"
    find_emq
}

start_broker() {
    if [[ -z $home ]]; then
        home=$root/_build/emqttd
        if [[ -e $home/releases/start_erl.data ]]; then
            find_broker
            ! pid=$(running_node) || die "a broker runs from $home already (pid $pid), of another make run: stop that first"
        fi
        say "building the stand-in broker in _build/emqttd"
        rm -rf "$home"
        dev/emqttd/build "$home"
        find_broker
        choose_ports "$home/etc/emq.conf"
    else
        find_broker
        ! pid=$(running_node) ||
            die "EMQ in $home is running (pid $pid). This starts it itself, with the plugin set to its own Kafka:" \
                "stop it first, or only 'make install EMQ_HOME=$home' and restart it yourself"
        borrow_port
    fi

    epmd_was_up=$(epmd -names 2>/dev/null || true)
    install_plugin
    say "starting the broker in $home"
    broker_started=yes
    node_do start >"$scratch/start.log" 2>&1 || { cat "$scratch/start.log" >&2; die "the broker did not start"; }
    wait_for_mqtt
    load_plugin >"$scratch/load.log" 2>&1 || true
    is_loaded || { cat "$scratch/load.log" >&2; die "the broker did not load $plugin"; }
    broker_pid=$(running_node) || die "the broker has ended"
}

# keep_settings FILE: set for this run only.
keep_settings() {
    settings=$1
    conf_original=$scratch/conf
    cp "$settings" "$conf_original"
}

# A real EMQ says that it has started when its VM answers. It opens its listeners last, when all plugins are up.
wait_for_mqtt() {
    local deadline=$((SECONDS + 60))
    until (exec 3<>"/dev/tcp/127.0.0.1/$mqtt_port") 2>/dev/null; do
        running_node >/dev/null || die "the broker has ended while it started"
        ((SECONDS < deadline)) || die "the broker does not listen on port $mqtt_port"
        sleep 0.2
    done
}

# The stand-in listens on loopback only, on EMQ's ports where they are free. Its node has a name of its own.
choose_ports() {
    local emq_conf=$1 key value
    for key in listener.tcp.external listener.ws.external listener.api.mgmt; do
        value=$(conf_value "$emq_conf" "$key")
        [[ -n $value ]] || continue
        set_conf "$emq_conf" "$key" "127.0.0.1:$("$root/dev/free-port" "${value##*:}")"
    done
    set_conf "$emq_conf" node.name "${plugin}_run@127.0.0.1"
    mqtt_port=$(conf_value "$emq_conf" listener.tcp.external)
    mqtt_port=${mqtt_port##*:}
}

stop_broker() {
    local pid
    pid=$(running_node) || return 0
    say "stopping the broker (pid $pid)"
    node_do stop >"$scratch/stop.log" 2>&1 || cat "$scratch/stop.log" >&2
    if ! timeout 20 tail -f /dev/null --pid="$pid" -s 0.1; then
        say "it did not stop in 20 s: killing pid $pid"
        kill -KILL "$pid"
    fi
}
