//! librdkafka's client, made with what rust-rdkafka's producers cannot be told.

use rdkafka::ClientConfig;
use rdkafka::bindings::{RD_KAFKA_EVENT_DR, RD_KAFKA_EVENT_ERROR, RD_KAFKA_EVENT_STATS, rd_kafka_conf_set_events};
use rdkafka::client::{Client, DefaultClientContext};
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafkaType;

use crate::kafka::certificates;

/// librdkafka's client. Destroyed when dropped: what it still holds of records is lost then.
pub type NativeClient = Client<DefaultClientContext>;

/// Makes a producing client. Its delivery reports, errors, statistics and log lines come out of its main queue.
///
/// # Errors
///
/// librdkafka's reason for refusing the configuration.
pub fn open(config: &ClientConfig) -> KafkaResult<NativeClient> {
    let native = config.create_native_config()?;
    // Without TLS in the library there are no certificates either.
    let _ = certificates::explain_in(&native);
    // SAFETY: the configuration is alive. Events instead of callbacks: librdkafka then calls nothing of ours for these.
    unsafe {
        rd_kafka_conf_set_events(native.ptr(), RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_STATS);
    }
    Client::new(config, native, RDKafkaType::RD_KAFKA_PRODUCER, DefaultClientContext)
}
