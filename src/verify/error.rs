//! Why a verification came to no outcome.

use crate::net::Endpoint;
use crate::peer::PeerError;
use crate::work::{BuildFailure, Died};

/// Why a run came to no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The source failed.
    #[error("source {0}")]
    Source(#[from] PeerError),
    /// The destination's own scan failed.
    #[error("destination: {0}")]
    Destination(#[from] BuildFailure),
    /// No thread could be had, or the work died.
    #[error(transparent)]
    Died(#[from] Died),
    /// The source did not leave out what the task is not about.
    #[error("source {0} does not restrict itself to the keyspaces asked for: it is an older twintree")]
    NotRestricted(Endpoint),
    /// Somebody cancelled it.
    #[error("cancelled")]
    Cancelled,
    /// The service stops.
    #[error("the service stops")]
    ServiceStopped,
}
