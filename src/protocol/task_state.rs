//! Where a task stands and how far it is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskState {
    /// Accepted, and nothing done yet.
    NotStarted,
    /// Under way.
    InProgress,
    /// Both sides are the same.
    Completed,
    /// They are not, or that could not be found out.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl TaskState {
    /// Whether nothing will change any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotStarted => "NOT_STARTED",
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        })
    }
}

/// Progress of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Requests sent to the source so far.
    pub source_requests: u64,
    /// Files the destination found.
    pub files_total: u64,
    /// Files it hashed.
    pub files_hashed: u64,
    /// Bytes of the files it found.
    pub bytes_total: u64,
    /// Bytes it hashed.
    pub bytes_hashed: u64,
    /// Files the source found (ours).
    pub source_files_total: u64,
    /// Bytes of the files the source found (ours).
    pub source_bytes_total: u64,
    /// Files the source hashed.
    pub source_files_hashed: u64,
    /// Bytes the source hashed.
    pub source_bytes_hashed: u64,
}
