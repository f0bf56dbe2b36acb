//! Headers in librdkafka's form, made anew for each record.

use rdkafka::bindings::{rd_kafka_header_add, rd_kafka_headers_destroy, rd_kafka_headers_new, rd_kafka_headers_t};

/// What an MQTT message would have in its headers.
const HEADERS: [(&str, &str); 11] = [
    ("event", "message.publish"),
    ("qos", "1"),
    ("clientid", "client1"),
    ("username", "bench"),
    ("topic", "sensors/1/temp"),
    ("retain", "0"),
    ("dup", "0"),
    ("id", "0005B1E2C3D4F5A6B7C8D9E0F1A2B3C4"),
    ("ts", "1700000000000"),
    ("node", "bench@127.0.0.1"),
    ("content-type", "application/json"),
];

/// How many there can be.
pub const MOST: usize = HEADERS.len();

/// A list, given back when dropped unless a record took it.
#[derive(Debug)]
pub struct Headers(*mut rd_kafka_headers_t);

impl Headers {
    /// So many. None is no list, which costs nothing.
    pub fn new(count: usize) -> Self {
        if count == 0 {
            return Self(std::ptr::null_mut());
        }
        // SAFETY: takes any number; the list grows as needed.
        let list = unsafe { rd_kafka_headers_new(count) };
        for (name, value) in HEADERS.iter().take(count) {
            // SAFETY: the list is alive. Name and value are copied by the call; pointers and lengths are those of constants.
            unsafe {
                rd_kafka_header_add(
                    list,
                    name.as_ptr().cast(),
                    name.len().cast_signed(),
                    value.as_ptr().cast(),
                    value.len().cast_signed(),
                );
            }
        }
        Self(list)
    }

    /// The list, or null where there is none.
    pub const fn as_ptr(&self) -> *mut rd_kafka_headers_t {
        self.0
    }

    /// A record has them now.
    pub fn taken(self) {
        std::mem::forget(self);
    }
}

impl Drop for Headers {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the list is still ours: what a record took was forgotten, not dropped.
            unsafe { rd_kafka_headers_destroy(self.0) }
        }
    }
}
