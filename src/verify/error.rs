//! Why a verification came to no outcome, and why a client of the per-file protocol got no answer.

use super::build::BuildFailure;
use crate::model::{FileUrl, Problem};
use crate::peer::{PeerAddress, PeerError};
use crate::scan::OpenFailure;

/// Why a run came to no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The source failed.
    #[error("source {0}")]
    Source(#[from] PeerError),
    /// The destination's own scan failed.
    #[error("destination: {0}")]
    Destination(#[from] BuildFailure),
    /// The source did not leave out what the task is not about.
    #[error("source {0} does not restrict itself to the keyspaces asked for: it is an older twintree")]
    NotRestricted(PeerAddress),
    /// Somebody cancelled it.
    #[error("cancelled")]
    Cancelled,
    /// The service stops.
    #[error("the service stops")]
    ServiceStopped,
}

/// Why a client of the per-file protocol got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The file was not opened.
    #[error(transparent)]
    Open(OpenFailure),
    /// The file could not be read steadily.
    #[error("{0}")]
    Unreadable(String),
    /// A directory could not be listed, so the listing would be too short.
    #[error("{entry} could not be listed: {}", problem.detail)]
    Unlistable {
        /// The directory.
        entry: FileUrl,
        /// What the system said.
        problem: Problem,
    },
    /// Nobody waits for the answer any more.
    #[error("cancelled")]
    Cancelled,
    /// No thread could be had, or the work died.
    #[error("{0}")]
    Internal(String),
}
