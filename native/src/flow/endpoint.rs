//! Where Prometheus finds the metrics, as the pipeline's life sees it: whoever makes the handle hands it in.

use std::net::SocketAddr;

use crate::config::ListenAddress;
use crate::flow::view::View;

/// Whether Prometheus finds the metrics, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Listening {
    /// It is not to.
    #[default]
    Off,
    /// At this address.
    At(SocketAddr),
    /// It cannot, for this reason.
    Failed(String),
}

/// An endpoint that follows `metrics.listener`.
pub trait Endpoint: Send + Sync {
    /// Listens at this address from now on. A listener that is there already goes on.
    ///
    /// Waits: never call it on a normal scheduler.
    fn listen(&self, address: &ListenAddress, view: &View);

    /// Listens no more.
    ///
    /// Waits: never call it on a normal scheduler.
    fn stop(&self);

    /// Whether it listens, and where.
    fn listening(&self) -> Listening;
}
