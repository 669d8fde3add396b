//! What every scanning function is handed: a cancel flag, the counters of work done, and how files are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::cache::DigestCache;
use super::engine::Engine;
use super::progress::Progress;

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

/// Cancel flag and counters of one scan. Clones share both.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Asks the scan to stop.
    pub cancel: Cancel,
    /// Work done so far.
    pub progress: Arc<Progress>,
}

impl Context {
    /// A scan by this engine.
    pub fn of(engine: &Arc<Engine>) -> Self {
        Self { cancel: Cancel::default(), progress: Arc::new(Progress::of(Arc::clone(engine))) }
    }

    /// Where digests are remembered, if they are.
    pub fn cache(&self) -> Option<&DigestCache> {
        self.engine().cache().map(Arc::as_ref)
    }

    /// How this scan reads files.
    pub(super) fn engine(&self) -> &Engine {
        self.progress.engine()
    }
}
