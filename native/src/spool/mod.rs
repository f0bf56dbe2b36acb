//! The plugin's use of the crate `emq_kafka_spool`.

pub mod store;
