//! What the benchmark's programs share.
