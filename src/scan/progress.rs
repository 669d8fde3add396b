//! Counters of the work of one scan.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::sharded::Sharded;
use crate::model::Provenance;

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
pub struct Progress(Sharded<Counts>);

#[derive(Debug, Default)]
struct Counts {
    files_total: AtomicU64,
    bytes_total: AtomicU64,
    files_hashed: AtomicU64,
    bytes_hashed: AtomicU64,
    files_opened: AtomicU64,
    directories_listed: AtomicU64,
    second_looks: AtomicU64,
    page_cache_bytes: AtomicU64,
    media_bytes: AtomicU64,
    direct_bytes: AtomicU64,
    unknown_bytes: AtomicU64,
    linked_files: AtomicU64,
    linked_bytes: AtomicU64,
    trusted_files: AtomicU64,
    trusted_bytes: AtomicU64,
    audited_files: AtomicU64,
    unrecordable_files: AtomicU64,
    reads_in_flight: AtomicU64,
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
    /// Bytes hashed, each file's once: those of a read that failed, or that was repeated since the file changed, are taken back.
    pub bytes_hashed: u64,
    /// Times a file was opened for reading, repetitions included.
    pub files_opened: u64,
    /// Times a directory was listed, repetitions included.
    pub directories_listed: u64,
    /// Times a directory was looked at once more: each costs three system calls, whatever it holds.
    pub second_looks: u64,
}

impl Progress {
    /// The counters now.
    pub fn snapshot(&self) -> ProgressSnapshot {
        let sum = |counter: fn(&Counts) -> &AtomicU64| self.0.sum(counter);
        ProgressSnapshot {
            files_total: sum(|counts| &counts.files_total),
            bytes_total: sum(|counts| &counts.bytes_total),
            files_hashed: sum(|counts| &counts.files_hashed),
            bytes_hashed: sum(|counts| &counts.bytes_hashed),
            files_opened: sum(|counts| &counts.files_opened),
            directories_listed: sum(|counts| &counts.directories_listed),
            second_looks: sum(|counts| &counts.second_looks),
        }
    }

    /// Where everything so far came from.
    pub fn provenance(&self) -> Provenance {
        let sum = |counter: fn(&Counts) -> &AtomicU64| self.0.sum(counter);
        Provenance {
            page_cache_bytes: sum(|counts| &counts.page_cache_bytes),
            media_bytes: sum(|counts| &counts.media_bytes),
            direct_bytes: sum(|counts| &counts.direct_bytes),
            unknown_bytes: sum(|counts| &counts.unknown_bytes),
            linked_files: sum(|counts| &counts.linked_files),
            linked_bytes: sum(|counts| &counts.linked_bytes),
            trusted_files: sum(|counts| &counts.trusted_files),
            trusted_bytes: sum(|counts| &counts.trusted_bytes),
            audited_files: sum(|counts| &counts.audited_files),
            unrecordable_files: sum(|counts| &counts.unrecordable_files),
            reads_in_flight: self.0.most(|counts| &counts.reads_in_flight),
        }
    }

    /// Files were listed, and the sum of their sizes.
    pub(super) fn found(&self, (files, bytes): (u64, u64)) {
        self.0.own().files_total.fetch_add(files, Relaxed);
        self.0.own().bytes_total.fetch_add(bytes, Relaxed);
    }

    /// They are listed again, or gone.
    pub(super) fn lost(&self, (files, bytes): (u64, u64)) {
        self.0.own().files_total.fetch_sub(files, Relaxed);
        self.0.own().bytes_total.fetch_sub(bytes, Relaxed);
    }

    /// So many reads may be in flight while something is read from the media.
    pub(super) fn reads_in_flight(&self, reads: u64) {
        self.0.own().reads_in_flight.fetch_max(reads, Relaxed);
    }

    /// A directory was listed.
    pub(super) fn listed(&self) {
        self.0.own().directories_listed.fetch_add(1, Relaxed);
    }

    /// A directory had a further look.
    pub(super) fn looked_again(&self) {
        self.0.own().second_looks.fetch_add(1, Relaxed);
    }

    pub(super) fn opened(&self) {
        self.0.own().files_opened.fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self, bytes: u64, origin: Origin) {
        let counts = self.0.own();
        let from = match origin {
            Origin::PageCache => &counts.page_cache_bytes,
            Origin::Media => &counts.media_bytes,
            Origin::Direct => &counts.direct_bytes,
            Origin::Unknown => &counts.unknown_bytes,
        };
        from.fetch_add(bytes, Relaxed);
        counts.bytes_hashed.fetch_add(bytes, Relaxed);
    }

    pub(super) fn take_back(&self, bytes: u64) {
        self.0.own().bytes_hashed.fetch_sub(bytes, Relaxed);
    }

    /// A file is known by another of its names.
    pub(super) fn linked(&self, bytes: u64) {
        self.0.own().linked_files.fetch_add(1, Relaxed);
        self.0.own().linked_bytes.fetch_add(bytes, Relaxed);
    }

    /// A file's recorded digest was trusted.
    pub(super) fn trusted(&self, bytes: u64) {
        self.0.own().trusted_files.fetch_add(1, Relaxed);
        self.0.own().trusted_bytes.fetch_add(bytes, Relaxed);
    }

    /// A file has the digest that was recorded of it.
    pub(super) fn audited(&self) {
        self.0.own().audited_files.fetch_add(1, Relaxed);
    }

    /// The digest of a file that was read cannot be recorded.
    pub(super) fn unrecordable(&self) {
        self.0.own().unrecordable_files.fetch_add(1, Relaxed);
    }

    /// One more file is hashed, known without, or given up on.
    pub(super) fn finished_file(&self) {
        self.0.own().files_hashed.fetch_add(1, Relaxed);
    }
}
