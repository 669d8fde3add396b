//! Looking up recorded digests, and whether they are believed.

use std::hash::BuildHasher as _;
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;

use redb::{ReadOnlyTable, ReadableDatabase as _};

use super::digest_cache::DigestCache;
use super::file::{Trouble, guarded};
use super::records::{DIGESTS, Key, Record, Recorded, key, recorded, seconds};
use super::store::Edition;
use crate::model::{Blake3Digest, CacheMode};
use crate::scan::clock::now_nanos;
use crate::scan::file_system::telling_device;
use crate::scan::identity::FileIdentity;

impl DigestCache {
    /// What is recorded by now. `None` where it cannot be read; then nothing is known.
    pub fn view(&self) -> Option<CacheView<'_>> {
        let (table, edition) = self.look(|database, edition| {
            let table = database.begin_read()?.open_table(DIGESTS)?;
            Ok((table, edition))
        })?;
        Some(CacheView { cache: self, table, now: seconds(now_nanos()), edition, telling: OnceLock::new() })
    }
}

/// What was recorded when the view was made. Once records proved wrong it finds nothing and records nothing any more.
pub struct CacheView<'a> {
    cache: &'a DigestCache,
    pub(super) table: ReadOnlyTable<Key, Record>,
    now: i64,
    edition: Edition,
    /// Asked of the first directory whose files are recorded.
    telling: OnceLock<Option<u64>>,
}

impl CacheView<'_> {
    /// The recorded digest of a file with exactly this identity.
    pub(in crate::scan) fn digest(&self, identity: &FileIdentity) -> Option<Blake3Digest> {
        let found = guarded(|| Ok(self.table.get(key(identity))?.map(|found| found.value())));
        match found.map(|found| found.map(|record| recorded(record, identity))) {
            Ok(Some(Recorded::Digest(read, digest))) => {
                (self.is_current() && self.cache.is_young(read, self.now)).then_some(digest)
            }
            Ok(Some(Recorded::Other) | None) => None,
            Ok(Some(Recorded::Damaged)) => {
                self.cache.suffer(&Trouble::Damaged("a record fails its check".to_owned()), self.edition);
                None
            }
            Err(trouble) => {
                self.cache.suffer(&trouble, self.edition);
                None
            }
        }
    }

    /// Whether no record has proved wrong since it was made, or shortly before.
    pub(in crate::scan) fn is_current(&self) -> bool {
        self.edition.discredits == self.cache.discredits()
    }

    /// Records the digest of a read that began at `read_began`, which was after the view was made.
    pub(in crate::scan) fn record(&self, identity: &FileIdentity, digest: Blake3Digest, read_began: i128) {
        self.cache.record(self.edition.discredits, identity, digest, read_began);
    }

    /// One of its records is wrong, so none can be believed.
    pub(in crate::scan) fn discredit(&self) {
        self.cache.discredit(self.edition.discredits);
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

    /// The device of this directory, where a file system is on it that tells of every write. A view is made for one directory; were it
    /// used for another one, on another device, nothing there would be recorded.
    pub(in crate::scan) fn telling_device(&self, directory: BorrowedFd<'_>) -> Option<u64> {
        *self.telling.get_or_init(|| telling_device(directory))
    }
}
