//! Which events are wanted, and the texts that they fill.

pub mod filter;
pub mod payload_path;
pub mod route;
pub mod rule;
pub mod template;
pub mod topic;
