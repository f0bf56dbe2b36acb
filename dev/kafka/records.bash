# Topics and records of a running Kafka, by Kafka's own tools. Sourced by kafka, after common.bash.
# shellcheck shell=bash disable=SC2154 # of common.bash

topic() {
    local server name=$1 partitions=${2:-1} config
    local -a configs=()
    for config in "${@:3}"; do
        configs+=(--config "$config")
    done
    server=$(bootstrap)
    fetch
    java "${tool_flags[@]}" org.apache.kafka.tools.TopicCommand --bootstrap-server "$server" --create --if-not-exists \
        --topic "$name" --partitions "$partitions" --replication-factor 1 "${configs[@]}" >&2
}

consume() {
    local topic=$1 count=${2:-} timeout_s=${3:-30} server log status=0
    local -a consumer
    server=$(bootstrap)
    fetch
    # The consumer must not create the topic that it waits for, nor miss it for long once it is there.
    consumer=(java "${tool_flags[@]}" org.apache.kafka.tools.consumer.ConsoleConsumer
        --bootstrap-server "$server" --topic "$topic" --from-beginning
        --command-property allow.auto.create.topics=false --command-property metadata.max.age.ms=500
        --formatter-property print.timestamp=true --formatter-property print.partition=true
        --formatter-property print.offset=true --formatter-property print.headers=true
        --formatter-property print.key=true --formatter-property print.value=true)
    # In this shell's place: who ends it ends the consumer.
    [[ -n $count ]] || exec "${consumer[@]}" > >(plain_numbers -u)
    log=$(mktemp)
    # shellcheck disable=SC2064 # the name as it is now
    trap "rm -f '$log'" EXIT
    timeout --foreground "$timeout_s" "${consumer[@]}" --max-messages "$count" 2>"$log" | plain_numbers || status=$?
    [[ $status == 0 ]] && return
    grep -v -e '^Processed a total of' -e '^The consumer rebalance protocol' "$log" >&2 || true
    [[ $status == 124 ]] && die "fewer than $count records came in $timeout_s s from topic $topic at $server"
    die "the console consumer failed (exit code $status) on topic $topic at $server"
}

# No record is waited for: the end of each partition is asked first.
read_all() {
    local server ends count
    server=$(bootstrap)
    fetch
    ends=$(java "${tool_flags[@]}" org.apache.kafka.tools.GetOffsetShell --bootstrap-server "$server" --topic "^$1\$") ||
        die "topic $1 at $server: its end was not told"
    [[ -n $ends ]] || die "there is no topic $1 at $server"
    count=$(awk -F : '{ sum += $3 } END { print sum }' <<<"$ends")
    [[ $count == 0 ]] || consume "$1" "$count" "${2:-60}"
}

produce() {
    local server
    server=$(bootstrap)
    fetch
    java "${tool_flags[@]}" org.apache.kafka.tools.ConsoleProducer --bootstrap-server "$server" --topic "$1" \
        --reader-property parse.key=true >&2
}

# `-u` where each line is wanted at once; that costs two system calls a byte.
# "CreateTime:17 TAB Partition:0 TAB Offset:3 TAB" without the words.
plain_numbers() {
    LC_ALL=C sed "$@" -E $'s/^[A-Za-z]+Time:(-?[0-9]+)\tPartition:([0-9]+)\tOffset:([0-9]+)\t/\\1\t\\2\t\\3\t/'
}
