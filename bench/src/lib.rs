//! What the benchmark's programs share.

pub mod histogram;
pub mod options;
pub mod record;
pub mod sink;
