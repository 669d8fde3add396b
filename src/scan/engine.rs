//! What all scans of a service share: how files are read, how fast, and what is remembered of earlier reads.

use std::sync::Arc;

use super::cache::DigestCache;
use super::limit::ReadLimit;
use super::meter::Meter;
use super::places::Places;

/// How files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadMode {
    /// Through the page cache, which is left as it was found: what it held stays, what it did not hold is dropped again.
    #[default]
    PageCache,
    /// Around the page cache, from the media, where the file system can; through it where it cannot.
    Direct,
}

/// The scanning engine of a service or a command.
#[derive(Debug, Default)]
pub struct Engine {
    meter: Arc<Meter>,
    mode: ReadMode,
    limit: Option<ReadLimit>,
    cache: Option<Arc<DigestCache>>,
    places: Arc<Places>,
}

impl Engine {
    /// An engine that reads in this mode, at most as fast as the limit says, and remembers digests in the cache.
    pub fn new(mode: ReadMode, limit: Option<ReadLimit>, cache: Option<Arc<DigestCache>>) -> Self {
        Self { meter: Arc::default(), mode, limit, cache, places: Arc::default() }
    }

    /// The same engine with another limit.
    pub fn limited(&self, limit: Option<ReadLimit>) -> Self {
        let (meter, places) = (Arc::clone(&self.meter), Arc::clone(&self.places));
        Self { meter, mode: self.mode, limit, cache: self.cache.clone(), places }
    }

    /// The work of all its scans together.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    pub(super) fn mode(&self) -> ReadMode {
        self.mode
    }

    pub(super) fn limit(&self) -> Option<&ReadLimit> {
        self.limit.as_ref()
    }

    /// Those for files that are held open while their bytes are fetched.
    pub(super) fn places(&self) -> &Arc<Places> {
        &self.places
    }

    /// Where digests are remembered, if they are.
    pub fn cache(&self) -> Option<&Arc<DigestCache>> {
        self.cache.as_ref()
    }
}
