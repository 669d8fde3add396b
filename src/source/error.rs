//! Why a client of the per-file protocol got no answer.

use crate::model::{FileUrl, Problem};
use crate::scan::OpenFailure;

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
    /// The sum of all sizes cannot be told.
    #[error("the sizes of all files together are beyond 64 bits")]
    TooLarge,
    /// Nobody waits for the answer any more.
    #[error("cancelled")]
    Cancelled,
    /// No thread could be had, or the work died.
    #[error("{0}")]
    Internal(String),
}
