//! What every scanning function is handed: a cancel flag and the counters of work done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// A scan was asked to stop. It is neither a difference nor a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// A flag that asks a scan to stop; checked for every directory and every block read.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the scan to stop.
    pub fn cancel(&self) {
        self.0.store(true, Relaxed);
    }

    /// Whether it was asked to.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// A guard that asks the scan to stop when it is dropped.
    pub fn on_drop(self) -> CancelOnDrop {
        CancelOnDrop(self)
    }

    /// An error once the scan was asked to stop.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }
}

/// Whoever holds it wants the scan to go on.
#[derive(Debug)]
pub struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

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

/// Counters of the work of one scan, shared with whoever shows them.
#[derive(Debug, Default)]
pub struct Progress {
    files_total: AtomicU64,
    bytes_total: AtomicU64,
    files_hashed: AtomicU64,
    bytes_hashed: AtomicU64,
    files_opened: AtomicU64,
    meter: Arc<Meter>,
}

/// One look at the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProgressSnapshot {
    /// Files the walk has found so far, of any kind but directories.
    pub files_total: u64,
    /// The sum of their sizes in bytes.
    pub bytes_total: u64,
    /// Files done: hashed, or given up on.
    pub files_hashed: u64,
    /// Bytes hashed; those of a read that failed are taken back, those of a file that changed meanwhile are not.
    pub bytes_hashed: u64,
    /// Times a file was opened for reading, repetitions included.
    pub files_opened: u64,
}

impl Progress {
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

    pub(super) fn found(&self, files: u64, bytes: u64) {
        self.files_total.fetch_add(files, Relaxed);
        self.bytes_total.fetch_add(bytes, Relaxed);
    }

    pub(super) fn opened(&self) {
        self.files_opened.fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self, bytes: u64) {
        self.bytes_hashed.fetch_add(bytes, Relaxed);
        self.meter.bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn take_back(&self, bytes: u64) {
        self.bytes_hashed.fetch_sub(bytes, Relaxed);
    }

    /// One more file is hashed or given up on.
    pub fn finished_file(&self) {
        self.files_hashed.fetch_add(1, Relaxed);
        self.meter.files.fetch_add(1, Relaxed);
    }
}

/// Cancel flag and counters of one scan. Clones share both.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Asks the scan to stop.
    pub cancel: Cancel,
    /// Work done so far.
    pub progress: Arc<Progress>,
}

impl Context {
    /// A scan whose work counts into this meter, too.
    pub fn metered(meter: &Arc<Meter>) -> Self {
        let progress = Progress { meter: Arc::clone(meter), ..Progress::default() };
        Self { cancel: Cancel::default(), progress: Arc::new(progress) }
    }
}
