//! The atoms that pass between Erlang and Rust.

rustler::atoms! {
    ok,
    error,
    ignored,
    closed,
    open,
    fatal,
    already_open,
    given_up,
    accepted,
    success,
    failed,
    dropped,
    spooled,
    queued,
    queued_bytes,
    failed_by,
    dropped_by,
    // The reasons of drops.
    bad_event,
    queue_full,
    too_large,
    unknown_topic,
    purged,
    refused,
}
