//! The plugin's use of the crate `emq_kafka_spool`.

mod handover;
mod life;
mod log;
pub mod store;
