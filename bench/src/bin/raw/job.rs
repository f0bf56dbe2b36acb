//! What the threads do between `go` and `sent`.

use std::thread;
use std::time::Instant;

use emq_plugin_kafka_bench::histogram::Histogram;
use emq_plugin_kafka_bench::record;
use rdkafka::error::RDKafkaErrorCode;
use serde_json::{Value, json};

use crate::Failure;
use crate::client::{Client, Record};
use crate::options::{Mode, Options};
use crate::slot::Slot;

/// Records between two looks at the clock.
const STRIDE: usize = 16;

/// Records of the warm-up: enough to reach all leaders.
const WARM_UP: usize = 50;

pub struct Job<'a> {
    options: &'a Options,
    client: &'a Client,
    /// For each thread, with keys of its own.
    records: Vec<Vec<Record>>,
}

/// What threads have done.
struct Done {
    records: u64,
    failed: u64,
    calls: Option<Histogram>,
}

impl<'a> Job<'a> {
    /// Encodes the records.
    pub fn new(options: &'a Options, client: &'a Client) -> Self {
        let payload = record::payload(options.payload_bytes);
        let threads = options.processes.get();
        let record = |number| {
            let key = record::key(number);
            let value = record::value(&key, &payload).into_bytes();
            Record { key: key.into_bytes(), value }
        };
        let records =
            (1..=threads).map(|first| (first..=options.keys).step_by(threads).map(record).collect()).collect();
        Self { options, client, records }
    }

    /// Produces some records, one after the other: everything that is needed is connected then.
    ///
    /// # Errors
    /// Kafka did not take them.
    pub fn warm_up(&self) -> Result<(), Failure> {
        // The slot behind those of the threads.
        let call = Call { client: self.client, slot: Some(self.client.slot(self.options.processes.get())?) };
        for record in self.records.iter().flatten().take(WARM_UP) {
            call.make(record)?.1?;
        }
        Ok(())
    }

    /// What `sent` says.
    ///
    /// # Errors
    /// The operating system, or the clock.
    pub fn work(&self) -> Result<Value, Failure> {
        let deadline = Instant::now() + self.options.seconds;
        let mut all = Done::new(self.options.latency)?;
        thread::scope(|scope| {
            let threads = self
                .records
                .iter()
                .enumerate()
                .map(|(number, records)| {
                    let waits = self.options.mode == Mode::Sync;
                    let slot = if waits { Some(self.client.slot(number)?) } else { None };
                    let (call, latency) = (Call { client: self.client, slot }, self.options.latency);
                    let thread = thread::Builder::new();
                    Ok(thread.spawn_scoped(scope, move || produce(&call, records, deadline, latency))?)
                })
                .collect::<Result<Vec<_>, Failure>>()?;
            for thread in threads {
                all.merge(&thread.join().map_err(|_| "a thread panicked")??)?;
            }
            Ok::<_, Failure>(())
        })?;
        Ok(all.report())
    }
}

/// Until the deadline.
fn produce(call: &Call<'_>, records: &[Record], deadline: Instant, latency: bool) -> Result<Done, Failure> {
    let mut done = Done::new(latency)?;
    let mut turn = records.iter().cycle();
    while Instant::now() < deadline {
        for record in turn.by_ref().take(STRIDE) {
            let (start, result) = call.make(record)?;
            done.add(start, result);
        }
    }
    Ok(done)
}

/// How a thread produces.
struct Call<'a> {
    client: &'a Client,
    /// Where it waits for its record, if it does.
    slot: Option<&'a Slot>,
}

impl Call<'_> {
    /// Produces a record, and waits for its report where there is a slot. When that began, without the time for which there
    /// was no room.
    fn make(&self, record: &Record) -> Result<(Instant, Result<(), RDKafkaErrorCode>), Failure> {
        let mut room = None;
        loop {
            let timestamp = record::now()?;
            let start = Instant::now();
            match self.client.produce(record, timestamp, self.slot) {
                Err(RDKafkaErrorCode::QueueFull) => {
                    // Asked again after a look at the room, so that none is missed that was made in between.
                    if let Some(times) = room {
                        self.client.room().wait(times);
                    }
                    room = Some(self.client.room().times());
                }
                Ok(()) => return Ok((start, self.slot.map_or(Ok(()), Slot::wait))),
                failed => return Ok((start, failed)),
            }
        }
    }
}

impl Done {
    fn new(latency: bool) -> Result<Self, Failure> {
        let calls = if latency { Some(Histogram::new()?) } else { None };
        Ok(Self { records: 0, failed: 0, calls })
    }

    fn add(&mut self, start: Instant, result: Result<(), RDKafkaErrorCode>) {
        if let Some(calls) = &mut self.calls {
            calls.add(start.elapsed());
        }
        match result {
            Ok(()) => self.records += 1,
            Err(_) => self.failed += 1,
        }
    }

    fn merge(&mut self, other: &Self) -> Result<(), Failure> {
        self.records += other.records;
        self.failed += other.failed;
        if let (Some(calls), Some(others)) = (&mut self.calls, &other.calls) {
            calls.merge(others)?;
        }
        Ok(())
    }

    fn report(&self) -> Value {
        let mut report = self.calls.as_ref().map_or_else(|| json!({}), Histogram::percentiles);
        if let Value::Object(fields) = &mut report {
            fields.insert("records".into(), self.records.into());
            fields.insert("failed".into(), self.failed.into());
        }
        report
    }
}
