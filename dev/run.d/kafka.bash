# The Kafka of run: one that is there, a new one, or the mock cluster. Sourced by run, after emq_home.bash.
# shellcheck shell=bash disable=SC2154,SC2034 # of run and emq_home.bash, and for run

start_kafka() {
    local status=0
    if [[ -n ${KAFKA:-} ]]; then
        say "using the Kafka at $KAFKA"
        server=$KAFKA
    elif server=$(dev/kafka/kafka bootstrap 2>/dev/null); then
        say "using the Kafka that runs already, at $server"
    else
        dev/kafka/kafka fetch || status=$?
        case $status in
            0) dev/kafka/kafka clean
               kafka_started=yes
               server=$(dev/kafka/kafka start | tail -n 1) ;;
            3) start_mock ;;
            *) exit "$status" ;;
        esac
    fi
}

# Where Maven Central cannot be reached.
start_mock() {
    cat >&2 <<'TEXT'
**********************************************************************************************
**  NO REAL KAFKA: it could not be fetched from Maven Central (see above).                  **
**  What follows runs against librdkafka's own mock cluster, in a process of its own.       **
**  That shows the way of a message, and proves nothing about Apache Kafka.                 **
**********************************************************************************************
TEXT
    cargo build --release --locked -p "${plugin}_nif" --examples
    # It lives as long as its standard input, which this shell alone holds open.
    mkfifo "$scratch/mock-in" "$scratch/mock-out"
    exec 4<>"$scratch/mock-in"
    "${CARGO_TARGET_DIR:-target}/release/examples/mock_kafka" <"$scratch/mock-in" >"$scratch/mock-out" 4>&- &
    mock_pid=$!
    reader="librdkafka's consumer, from the MOCK cluster,"
    exec 5<"$scratch/mock-out"
    IFS= read -r -t 30 server <&5 || die "the mock cluster did not start"
    say "mock cluster on $server (pid $mock_pid)"
}
