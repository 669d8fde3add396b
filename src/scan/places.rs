//! How many files are held open at the same time, each for what the system fetches of it.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::descriptors::of_prefetches;

/// Places for files that are held open while their bytes are fetched: those of all scans of an engine.
#[derive(Debug)]
pub(super) struct Places {
    taken: AtomicUsize,
    most: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self { taken: AtomicUsize::new(0), most: of_prefetches() }
    }
}

impl Places {
    /// Takes one, unless all are taken.
    pub(super) fn take(&self) -> bool {
        let free = self.taken.fetch_add(1, Relaxed) < self.most;
        if !free {
            self.give_back();
        }
        free
    }

    /// One is free again.
    pub(super) fn give_back(&self) {
        self.taken.fetch_sub(1, Relaxed);
    }

    /// How many are taken.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Relaxed)
    }
}
