# What a Kafka of one node and a cluster share: the jars, Kafka's tools, and its processes. Sourced by kafka and cluster.
# shellcheck shell=bash disable=SC2034 # they are used by those who source this
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
version=$(sed -n 's:^  <version>\(.*\)</version>$:\1:p' "$here/pom.xml")
libs=$root/_build/kafka-$version
start_deadline_s=180
stop_deadline_s=60

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# Kafka's command line tools; their log goes to stderr, and only what is wrong.
tool_flags=(-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$here/log4j2.properties"
    -Dkafka.log.level=ERROR -Dkafka.log.target=SYSTEM_ERR -cp "$libs/*")

# format_data DIR PROPERTIES [OPTION...]: the data of a node, whose directory is DIR.
format_data() {
    # The id of the cluster: 16 bytes in base64.
    java "${tool_flags[@]}" kafka.tools.StorageTool format -t "$(printf emq_plugin_kafka | base64 | tr -d =)" \
        -c "$2" "${@:3}" >"$1/format.log" 2>&1 ||
        { cat "$1/format.log" >&2; die "Kafka could not format $1/data"; }
}

# running_pid DIR: of the node whose directory is DIR. The process that its pid file names is ours only if its command line says so: pids
# are used again.
running_pid() {
    local pid
    [[ -f $1/pid ]] || return 1
    pid=$(<"$1/pid")
    [[ $pid =~ ^[0-9]+$ && -r /proc/$pid/cmdline ]] || return 1
    tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qxF -- "-Demq_plugin_kafka.dir=$1" || return 1
    echo "$pid"
}

# await_exit PID NAME: waits for the exit of a process that is not a child of this shell, and kills it where that takes too long.
await_exit() {
    if ! timeout "$stop_deadline_s" tail -f /dev/null --pid="$1" -s 0.1; then
        say "$2 did not stop in $stop_deadline_s s: killing it"
        kill -KILL "$1" 2>/dev/null || true
        timeout 5 tail -f /dev/null --pid="$1" -s 0.1 || die "pid $1 does not end"
    fi
}
