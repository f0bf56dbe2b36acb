# The files that `cluster make` writes: the properties of a node, its formatted data, and certificates. Sourced by cluster.
# shellcheck shell=bash disable=SC2154 # of common.bash and cluster

properties() {
    local node=$1 user users='' listener named=${HOST_NAME:-kafka.test}
    for user in writer limited; do users+=" user_$user=\"$(<"$dir/users/$user")\""; done
    if [[ $named == *:* ]]; then named=$(cut -d, -f "$node" <<<"$named"); else named=$(address NAMED "$named" "$node"); fi
    cat <<PROPERTIES
process.roles=broker,controller
node.id=$node
controller.quorum.voters=$(for n in $(nodes); do echo "$n@$(address CONTROLLER 127.0.0.1 "$n")"; done | paste -sd,)
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,NAMED:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,MTLS:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,SCRAM:SASL_PLAINTEXT,EXPIRED:SSL,WRONG_NAME:SSL
listeners=$(for l in CONTROLLER "${listeners[@]}"; do echo "$l://$(address "$l" 127.0.0.1 "$node")"; done | paste -sd,)
advertised.listeners=NAMED://$named,$(for l in "${listeners[@]}"; do [[ $l == NAMED ]] || echo "$l://$(address "$l" 127.0.0.1 "$node")"; done | paste -sd,)
log.dirs=$dir/$node/data
num.network.threads=1
num.io.threads=4
num.partitions=1
auto.create.topics.enable=${AUTO_CREATE:-false}
default.replication.factor=${NODES:-3}
min.insync.replicas=${MIN_ISR:-1}
connections.max.idle.ms=${IDLE_MS:-600000}
message.max.bytes=${MAX_BYTES:-1048588}
offsets.topic.num.partitions=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.num.partitions=1
offsets.topic.replication.factor=${NODES:-3}
transaction.state.log.replication.factor=${NODES:-3}
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=${NODES:-3}
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=true
ssl.keystore.type=PEM
ssl.keystore.location=$dir/certs/server.pem
listener.name.expired.ssl.keystore.location=$dir/certs/expired.pem
listener.name.wrong_name.ssl.keystore.location=$dir/certs/wrong_name.pem
listener.name.mtls.ssl.client.auth=required
listener.name.mtls.ssl.truststore.type=PEM
listener.name.mtls.ssl.truststore.location=$dir/certs/ca.pem
PROPERTIES
    for listener in sasl_plaintext sasl_ssl scram; do
        cat <<PROPERTIES
listener.name.$listener.sasl.enabled.mechanisms=$([[ $listener == scram ]] || echo PLAIN,SCRAM-SHA-256,)SCRAM-SHA-512
listener.name.$listener.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required$users;
listener.name.$listener.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.$listener.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
PROPERTIES
    done
}

format() {
    local node=$1 user mechanism
    local -a scram=()
    for user in writer limited; do
        for mechanism in SCRAM-SHA-256 SCRAM-SHA-512; do
            scram+=(--add-scram "$mechanism=[name=$user,password=$(<"$dir/users/$user")]")
        done
    done
    format_data "$dir/$node" "$dir/$node/server.properties" "${scram[@]}"
}

# Made anew each time, in the directory of this cluster: nothing secret is in the repository.
certificates() (
    cd "$dir/certs" || exit
    exec 2>"$dir/certs/openssl.log"
    trap 'cat "$dir/certs/openssl.log" >/dev/tty 2>/dev/null || true' ERR
    authority ca
    authority other-ca
    signed good DNS:localhost,IP:127.0.0.1 2
    signed expired DNS:localhost,IP:127.0.0.1 -1
    signed wrong_name DNS:elsewhere.test 2
    signed client DNS:emq.test 2
    signed stranger DNS:emq.test 2 other-ca
    cp client.crt locked.crt
    openssl pkey -in client.key -aes256 -passout "file:$dir/users/writer" -out locked.key
)

authority() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.pem" -days 2 -subj "/CN=$1 of a test"
}

# signed NAME SUBJECT_ALT_NAMES DAYS [AUTHORITY]: key and certificate in one file, as Kafka reads them.
signed() {
    local authority=${4:-ca}
    openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1"
    openssl x509 -req -in "$1.csr" -CA "$authority.pem" -CAkey "$authority.key" -CAcreateserial -days "$3" -out "$1.crt" \
        -extfile <(echo "subjectAltName=$2")
    cat "$1.key" "$1.crt" "$authority.pem" >"$1.pem"
}

certificate() { cp "$dir/certs/$1.pem" "$dir/certs/server.pem"; }
