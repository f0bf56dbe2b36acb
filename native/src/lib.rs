//! The NIF library of `emq_plugin_kafka`: what happens in an EMQ broker becomes Kafka records.
//!
//! One way through, no stage imports a later one:
//!
//! ```text
//! nif -> event -> route -> record (encode, template) -> intake -> produce
//!                                                          |         ^
//!                                                          v         |
//!                                                        store -> replay
//!                 ... librdkafka's threads ...
//!                 reports -> delivery -> metrics, store, waiters
//! ```
//!
//! A batch that Kafka refuses because of some records (`blame`) ends the producer. Its records come back (`give_back`), `suspects` notes
//! their topic, and the next producer sends the topic's records a batch at a time (`isolation`).
//!
//! While settings are wrong, `config` finds the usable part (`partial`): records go to the spool, or `bystander` counts them.
//!
//! Only `nif`, `terms` and `atoms` know the Erlang VM. They are behind the feature `nif`, because what calls the VM's functions
//! links only inside a VM: everything else is tested by plain `cargo test`.

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
