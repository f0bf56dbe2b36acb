//! A crash-safe segmented log.
