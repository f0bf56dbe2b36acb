use super::*;
use crate::event::EventKind;
use crate::rules::rule::{OnFailure, Produce};

fn errors(pairs: &[(&str, &str)]) -> Vec<String> {
    match Settings::parse(pairs.iter().copied()) {
        Ok(settings) => panic!("no error: {settings:?}"),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

fn security_of(protocol: &str) -> SecuritySettings {
    Settings::parse([("security_protocol", protocol)]).expect("valid").security
}

#[test]
fn nothing_configured_means_the_defaults() {
    assert_eq!(Settings::parse([]), Ok(Settings::default()));
}

#[test]
fn reads_every_setting() {
    let settings = Settings::parse([
        ("server", "a:1,b"),
        ("topic", "t"),
        ("encode_payload", "base64"),
        ("hook.message.publish.1", r#"{"topic":"x"}"#),
        ("format", "raw"),
        ("topic_max_dynamic", "3"),
        ("queue_max_messages", "5"),
        ("queue_max_size", "2048"),
        ("produce", "sync"),
        ("produce_timeout", "1000"),
        ("produce_max_waiters", "7"),
        ("on_failure", "continue"),
        ("overflow", "block"),
        ("spool", "always"),
        ("spool_dir", "/spool"),
        ("spool_max_size", "8388608"),
        ("spool_segment_size", "1048576"),
        ("spool_sync_interval", "0"),
        ("dead_letter_topic", "dead"),
        ("security_protocol", "ssl"),
        ("linger", "7"),
        ("compression", "zstd"),
        ("acks", "1"),
        ("idempotence", "false"),
        ("partitioner", "random"),
        ("shutdown_timeout", "0"),
        ("metrics_listener", "[::]:9091"),
        ("rdkafka.socket.timeout.ms", "1234"),
    ]);
    let expected = Settings {
        servers: "a:1,b:9092".into(),
        listeners: Vec::new(),
        topic: "t".into(),
        encode_payload: PayloadEncoding::Base64,
        format: FormatName::Raw,
        // The general format counts for rules, wherever it stands.
        rules: vec![
            Rule::parse(EventKind::MessagePublish, r#"{"topic":"x","format":"raw"}"#, FormatName::Json)
                .expect("a rule"),
        ],
        rule_texts: vec![("message.publish.1".to_owned(), r#"{"topic":"x"}"#.to_owned())],
        max_dynamic_topics: 3,
        max_messages: 5,
        max_bytes: 2048,
        produce: ProduceSettings {
            mode: Produce::Sync,
            timeout: Duration::from_secs(1),
            max_waiters: 7,
            on_failure: Some(OnFailure::Continue),
            block: true,
        },
        spool: SpoolSettings {
            mode: SpoolMode::Always,
            dir: "/spool".into(),
            max_size: 8 << 20,
            segment_size: 1 << 20,
            sync_interval: Duration::ZERO,
        },
        dead_letter_topic: Some("dead".into()),
        security: security_of("ssl"),
        linger: Some(Duration::from_millis(7)),
        compression: "zstd".into(),
        acks: "1".into(),
        idempotence: false,
        partitioner: "random".into(),
        shutdown_timeout: Duration::ZERO,
        metrics_listener: Some(ListenAddress { host: "::".into(), port: 9091 }),
        rdkafka: vec![("socket.timeout.ms".into(), "1234".into())],
    };
    assert_eq!(settings, Ok(expected));
}

#[test]
fn reports_every_wrong_setting_with_its_key_and_what_was_expected() {
    assert_eq!(
        errors(&[
            ("topic", "a/b"),
            ("queue_max_messages", "0"),
            ("queue_max_size", "lots"),
            ("linger", "-1"),
            ("compression", "zip"),
            ("encode_payload", "hex"),
            ("hook.message.published.1", "{}"),
            ("hook.message.publish.2", "{\"topic\":\"a b\"}"),
            ("colour", "red"),
        ]),
        [
            "emq.plugin.kafka.topic: a Kafka topic name has the character '/'; allowed are a-z A-Z 0-9 . _ -",
            "emq.plugin.kafka.queue.max_messages: expected a number of records from 1 to 1000000000, got \"0\"",
            "emq.plugin.kafka.queue.max_size: expected a size in bytes from 1024 to 1099511627776, got \"lots\"",
            "emq.plugin.kafka.linger: expected a duration in milliseconds from 0 to 900000, got \"-1\"",
            "emq.plugin.kafka.compression: expected one of none, gzip, snappy, lz4, zstd, got \"zip\"",
            "emq.plugin.kafka.encode_payload: expected one of auto, utf8, base64, got \"hex\"",
            "emq.plugin.kafka.colour: unknown setting; all settings are in etc/plugins/emq_plugin_kafka.conf",
            "emq.plugin.kafka.hook.message.published.1: unknown event \"message.published\"; expected one of client.connected, client.disconnected, client.subscribe, client.unsubscribe, session.created, session.subscribed, session.unsubscribed, session.terminated, message.publish, message.delivered, message.acked, client.connect, \
             client.connack, session.resumed, session.discarded, session.takenover, message.dropped, delivery.dropped, \
             delivery.completed, message.puback",
            "emq.plugin.kafka.hook.message.publish.2: topic: a Kafka topic name has the character ' '; allowed are a-z A-Z 0-9 . _ -",
        ]
    );
}

#[test]
fn fewer_acks_need_idempotence_off() {
    let errors = errors(&[("acks", "1")]);
    assert!(
        errors.len() == 1 && errors.iter().all(|e| e.starts_with("emq.plugin.kafka.acks: must be all")),
        "{errors:?}"
    );
    assert!(Settings::parse([("acks", "1"), ("idempotence", "false")]).is_ok());
}

#[test]
fn librdkafka_takes_what_the_settings_become() {
    for settings in [
        Settings::default(),
        Settings { max_messages: 1_000_000_000, max_bytes: 1 << 40, ..Settings::default() },
        Settings { max_messages: 1, max_bytes: 1024, linger: Some(Duration::from_mins(15)), ..Settings::default() },
    ] {
        assert!(settings.client_config().create_native_config().is_ok(), "{settings:?}");
    }
}

#[test]
fn a_property_of_librdkafka_wins_over_our_setting_of_the_same() {
    let settings = Settings::parse([("linger", "5"), ("rdkafka.linger.ms", "50")]).expect("valid");
    assert_eq!(settings.client_config().get("linger.ms"), Some("50"));
}

#[test]
fn shows_settings_without_secrets() {
    let settings = Settings::parse([("rdkafka.sasl.password", "canary"), ("linger", "9")]).expect("valid");
    let shown = settings.redacted();
    assert!(shown.contains(&("linger".into(), "9ms".into())));
    assert!(shown.contains(&("rdkafka.sasl.password".into(), "******".into())));
    assert!(!format!("{shown:?}").contains("canary"));
}

#[test]
fn settings_that_do_not_go_together_are_told() {
    let durable_rule = ("hook.message.publish.1", r#"{"produce":"durable"}"#);
    for off in [[("spool", "off"), ("produce", "durable")], [("spool", "off"), durable_rule]] {
        assert_eq!(
            errors(&off),
            [
                "emq.plugin.kafka.spool: is off, but emq.plugin.kafka.produce or a rule's produce is durable, which needs the spool"
            ]
        );
    }
    assert_eq!(
        errors(&[("spool_max_size", "5000000"), ("spool_segment_size", "2000000")]),
        ["emq.plugin.kafka.spool.max_size: expected at least 8000000 bytes, four times \
          emq.plugin.kafka.spool.segment_size, got 5000000"]
    );
    let timeout = ("rdkafka.message.timeout.ms", "60000");
    assert!(errors(&[timeout])[0].starts_with("emq.plugin.kafka.rdkafka.message.timeout.ms: must be 0 while"));
    assert!(Settings::parse([timeout, ("spool", "off")]).is_ok());
    assert_eq!(errors(&[("spool_dir", "")]), ["emq.plugin.kafka.spool.dir: expected a directory, got nothing"]);
}

#[test]
fn a_durable_rule_sends_everything_through_the_spool_and_a_sync_one_ends_lingering() {
    let parse = |rule| Settings::parse([("hook.message.publish.1", rule)]).expect(rule);
    let (plain, durable, sync) = (parse("{}"), parse(r#"{"produce":"durable"}"#), parse(r#"{"produce":"sync"}"#));
    assert_eq!([&plain, &durable, &sync].map(Settings::spools_always), [false, true, false]);
    let linger = |settings: &Settings| settings.client_config().get("linger.ms").map(str::to_owned);
    assert_eq!([&plain, &durable, &sync].map(linger), ["5", "5", "0"].map(|ms| Some(ms.to_owned())));
}
