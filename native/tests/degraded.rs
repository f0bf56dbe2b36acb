//! What becomes of records while settings are wrong: kept in the spool where they can be made, counted where not.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod common;

use common::{
    DEADLINE, Mailbox, TempDir, assert_adds_up, cluster, consume, dropped, numbers_of, publish, publish_numbers,
    publish_to, settings, submit, wait_for,
};
use emq_plugin_kafka_nif::account::waiters::Answer;
use emq_plugin_kafka_nif::config::Settings;
use emq_plugin_kafka_nif::event::EventKind;
use emq_plugin_kafka_nif::flow::handle::{Degraded, Handle, Status};
use emq_plugin_kafka_nif::flow::outcome::Outcome;
use emq_plugin_kafka_nif::metrics::DropReason;

fn spool(dir: &TempDir) -> Vec<(&str, &str)> {
    vec![
        ("topic", common::TOPIC),
        ("spool", "overflow"),
        ("spool_dir", dir.text()),
        ("spool_segment_size", "1048576"),
        ("spool_max_size", "67108864"),
    ]
}

fn degrade(handle: &Handle, pairs: &[(&str, &str)]) -> Degraded {
    handle.degrade(Settings::partial(pairs.iter().copied()), "n@h")
}

#[test]
fn records_are_kept_while_the_server_is_wrong_and_arrive_in_order_after_the_mend() {
    let (dir, cluster) = (TempDir::new(), cluster(2));
    let handle = Handle::default();
    let wrong = [&spool(&dir)[..], &[("server", "kafka:no")]].concat();
    assert_eq!(degrade(&handle, &wrong), Degraded::Spooling);
    assert_eq!(handle.status(), Status::Spooling);
    assert_eq!(handle.events(), EventKind::DEFAULT);
    publish_numbers(&handle, "a", 0..100);
    assert_eq!(handle.metrics().snapshot().spooled, 100);
    // Wrong once more: nothing is lost by it.
    let still_wrong = [&spool(&dir)[..], &[("rdkafka.no.such", "1")]].concat();
    assert_eq!(degrade(&handle, &still_wrong), Degraded::Spooling);
    publish_numbers(&handle, "a", 100..200);
    assert_eq!(degrade(&handle, &[("topic", "a b")]), Degraded::Spooling);
    publish_numbers(&handle, "a", 200..300);
    assert_eq!(handle.metrics().snapshot().spooled, 300);
    let mended = settings(&cluster.bootstrap_servers(), &spool(&dir));
    handle.reload(mended, "n@h").expect("mended");
    publish_numbers(&handle, "a", 300..310);
    let counters = wait_for(&handle, "everything", |s| s.success == 310);
    assert_eq!((counters.accepted, counters.dropped_total()), (310, 0));
    assert!(matches!(handle.status(), Status::Open(_)));
    handle.close(DEADLINE);
    assert_eq!(numbers_of(&consume(&cluster, 310), "a"), (0..310).collect::<Vec<_>>());
}

/// What librdkafka says of a client without servers is of no interest to an operator who is told of the wrong one.
#[test]
fn a_client_without_servers_has_nothing_to_say() {
    let dir = TempDir::new();
    let handle = Handle::default();
    assert_eq!(degrade(&handle, &spool(&dir)), Degraded::Spooling);
    publish_numbers(&handle, "a", 0..1);
    // Its thread has served all that it was told by then.
    handle.suspend();
    let notices = handle.notices().take();
    assert!(notices.is_empty(), "{notices:?}");
    handle.close(DEADLINE);
}

#[test]
fn what_an_earlier_life_left_is_sent_first_after_the_mend() {
    let (dir, cluster) = (TempDir::new(), cluster(1));
    let first = Handle::default();
    first.open(settings(&common::nobody(), &spool(&dir)), "n@h").expect("opened");
    publish_numbers(&first, "a", 0..50);
    first.close(DEADLINE);
    let handle = Handle::default();
    let wrong = [&spool(&dir)[..], &[("linger", "soon")]].concat();
    assert_eq!(degrade(&handle, &wrong), Degraded::Spooling);
    publish_numbers(&handle, "a", 50..100);
    // A stop and a start that is degraded, too.
    let closed = handle.close(DEADLINE).expect("it was open");
    assert_eq!((closed.given_up, closed.spooled), (0, 100));
    assert_eq!(degrade(&handle, &wrong), Degraded::Spooling);
    publish_numbers(&handle, "a", 100..150);
    handle.reload(settings(&cluster.bootstrap_servers(), &spool(&dir)), "n@h").expect("mended");
    wait_for(&handle, "everything", |s| s.success == 150);
    handle.close(DEADLINE);
    assert_eq!(numbers_of(&consume(&cluster, 150), "a"), (0..150).collect::<Vec<_>>());
}

#[test]
fn a_durable_publisher_is_answered_by_the_disk_and_a_sync_one_is_not_answered_before_the_mend() {
    let (dir, cluster) = (TempDir::new(), cluster(1));
    let handle = Handle::default();
    let rules = [
        ("hook.message.publish.d", r#"{"filter":"d","produce":"durable"}"#),
        ("hook.message.publish.s", r#"{"filter":"s","produce":"sync"}"#),
    ];
    let wrong = [&spool(&dir)[..], &rules, &[("server", "kafka:no")]].concat();
    assert_eq!(degrade(&handle, &wrong), Degraded::Spooling);
    let (durable, sync) = (Mailbox::default(), Mailbox::default());
    let wait = |topic: &[u8], mailbox: &Mailbox| mailbox.submit(&handle, &publish_to(b"c", topic, b"x"));
    let Outcome::Wait { id, disconnects: true, .. } = wait(b"d", &durable) else { panic!("it waits for the disk") };
    assert_eq!(durable.receive("the disk"), (id, Answer::Safe));
    let Outcome::Wait { id, disconnects: true, .. } = wait(b"s", &sync) else { panic!("it waits for Kafka") };
    let mended = [&spool(&dir)[..], &rules].concat();
    handle.reload(settings(&cluster.bootstrap_servers(), &mended), "n@h").expect("mended");
    assert_eq!(sync.receive("Kafka"), (id, Answer::Safe));
    handle.close(DEADLINE);
}

#[test]
fn what_can_be_neither_made_nor_kept_is_counted_and_not_acknowledged_where_it_was_to_be_safe() {
    let handle = Handle::default();
    let wrong = [
        ("topic", "bad topic!"),
        ("hook.message.publish.safe", r#"{"filter":"safe/#","produce":"durable"}"#),
        ("hook.message.publish.all", r#"{"filter":"+/#"}"#),
        ("hook.client.connected.c", "{}"),
    ];
    assert_eq!(degrade(&handle, &wrong), Degraded::Counting(None));
    assert_eq!(handle.status(), Status::Closed);
    assert_eq!(handle.events(), [EventKind::ClientConnected, EventKind::MessagePublish]);
    let mailbox = Mailbox::default();
    let waiting = |topic: &[u8]| mailbox.submit(&handle, &publish_to(b"c", topic, b"x"));
    let degraded = DropReason::Degraded;
    assert_eq!(waiting(b"safe/1"), Outcome::Refused(degraded.name().into()));
    assert_eq!(waiting(b"other"), dropped(degraded));
    assert_eq!(submit(&handle, &publish_to(b"c", b"safe/1", b"x")), dropped(degraded));
    assert_eq!(submit(&handle, &publish_to(b"c", b"$SYS/x", b"x")), Outcome::Ignored);
    let counters = handle.metrics().snapshot();
    assert_adds_up(&counters);
    assert_eq!(counters.dropped.get(&degraded), Some(&5));
    assert_eq!(handle.shared().waiters.disconnected(), 1);
    let rules: Vec<_> = handle.rules().into_iter().map(|rule| (rule.name, rule.matched, rule.dropped)).collect();
    assert_eq!(rules, [("safe".to_owned(), 2, 2), ("all".to_owned(), 3, 3), ("c".to_owned(), 0, 0)]);
    // Mended: the counts stay, nobody is held back any more.
    let cluster = cluster(1);
    let rules = [("hook.message.publish.all", r#"{"filter":"+/#"}"#)];
    handle.open(settings(&cluster.bootstrap_servers(), &rules), "n@h").expect("mended");
    assert!(matches!(submit(&handle, &publish(b"c", b"x")), Outcome::Queued(_)));
    assert_eq!(handle.rules().first().map(|rule| (rule.matched, rule.dropped)), Some((4, 3)));
    handle.close(DEADLINE);
    assert_eq!(submit(&handle, &publish(b"c", b"x")), dropped(DropReason::Closed));
}

#[test]
fn a_spool_that_cannot_be_opened_is_told_and_what_passes_is_counted() {
    let dir = TempDir::new();
    let holder = Handle::default();
    holder.open(settings(&common::nobody(), &spool(&dir)), "n@h").expect("opened");
    let handle = Handle::default();
    let Degraded::Counting(Some(why)) = degrade(&handle, &spool(&dir)) else { panic!("another one has the spool") };
    assert!(why.contains("spool.dir"), "{why}");
    assert_eq!(submit(&handle, &publish(b"c", b"x")), dropped(DropReason::Degraded));
    handle.close(DEADLINE);
    holder.close(DEADLINE);
}
