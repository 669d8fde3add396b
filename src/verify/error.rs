//! Why a verification came to no outcome.

use super::build::BuildFailure;
use crate::peer::PeerError;

/// Why a run came to no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The source failed.
    #[error("source {0}")]
    Source(#[from] PeerError),
    /// The destination's own scan failed.
    #[error("destination: {0}")]
    Destination(#[from] BuildFailure),
    /// Somebody cancelled it.
    #[error("cancelled")]
    Cancelled,
    /// The service stops.
    #[error("the service stops")]
    ServiceStopped,
}
