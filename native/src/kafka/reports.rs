//! librdkafka's events: delivery reports, log lines, errors.
//!
//! Read from the client's main queue without rust-rdkafka's poll, which makes a reference-counted message of each report.
//! A report lends what librdkafka still holds of the record: nothing is copied unless somebody keeps it.

use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::error::{IsError as _, RDKafkaErrorCode};

use crate::account::shared::Number;
use crate::kafka::native_client::NativeClient;
use crate::record::fill::Header;

/// The queue of a client's events.
#[derive(Debug)]
pub struct Queue(*mut rd::rd_kafka_queue_t);

// SAFETY: librdkafka's queues may be used from any thread at once (rdkafka.h: "thread safe").
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    /// The main queue of a client, where rust-rdkafka sends delivery reports, errors and log lines.
    #[must_use]
    pub fn of(client: &NativeClient) -> Self {
        // SAFETY: the client is alive; the reference that is returned is given back in `drop`.
        Self(unsafe { rd::rd_kafka_queue_get_main(client.native_ptr()) })
    }

    /// The next event, within `timeout`.
    #[must_use]
    pub fn poll(&self, timeout: Duration) -> Option<Event> {
        let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive. The event, if any, is ours to destroy.
        let event = unsafe { rd::rd_kafka_queue_poll(self.0, milliseconds) };
        if event.is_null() { None } else { Some(Event(event)) }
    }

    /// Lets a `poll` that waits return now.
    pub fn wake(&self) {
        // SAFETY: the queue is alive.
        unsafe { rd::rd_kafka_queue_yield(self.0) }
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
pub struct Event(*mut rd::rd_kafka_event_t);

/// What an event says.
#[derive(Debug)]
pub enum Content<'e> {
    /// Delivery reports.
    Reports(Reports<'e>),
    /// A line of the log.
    Log {
        /// syslog's level, 0 to 7.
        level: i32,
        /// librdkafka's name of the kind of line.
        facility: Cow<'e, str>,
        /// The text.
        text: Cow<'e, str>,
    },
    /// An error of the client as a whole.
    Error(RDKafkaErrorCode, Cow<'e, str>),
    /// librdkafka's statistics, as JSON.
    Statistics(Cow<'e, str>),
    /// What the future brings.
    Other,
}

impl Event {
    /// What it says.
    #[must_use]
    pub fn content(&self) -> Content<'_> {
        // SAFETY: the event is alive.
        match unsafe { rd::rd_kafka_event_type(self.0) } {
            rd::RD_KAFKA_EVENT_DR => Content::Reports(Reports(self.0, PhantomData)),
            rd::RD_KAFKA_EVENT_LOG => {
                let (mut facility, mut text, mut level) = (std::ptr::null(), std::ptr::null(), 0);
                // SAFETY: the event is alive and a log line; the three are written, and the texts live as long as it.
                let result =
                    unsafe { rd::rd_kafka_event_log(self.0, &raw mut facility, &raw mut text, &raw mut level) };
                if result != 0 {
                    return Content::Other;
                }
                // SAFETY: as above.
                let (facility, text) = unsafe { (text_of(facility), text_of(text)) };
                Content::Log { level, facility, text }
            }
            rd::RD_KAFKA_EVENT_ERROR => {
                // SAFETY: the event is alive, its text lives as long as it.
                let text = unsafe { text_of(rd::rd_kafka_event_error_string(self.0)) };
                // SAFETY: the event is alive.
                Content::Error(unsafe { rd::rd_kafka_event_error(self.0) }.into(), text)
            }
            rd::RD_KAFKA_EVENT_STATS => {
                // SAFETY: the event is alive and one of statistics; its text lives as long as it.
                Content::Statistics(unsafe { text_of(rd::rd_kafka_event_stats(self.0)) })
            }
            _ => Content::Other,
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the event is ours and destroyed once.
        unsafe { rd::rd_kafka_event_destroy(self.0) }
    }
}

/// # Safety
///
/// Null, or a NUL-terminated text that lives for `'a`.
unsafe fn text_of<'a>(text: *const c_char) -> Cow<'a, str> {
    if text.is_null() {
        return Cow::Borrowed("");
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_string_lossy()
}

/// The delivery reports of an event.
#[derive(Debug)]
pub struct Reports<'e>(*mut rd::rd_kafka_event_t, PhantomData<&'e Event>);

impl<'e> Iterator for Reports<'e> {
    type Item = Report<'e>;

    fn next(&mut self) -> Option<Report<'e>> {
        // SAFETY: the event is alive for `'e`. What is returned is null or a message that lives as long as the event.
        let message = unsafe { rd::rd_kafka_event_message_next(self.0) };
        NonNull::new(message.cast_mut()).map(|message| Report(message, PhantomData))
    }
}

/// What became of one record.
#[derive(Clone, Copy)]
pub struct Report<'e>(NonNull<rd::rd_kafka_message_t>, PhantomData<&'e Event>);

impl<'e> Report<'e> {
    fn message(self) -> rd::rd_kafka_message_t {
        // SAFETY: the message lives as long as the event. It is plain data.
        unsafe { self.0.read() }
    }

    /// What the record was produced with.
    #[must_use]
    pub fn number(&self) -> Number {
        Number::of(self.message()._private as usize as u64)
    }

    /// Something that is the same for the records of a refused batch of which Kafka says the same. It is the address of a text of
    /// librdkafka's, which does not live as long as the report: it is compared, never read.
    #[must_use]
    pub fn note(&self) -> usize {
        // SAFETY: the message lives as long as the event. The call reads a pointer of it.
        unsafe { rd::rd_kafka_message_produce_errstr(self.0.as_ptr()) }.addr()
    }

    /// Why Kafka has not got it. None: it has.
    #[must_use]
    pub fn error(&self) -> Option<RDKafkaErrorCode> {
        let error = self.message().err;
        error.is_error().then(|| error.into())
    }

    /// The partition and the offset that it has got.
    #[must_use]
    pub fn place(&self) -> (i32, i64) {
        let message = self.message();
        (message.partition, message.offset)
    }

    /// Whether another one of the same event is of the same topic.
    #[must_use]
    pub fn has_topic_of(self, other: Self) -> bool {
        std::ptr::eq(self.message().rkt, other.message().rkt)
    }

    /// The name of its topic.
    #[must_use]
    pub fn topic(&self) -> Cow<'e, str> {
        let topic = self.message().rkt;
        if topic.is_null() {
            return Cow::Borrowed("");
        }
        // SAFETY: the topic handle lives as long as the message, and its name as long as the handle.
        unsafe { text_of(rd::rd_kafka_topic_name(topic)) }
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> Option<&'e [u8]> {
        let message = self.message();
        // SAFETY: librdkafka keeps the record, and so its key, until the event is destroyed.
        unsafe { bytes_of(message.key, message.key_len) }
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> Option<&'e [u8]> {
        let message = self.message();
        // SAFETY: as for the key.
        unsafe { bytes_of(message.payload, message.len) }
    }

    /// Its time, in ms since 1970.
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        let message = self.0.as_ptr();
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // librdkafka gives no time for a message with an error, although it has it: so the error is put aside.
        // SAFETY: the message lives as long as the event, which is ours alone, and librdkafka's memory for it is writable. No
        // reference into it exists. `kind` is written.
        unsafe {
            let error = (*message).err;
            (*message).err = rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
            let timestamp = rd::rd_kafka_message_timestamp(message, &raw mut kind);
            (*message).err = error;
            timestamp
        }
    }

    /// How many ms ago its time was, for a record that Kafka has acknowledged at the time of day `now`. Where Kafka gives the
    /// records of the topic another time (`message.timestamp.type=LogAppendTime`), how long librdkafka has had it.
    #[must_use]
    pub fn age_ms(&self, now: i64) -> i64 {
        const MICROSECONDS: i64 = 1000;
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message lives as long as the event, and `kind` is written.
        let timestamp = unsafe { rd::rd_kafka_message_timestamp(self.0.as_ptr(), &raw mut kind) };
        match kind {
            rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME => now.saturating_sub(timestamp),
            // SAFETY: as above.
            _ => unsafe { rd::rd_kafka_message_latency(self.0.as_ptr()) / MICROSECONDS },
        }
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> Vec<Header<'e>> {
        let mut list = std::ptr::null_mut();
        // SAFETY: the message is alive, `list` is written where there are headers, which live as long as the message.
        let result = unsafe { rd::rd_kafka_message_headers(self.0.as_ptr(), &raw mut list) };
        if result.is_error() || list.is_null() {
            return Vec::new();
        }
        (0..)
            .map_while(|index| {
                let (mut name, mut value, mut size) = (std::ptr::null(), std::ptr::null(), 0);
                // SAFETY: the list is alive, and the three are written where it has so many headers.
                let result =
                    unsafe { rd::rd_kafka_header_get_all(list, index, &raw mut name, &raw mut value, &raw mut size) };
                if result.is_error() || name.is_null() {
                    return None;
                }
                // SAFETY: name and value live as long as the list. Names come from `&str`s of ours.
                let name = unsafe { CStr::from_ptr(name) }.to_str().unwrap_or_default();
                // SAFETY: as above.
                let value = unsafe { bytes_of(value, size) }.unwrap_or_default();
                Some((name.into(), Cow::Borrowed(value)))
            })
            .collect()
    }
}

/// # Safety
///
/// Null, or `length` bytes that live for `'a`.
unsafe fn bytes_of<'a>(bytes: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!bytes.is_null()).then(|| unsafe { std::slice::from_raw_parts(bytes.cast(), length) })
}
