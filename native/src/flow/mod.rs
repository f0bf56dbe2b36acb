//! Composes the other rooms into one way for each record. The only room that knows them all.

pub mod buffers;
pub mod count_only;
pub mod endpoint;
pub mod flush;
pub mod handle;
pub mod held;
pub mod intake;
pub mod open_error;
pub mod outcome;
pub mod pipeline;
pub mod replay;
pub mod routes;
pub mod submission;
pub mod view;
