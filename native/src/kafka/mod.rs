//! All that knows librdkafka.

pub mod certificates;
pub mod client;
pub mod dead_letters;
pub mod delivery;
pub mod enqueue;
pub mod errors;
pub mod explain;
pub mod give_back;
pub mod isolated;
pub mod isolation;
pub mod key_order;
pub mod log;
pub mod malloc;
pub mod native_client;
pub mod native_parts;
pub mod open_error;
pub mod open_topics;
pub mod produce;
pub mod producer;
pub mod refuse;
pub mod reports;
pub mod statistics;
pub mod topics;
pub mod verdict;
