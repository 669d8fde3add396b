//! Whether a host's migration is complete.

use serde::{Deserialize, Serialize};

/// The two states of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MigrationState {
    /// Files may be copied and verified.
    NotCompleted,
    /// Somebody marked it complete; nothing more is served or verified.
    Completed,
}

/// The body of the status routes, and what stands in the staging directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationStatus {
    /// The state.
    pub state: MigrationState,
    /// When it was marked complete, in milliseconds since the epoch; null where it is not.
    pub end_time: Option<i64>,
}

impl MigrationStatus {
    /// Nobody has marked it complete.
    pub const NOT_COMPLETED: Self = Self { state: MigrationState::NotCompleted, end_time: None };

    /// Marked complete at this moment.
    pub fn completed(end_time: i64) -> Self {
        Self { state: MigrationState::Completed, end_time: Some(end_time) }
    }
}
