//! Who waits for a record, what there is room for, and what is to be told. Outlives each producer.

pub mod ack;
pub mod budget;
pub mod in_flight;
pub mod isolated_topics;
pub mod notices;
pub mod returned;
pub mod shared;
pub mod tickets;
pub mod waiters;
