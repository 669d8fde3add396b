//! A task as the history keeps it.

use serde::{Deserialize, Serialize};

use super::kind::Kind;

/// A task as the history keeps it.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct StoredTask<K: Kind> {
    /// The instance it is about.
    pub instance: u64,
    /// Where it stood when it was last written.
    pub status: K::Status,
    /// What was asked for.
    pub request: K::Request,
    /// How often it was taken up again after its service had died.
    pub restarts: u32,
}

impl<K: Kind> Clone for StoredTask<K> {
    fn clone(&self) -> Self {
        let Self { instance, status, request, restarts } = self;
        Self { instance: *instance, status: status.clone(), request: request.clone(), restarts: *restarts }
    }
}

impl<K: Kind> std::fmt::Debug for StoredTask<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredTask")
            .field("instance", &self.instance)
            .field("status", &self.status)
            .field("restarts", &self.restarts)
            .finish_non_exhaustive()
    }
}
