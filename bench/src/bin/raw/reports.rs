//! librdkafka's events, served on a thread of their own: delivery reports, errors, log lines.

use std::ffi::{CStr, c_char};
use std::sync::atomic::Ordering;

use rdkafka::bindings as rd;
use rdkafka::error::IsError as _;

use crate::queue::Event;
use crate::shared::Shared;
use crate::slot::Slot;

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
