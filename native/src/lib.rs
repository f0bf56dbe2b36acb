//! The NIF library of `emq_plugin_kafka`: what happens in an EMQ broker becomes Kafka records.
//!
//! The way of a record:
//!
//! ```text
//! nif -> event -> rules (route) -> record (fill, encode) -> flow (intake) -> kafka (enqueue)
//!                                                              |               ^
//!                                                              v               |
//!                                                            spool ----> flow (replay)
//!                     ... librdkafka's threads ...
//!                     kafka (reports, delivery) -> metrics, spool, account (waiters)
//! ```
//!
//! Each folder is a room. A room imports rooms above it, never one below; `tests/rooms.rs` holds it.
//!
//! | room | what it has |
//! |---|---|
//! | `event` | what happened, as plain data and as JSON |
//! | `rules` | which events are wanted, and the texts that they fill |
//! | `record` | an event and a rule become key, value, headers |
//! | `config` | the settings, checked |
//! | `metrics` | what became of each record |
//! | `account` | who waits, what there is room for, what is to be logged |
//! | `spool` | the records on disk |
//! | `kafka` | all that knows librdkafka |
//! | `probe` | `kafka test` |
//! | `flow` | composes these rooms into one way |
//! | `exporter` | the endpoint for Prometheus |
//! | `nif` | all that knows Erlang |
//!
//! `nif` is behind a feature, because code that calls the VM's functions links only inside a VM. Plain `cargo test` tests
//! everything else.

pub mod account;
pub mod config;
pub mod event;
pub mod exporter;
pub mod flow;
pub mod kafka;
pub mod metrics;
#[cfg(feature = "nif")]
mod nif;
pub mod probe;
pub mod record;
pub mod rules;
pub mod spool;
