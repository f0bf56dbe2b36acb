//! All that knows librdkafka.

pub mod certificates;
pub mod dead_letter;
pub mod delivery;
pub mod errors;
pub mod give_back;
pub mod isolation;
pub mod key_order;
pub mod log_words;
pub mod malloc;
pub mod native_client;
pub mod native_parts;
pub mod open_topics;
pub mod ordered;
pub mod produce;
pub mod producer;
pub mod reports;
pub mod statistics;
pub mod topics;
