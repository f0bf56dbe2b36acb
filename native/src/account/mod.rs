//! Who waits for a record, what there is room for, and what is to be told. Outlives each producer.

pub mod budget;
pub mod notices;
pub mod returned;
pub mod rounds;
pub mod shared;
pub mod suspects;
pub mod waiters;
