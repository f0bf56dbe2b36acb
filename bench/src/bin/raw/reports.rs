//! librdkafka's events, served on a thread of their own: delivery reports, errors, log lines.

use std::ffi::{CStr, c_char};
use std::sync::atomic::Ordering;

use rdkafka::bindings as rd;
use rdkafka::error::IsError as _;
use rdkafka::producer::{BaseProducer, Producer as _};

use crate::client::Shared;
use crate::slot::Slot;

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

    fn poll(&self) -> Option<Event> {
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
struct Event(*mut rd::rd_kafka_event_t);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the event is ours and destroyed once.
        unsafe { rd::rd_kafka_event_destroy(self.0) }
    }
}

/// Until it is told to stop.
pub fn serve(shared: &Shared) {
    while !shared.stop.load(Ordering::Acquire) {
        let Some(event) = shared.queue.poll() else { continue };
        // SAFETY: the event is alive.
        match unsafe { rd::rd_kafka_event_type(event.0) } {
            rd::RD_KAFKA_EVENT_DR => {
                let undelivered = settle(&event);
                shared.undelivered.fetch_add(undelivered, Ordering::Relaxed);
                // The records' room is free when the event is.
                drop(event);
                shared.room.make();
            }
            // SAFETY: the event is an error, and alive.
            rd::RD_KAFKA_EVENT_ERROR => tell(unsafe { rd::rd_kafka_event_error_string(event.0) }),
            rd::RD_KAFKA_EVENT_LOG => log(&event),
            _ => {}
        }
    }
}

/// Tells those that wait. How many records Kafka has not got.
fn settle(event: &Event) -> u64 {
    let mut undelivered = 0;
    // SAFETY: the event is alive, and so are its messages, which are plain data. An opaque that is not null came from
    // `Slot::opaque`; the slots are `Shared`'s, which our caller borrows, and never move.
    unsafe {
        while let Some(message) = rd::rd_kafka_event_message_next(event.0).as_ref() {
            undelivered += u64::from(message.err.is_error());
            if let Some(slot) = message._private.cast::<Slot>().cast_const().as_ref() {
                slot.settle(if message.err.is_error() { Err(message.err.into()) } else { Ok(()) });
            }
        }
    }
    undelivered
}

fn log(event: &Event) {
    let (mut facility, mut text, mut level) = (std::ptr::null(), std::ptr::null(), 0);
    // SAFETY: the event is alive and a log line; the three are written where the result is 0.
    if unsafe { rd::rd_kafka_event_log(event.0, &raw mut facility, &raw mut text, &raw mut level) } == 0 {
        tell(text);
    }
}

/// A text of an event that is alive.
fn tell(text: *const c_char) {
    if !text.is_null() {
        // SAFETY: librdkafka's texts are NUL-terminated; our callers hold the event that this one belongs to.
        eprintln!("raw: {}", unsafe { CStr::from_ptr(text) }.to_string_lossy());
    }
}
