//! librdkafka's queue of events.

use rdkafka::bindings as rd;
use rdkafka::producer::{BaseProducer, Producer as _};

/// How long the thread sleeps at most; `Queue::wake` ends it sooner.
const POLL_INTERVAL_MS: i32 = 1000;

/// The queue of a client's events.
#[derive(Debug)]
pub struct Queue(*mut rd::rd_kafka_queue_t);

// SAFETY: librdkafka's queues may be used from any thread at once (rdkafka.h: "thread safe").
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    /// The main queue, where rust-rdkafka sends everything.
    pub fn of(client: &BaseProducer) -> Self {
        // SAFETY: the client is alive; the reference that is returned is given back in `drop`.
        Self(unsafe { rd::rd_kafka_queue_get_main(client.client().native_ptr()) })
    }

    /// Lets a poll that waits return now.
    pub fn wake(&self) {
        // SAFETY: the queue is alive.
        unsafe { rd::rd_kafka_queue_yield(self.0) }
    }

    /// The next event. None: none came for a while, or somebody woke the caller.
    pub fn poll(&self) -> Option<Event> {
        // SAFETY: the queue is alive. The event, if any, is ours to destroy.
        let event = unsafe { rd::rd_kafka_queue_poll(self.0, POLL_INTERVAL_MS) };
        if event.is_null() { None } else { Some(Event(event)) }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the reference came from `rd_kafka_queue_get_main` and is given back once.
        unsafe { rd::rd_kafka_queue_destroy(self.0) }
    }
}

/// An event, given back when dropped.
#[derive(Debug)]
pub struct Event(pub *mut rd::rd_kafka_event_t);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the event is ours and destroyed once.
        unsafe { rd::rd_kafka_event_destroy(self.0) }
    }
}
