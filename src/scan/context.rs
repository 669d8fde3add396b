//! What every scanning function is handed: a cancel flag, the counters of work done, and how files are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::cache::DigestCache;
use super::cancel::Cancel;
use super::engine::Engine;
use super::progress::{Origin, Progress};
use super::readers::{count_media, in_flight};

/// Cancel flag, counters and engine of one scan. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Asks the scan to stop.
    pub cancel: Cancel,
    /// Work done so far.
    pub progress: Arc<Progress>,
    engine: Arc<Engine>,
    /// How many small files are fetched at the moment.
    fetching: Arc<AtomicUsize>,
}

/// Small files are fetched meanwhile.
pub(super) struct Fetching {
    files: usize,
    of: Arc<AtomicUsize>,
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.of.fetch_sub(self.files, Relaxed);
    }
}

impl Context {
    /// A scan by this engine.
    pub fn of(engine: &Arc<Engine>) -> Self {
        Self { engine: Arc::clone(engine), ..Self::default() }
    }

    /// Where digests are remembered, if they are.
    pub fn cache(&self) -> Option<&DigestCache> {
        self.engine.cache().map(Arc::as_ref)
    }

    /// How this scan reads files.
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Counts bytes that were read and hashed, for this scan and for all scans of the engine.
    pub(super) fn read(&self, bytes: u64, origin: Origin) {
        if origin != Origin::PageCache {
            count_media();
        }
        if matches!(origin, Origin::Media | Origin::Direct) {
            self.progress.reads_in_flight(in_flight() as u64);
        }
        self.progress.read(bytes, origin);
        self.engine.meter().read(bytes);
    }

    /// So many files more are fetched for this scan, until the guard is dropped.
    pub(super) fn fetching(&self, files: usize) -> Fetching {
        let now = self.fetching.fetch_add(files, Relaxed) + files;
        self.progress.reads_in_flight(now as u64);
        Fetching { files, of: Arc::clone(&self.fetching) }
    }

    /// One more file is hashed, known without, or given up on.
    pub fn finished_file(&self) {
        self.progress.finished_file();
        self.engine.meter().finished_file();
    }
}
