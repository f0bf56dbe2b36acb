//! What the benchmark's programs share.

pub mod histogram;
