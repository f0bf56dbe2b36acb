//! An event and a rule become key, value and headers.

pub mod encode;
pub mod fill;
pub mod stored;
