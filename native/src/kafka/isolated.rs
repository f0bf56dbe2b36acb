//! The two threads of the isolation. One sends chunks, the other serves their delivery reports. Both end with the producer.

use rdkafka::error::RDKafkaErrorCode;

use crate::kafka::client::Client;
use crate::kafka::delivery;
use crate::kafka::errors::{Blame, blame};
use crate::kafka::isolation::{Chunk, Culprits, Isolation};
use crate::kafka::produce::{Record, Refused, refused};
use crate::kafka::reports::Report;
use crate::record::stored::Stored;

/// Sends until nothing is to be sent any more.
pub fn send(isolation: &Isolation, client: &Client) {
    while !isolation.is_closing() {
        let (chunks, is_under_way) = isolation.next_chunks(|topic| client.trust_again(topic));
        for chunk in chunks {
            send_chunk(isolation, client, chunk);
        }
        if is_under_way {
            isolation.flush();
        }
    }
}

fn send_chunk(isolation: &Isolation, client: &Client, chunk: Chunk) {
    let Chunk { topic, handle, records } = chunk;
    let mut records = records.into_iter();
    while let Some(record) = records.next() {
        let result = match Stored::read(&record.stored) {
            Ok(stored) => isolation.produce(&Record::of(&stored, &handle), record.number.get()),
            Err(_) => Err(refused(RDKafkaErrorCode::InvalidMessage)),
        };
        match result {
            Ok(()) => {}
            Err(refusal @ Refused::Final(_)) => {
                client.refuse_waiting(&record, refusal);
                isolation.settle(&topic, 1);
            }
            Err(refusal) => {
                if refusal == Refused::Fatal {
                    isolation.fail();
                    client.fail();
                }
                return isolation.not_sent(&topic, std::iter::once(record).chain(records).collect());
            }
        }
    }
}

/// Serves the delivery reports until it is told to stop.
pub fn serve(isolation: &Isolation, client: &Client) {
    let mut settled = delivery::Settled::default();
    while !isolation.is_stopped() {
        let Some(event) = isolation.poll() else { continue };
        let mut failed = Vec::new();
        let batch = delivery::serve_event(client, &event, &mut settled, &mut |report, error| {
            failed.push((report, error));
        });
        let Some(batch) = batch else { continue };
        isolation.delivered(&batch.topic, batch.delivered);
        if !failed.is_empty() {
            batch_failed(isolation, client, &batch.topic, &failed);
        }
        isolation.reported();
    }
}

/// Kafka has refused a batch, or it was given back.
fn batch_failed(isolation: &Isolation, client: &Client, topic: &str, failed: &[(Report<'_>, RDKafkaErrorCode)]) {
    let Some((_, error)) = failed.first().copied() else { return };
    let records: Vec<_> = failed.iter().map(|(report, _)| client.waiting(*report)).collect();
    let blame = blame(error);
    let guilty = match blame {
        Blame::Record | Blame::Size if failed.len() == 1 || !isolation.is_closing() => {
            isolation.refused(topic, records, &Culprits::of(failed, blame))
        }
        Blame::Topic | Blame::Limit => {
            isolation.settle(topic, records.len());
            records
        }
        // The next producer finds out.
        Blame::Record | Blame::Size | Blame::Producer | Blame::Nobody => {
            isolation.settle(topic, records.len());
            for record in records {
                client.give_back_waiting(record);
            }
            if blame == Blame::Producer {
                client.fail();
            }
            Vec::new()
        }
    };
    for record in guilty {
        client.refuse_for(&record, error);
    }
}

/// Nothing more is sent; what waits is given back.
pub fn close(isolation: &Isolation, client: &Client) {
    for record in isolation.close() {
        client.give_back_waiting(record);
    }
}
