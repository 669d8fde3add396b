//! What every scanning function is handed: a cancel flag, the counters of work done, and how files are read.

use std::sync::Arc;

use super::cache::DigestCache;
use super::cancel::Cancel;
use super::engine::Engine;
use super::progress::{Origin, Progress};
use super::readers::{count_media, in_flight};

/// Cancel flag, counters and engine of one scan. Clones share all three.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Asks the scan to stop.
    pub cancel: Cancel,
    /// Work done so far.
    pub progress: Arc<Progress>,
    engine: Arc<Engine>,
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

    /// Small files are being fetched: so many reads are in flight now.
    pub(super) fn prefetching(&self) {
        self.progress.reads_in_flight(self.engine.places().taken() as u64);
    }

    /// One more file is hashed, known without, or given up on.
    pub fn finished_file(&self) {
        self.progress.finished_file();
        self.engine.meter().finished_file();
    }
}
