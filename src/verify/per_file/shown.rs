//! What of a run can be shown while it goes on.

use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;

use crate::model::Counters;

/// What can be shown while the work goes on.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub counters: Mutex<Counters>,
    pub source_files: AtomicU64,
    pub source_bytes: AtomicU64,
    pub source_files_hashed: AtomicU64,
    pub source_bytes_hashed: AtomicU64,
}
