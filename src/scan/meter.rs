//! Counters of the work of all scans of a service together.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::sharded::Sharded;

/// The work of all scans of a service together. It never goes back, even where a read fails.
#[derive(Debug, Default)]
pub struct Meter(Sharded<Work>);

#[derive(Debug, Default)]
struct Work {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Meter {
    /// Files read to their end, or given up on.
    pub fn files(&self) -> u64 {
        self.0.sum(|work| &work.files)
    }

    /// Bytes read and hashed.
    pub fn bytes(&self) -> u64 {
        self.0.sum(|work| &work.bytes)
    }

    pub(super) fn read(&self, bytes: u64) {
        self.0.own().bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn finished_file(&self) {
        self.0.own().files.fetch_add(1, Relaxed);
    }
}
