//! Counters of the work of scans.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::engine::Engine;
use crate::model::Provenance;

/// The work of all scans of a service together. It never goes back, whatever becomes of a single read.
#[derive(Debug, Default)]
pub struct Meter {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Meter {
    /// Files read to their end, or given up on.
    pub fn files(&self) -> u64 {
        self.files.load(Relaxed)
    }

    /// Bytes read and hashed.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }
}

/// Where some bytes were read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The page cache held them.
    PageCache,
    /// The page cache did not hold them.
    Media,
    /// They were read around the page cache.
    Direct,
    /// The system does not say.
    Unknown,
}

/// Counters of the work of one scan, shared with whoever shows them.
#[derive(Debug, Default)]
pub struct Progress {
    files_total: AtomicU64,
    bytes_total: AtomicU64,
    files_hashed: AtomicU64,
    bytes_hashed: AtomicU64,
    files_opened: AtomicU64,
    page_cache_bytes: AtomicU64,
    media_bytes: AtomicU64,
    direct_bytes: AtomicU64,
    unknown_bytes: AtomicU64,
    linked_files: AtomicU64,
    linked_bytes: AtomicU64,
    trusted_files: AtomicU64,
    trusted_bytes: AtomicU64,
    audited_files: AtomicU64,
    engine: Arc<Engine>,
}

/// One look at the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProgressSnapshot {
    /// Files the walk has found so far, of any kind but directories.
    pub files_total: u64,
    /// The sum of their sizes in bytes.
    pub bytes_total: u64,
    /// Files done: hashed, known without, or given up on.
    pub files_hashed: u64,
    /// Bytes hashed; those of a read that failed are taken back, those of a file that changed meanwhile are not.
    pub bytes_hashed: u64,
    /// Times a file was opened for reading, repetitions included.
    pub files_opened: u64,
}

impl Progress {
    pub(super) fn of(engine: Arc<Engine>) -> Self {
        Self { engine, ..Self::default() }
    }

    /// The counters now.
    pub fn snapshot(&self) -> ProgressSnapshot {
        ProgressSnapshot {
            files_total: self.files_total.load(Relaxed),
            bytes_total: self.bytes_total.load(Relaxed),
            files_hashed: self.files_hashed.load(Relaxed),
            bytes_hashed: self.bytes_hashed.load(Relaxed),
            files_opened: self.files_opened.load(Relaxed),
        }
    }

    /// Where everything so far came from.
    pub fn provenance(&self) -> Provenance {
        Provenance {
            page_cache_bytes: self.page_cache_bytes.load(Relaxed),
            media_bytes: self.media_bytes.load(Relaxed),
            direct_bytes: self.direct_bytes.load(Relaxed),
            unknown_bytes: self.unknown_bytes.load(Relaxed),
            linked_files: self.linked_files.load(Relaxed),
            linked_bytes: self.linked_bytes.load(Relaxed),
            trusted_files: self.trusted_files.load(Relaxed),
            trusted_bytes: self.trusted_bytes.load(Relaxed),
            audited_files: self.audited_files.load(Relaxed),
        }
    }

    pub(super) fn found(&self, files: u64, bytes: u64) {
        self.files_total.fetch_add(files, Relaxed);
        self.bytes_total.fetch_add(bytes, Relaxed);
    }

    pub(super) fn opened(&self) {
        self.files_opened.fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self, bytes: u64, origin: Origin) {
        let from = match origin {
            Origin::PageCache => &self.page_cache_bytes,
            Origin::Media => &self.media_bytes,
            Origin::Direct => &self.direct_bytes,
            Origin::Unknown => &self.unknown_bytes,
        };
        from.fetch_add(bytes, Relaxed);
        self.bytes_hashed.fetch_add(bytes, Relaxed);
        self.engine.meter().bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn take_back(&self, bytes: u64) {
        self.bytes_hashed.fetch_sub(bytes, Relaxed);
    }

    /// A file is known by another of its names.
    pub(super) fn linked(&self, bytes: u64) {
        self.linked_files.fetch_add(1, Relaxed);
        self.linked_bytes.fetch_add(bytes, Relaxed);
    }

    /// A file's recorded digest was trusted.
    pub(super) fn trusted(&self, bytes: u64) {
        self.trusted_files.fetch_add(1, Relaxed);
        self.trusted_bytes.fetch_add(bytes, Relaxed);
    }

    /// A file has the digest that was recorded of it.
    pub(super) fn audited(&self) {
        self.audited_files.fetch_add(1, Relaxed);
    }

    /// One more file is hashed, known without, or given up on.
    pub fn finished_file(&self) {
        self.files_hashed.fetch_add(1, Relaxed);
        self.engine.meter().files.fetch_add(1, Relaxed);
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }
}
