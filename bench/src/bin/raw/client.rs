//! The producer: one topic handle, calls from any thread, and a thread that serves what librdkafka reports.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rdkafka::bindings::{RD_KAFKA_MSG_F_COPY, rd_kafka_producev, rd_kafka_resp_err_t, rd_kafka_vtype_t};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, Producer as _};

use crate::Failure;
use crate::headers::Headers;
use crate::options::Options;
use crate::queue::Queue;
use crate::reports;
use crate::room::Room;
use crate::shared::{Shared, Topic};
use crate::slot::Slot;

/// `RD_KAFKA_PARTITION_UA`: let the partitioner choose.
const PARTITION_BY_KEY: i32 = -1;

const METADATA_TIMEOUT: Duration = Duration::from_secs(10);
const CLOSE_TIMEOUT: Duration = Duration::from_mins(1);

/// A record, encoded.
#[derive(Debug)]
pub struct Record {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

/// The open producer.
pub struct Client {
    shared: Arc<Shared>,
    reports: Mutex<Option<JoinHandle<()>>>,
    headers: usize,
}

impl Client {
    /// Returns when the topic is known.
    ///
    /// # Errors
    /// What librdkafka refused, or that Kafka does not answer.
    pub fn open(options: &Options) -> Result<Self, Failure> {
        let native: BaseProducer = options.client_config().create()?;
        let topic = Topic::new(&native, &options.topic)?;
        native.client().fetch_metadata(Some(&options.topic), METADATA_TIMEOUT)?;
        let shared = Arc::new(Shared {
            topic,
            queue: Queue::of(&native),
            native,
            room: Room::default(),
            undelivered: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            // One more for the thread that warms up.
            slots: (0..=options.processes.get()).map(|_| Slot::default()).collect(),
        });
        let reports = thread::Builder::new().name("reports".into()).spawn({
            let shared = Arc::clone(&shared);
            move || reports::serve(&shared)
        })?;
        Ok(Self { shared, reports: Mutex::new(Some(reports)), headers: options.headers })
    }

    /// The slot of a thread.
    pub fn slot(&self, number: usize) -> Result<&Slot, Failure> {
        self.shared.slots.get(number).ok_or_else(|| "there is no such slot".into())
    }

    /// Where threads wait when the queue is full.
    pub fn room(&self) -> &Room {
        &self.shared.room
    }

    /// Hands a record to librdkafka, which copies it. Its report goes to the slot, if any.
    pub fn produce(&self, record: &Record, timestamp: i64, slot: Option<&Slot>) -> Result<(), RDKafkaErrorCode> {
        let opaque = slot.map_or(std::ptr::null_mut(), Slot::opaque);
        let headers = Headers::new(self.headers);
        // SAFETY: the client and the topic handle live as long as `self`. Each tag is followed by arguments of the types
        // that rdkafka.h gives for it, and the list ends with END. The flag COPY makes librdkafka copy value and key before it
        // returns; it reads them only. Null headers are none. The opaque is null or points to a slot, which the thread
        // that serves reports keeps alive, see `reports`.
        let result = unsafe {
            rd_kafka_producev(
                self.shared.native.client().native_ptr(),
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT,
                self.shared.topic.0,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION,
                PARTITION_BY_KEY,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS,
                RD_KAFKA_MSG_F_COPY,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE,
                record.value.as_ptr().cast_mut().cast::<c_void>(),
                record.value.len(),
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY,
                record.key.as_ptr().cast_mut().cast::<c_void>(),
                record.key.len(),
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS,
                headers.as_ptr(),
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP,
                timestamp,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_OPAQUE,
                opaque,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_END,
            )
        };
        if result == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            headers.taken();
            return Ok(());
        }
        Err(result.into())
    }

    /// Waits until everything is reported, and ends.
    ///
    /// # Errors
    /// Kafka has not got everything.
    pub fn close(&self) -> Result<(), Failure> {
        let flushed = self.shared.native.flush(CLOSE_TIMEOUT);
        self.shared.stop.store(true, Ordering::Release);
        self.shared.queue.wake();
        let thread = self.reports.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            return Err("the thread that serves reports panicked".into());
        }
        flushed?;
        match self.shared.undelivered.load(Ordering::Relaxed) {
            0 => Ok(()),
            count => Err(format!("{count} records were not delivered").into()),
        }
    }
}
