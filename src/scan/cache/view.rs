//! Looking up recorded digests, and whether they are believed.

use std::hash::BuildHasher as _;
use std::sync::atomic::Ordering::SeqCst;

use redb::{ReadOnlyTable, ReadableDatabase as _};

use super::records::{DIGESTS, Key, Record, key, recorded, seconds};
use super::settled::now_nanos;
use super::store::DigestCache;
use crate::model::{Blake3Digest, CacheMode};
use crate::scan::identity::FileIdentity;

impl DigestCache {
    /// What is recorded by now. `None` where it cannot be read; then nothing is known.
    pub fn view(&self) -> Option<CacheView<'_>> {
        if self.unusable.load(SeqCst) {
            return None;
        }
        let read = || Ok::<_, redb::Error>(self.database.begin_read()?.open_table(DIGESTS)?);
        let discredits = self.discredits();
        match read() {
            Ok(table) => Some(CacheView { cache: self, table, now: seconds(now_nanos()), discredits }),
            Err(error) => {
                self.give_up(&error);
                None
            }
        }
    }
}

/// What was recorded when the view was made.
pub struct CacheView<'a> {
    cache: &'a DigestCache,
    pub(super) table: ReadOnlyTable<Key, Record>,
    now: i64,
    /// How often records had proved wrong before it was made.
    discredits: u64,
}

impl CacheView<'_> {
    /// The recorded digest of a file with exactly this identity.
    pub(in crate::scan) fn digest(&self, identity: &FileIdentity) -> Option<Blake3Digest> {
        let found = self.table.get(key(identity));
        let found = found.unwrap_or_else(|error| {
            self.cache.give_up(&error);
            None
        })?;
        let (read, digest) = recorded(found.value(), identity)?;
        let believed = self.cache.discredits() == self.discredits && self.cache.is_young(read, self.now);
        believed.then_some(digest)
    }

    /// Whether recorded digests are looked at at all.
    pub(in crate::scan) fn is_asked(&self) -> bool {
        self.cache.mode != CacheMode::Record
    }

    /// Whether a file with a recorded digest is read all the same.
    pub(in crate::scan) fn reads_recorded(&self, identity: &FileIdentity) -> bool {
        let draw = self.cache.draws.hash_one((key(identity), self.now));
        self.cache.mode.reads_recorded(draw)
    }

    /// Where digests are recorded.
    pub(in crate::scan) fn cache(&self) -> &DigestCache {
        self.cache
    }
}
