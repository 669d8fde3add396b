//! The embedded store behind the digest cache. It may be lost at any time: what is not found is read.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use redb::{Builder, Database, DatabaseError, ReadOnlyTable, ReadableDatabase as _, TableDefinition, WriteTransaction};

use super::{now_nanos, settled};
use crate::model::{Blake3Digest, CacheMode};
use crate::scan::identity::FileIdentity;

/// Device and inode.
type Key = (u64, u64);

/// Size, modification time and change time (seconds and nanoseconds each), the second of the read, and the BLAKE3.
type Record = (u64, i64, i64, i64, i64, i64, [u8; 32]);

/// A file that takes another's inode takes its record.
const DIGESTS: TableDefinition<'_, Key, Record> = TableDefinition::new("blake3 v1");

/// The file's name in the state directory.
const FILE: &str = "digests.redb";

/// What the store may hold of its file in memory, in bytes.
const MEMORY: usize = 16 << 20;

/// How many records are written in one transaction; some five megabytes.
const BATCH: usize = 1 << 16;

/// How often records that are too old are dropped.
const PRUNE_EVERY_SECONDS: i64 = 24 * 3600;

/// The cache cannot be kept. Names the file.
#[derive(Debug, thiserror::Error)]
#[error("digest cache {}: {cause}", path.display())]
pub struct CacheError {
    /// The store's file.
    pub path: PathBuf,
    /// What went wrong.
    pub cause: String,
}

/// Digests by the identity of their files. All calls block.
#[derive(Debug)]
pub struct DigestCache {
    path: PathBuf,
    database: Database,
    mode: CacheMode,
    max_age: Duration,
    batch: Mutex<Vec<(FileIdentity, i64, Blake3Digest)>>,
    pruned: AtomicI64,
    /// A write failed: nothing more is recorded.
    failed: AtomicBool,
    /// How often a record proved wrong and all were forgotten.
    discredits: AtomicU64,
    /// Records that were to be forgotten may still stand there: nothing is looked up any more.
    unusable: AtomicBool,
    draws: RandomState,
}

impl DigestCache {
    /// Opens or makes the store in `state_dir`; one that is damaged is put aside. Records older than `max_age` are not
    /// believed.
    pub fn open(state_dir: &Path, mode: CacheMode, max_age: Duration) -> Result<Self, CacheError> {
        let path = state_dir.join(FILE);
        let failed = |cause: String| CacheError { path: path.clone(), cause };
        std::fs::create_dir_all(state_dir).map_err(|error| failed(error.to_string()))?;
        let create = || Builder::new().set_cache_size(MEMORY).create(&path);
        let database = match create() {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) => {
                return Err(failed("another twintree is using this state directory".to_owned()));
            }
            Err(error) => {
                let aside = path.with_extension("redb.damaged");
                tracing::warn!(path = %path.display(), %error, "the digest cache cannot be used and begins anew");
                std::fs::rename(&path, &aside).map_err(|_| failed(error.to_string()))?;
                create().map_err(|error| failed(error.to_string()))?
            }
        };
        let cache = Self {
            path: path.clone(),
            database,
            mode,
            max_age,
            batch: Mutex::default(),
            pruned: AtomicI64::new(seconds(now_nanos())),
            failed: AtomicBool::new(false),
            discredits: AtomicU64::new(0),
            unusable: AtomicBool::new(false),
            draws: RandomState::new(),
        };
        cache.transact(|transaction| transaction.open_table(DIGESTS).map(drop).map_err(Into::into))?;
        Ok(cache)
    }

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

    /// Records the digest of a read that began at `read_began`, unless the file changed so shortly before that a further
    /// change might not show.
    pub(in crate::scan) fn record(&self, identity: &FileIdentity, digest: Blake3Digest, read_began: i128) {
        if !settled(identity, read_began) || self.failed.load(Relaxed) {
            return;
        }
        let mut batch = self.batch();
        batch.push((*identity, seconds(read_began), digest));
        if batch.len() >= BATCH {
            let records = std::mem::take(&mut *batch);
            drop(batch);
            self.write(records);
        }
    }

    /// Writes what is recorded and not written yet.
    pub fn flush(&self) {
        let records = std::mem::take(&mut *self.batch());
        if !records.is_empty() {
            self.write(records);
        }
    }

    /// Drops what is too old to be believed, once a day. Goes through all records, so it is nothing for the time in which
    /// somebody waits for a verification.
    pub fn prune(&self) {
        let now = seconds(now_nanos());
        if now - self.pruned.load(Relaxed) >= PRUNE_EVERY_SECONDS {
            self.pruned.store(now, Relaxed);
            let young = |read: i64| self.is_young(read, now);
            let pruned = self.transact(|transaction| {
                transaction.open_table(DIGESTS)?.retain(|_, (.., read, _)| young(read))?;
                Ok(())
            });
            self.log(pruned);
        }
    }

    /// Forgets everything: one record was wrong, so none can be believed.
    pub(in crate::scan) fn forget_all(&self) {
        self.discredits.fetch_add(1, SeqCst);
        self.batch().clear();
        self.forget_by(|transaction| {
            transaction.delete_table(DIGESTS)?;
            transaction.open_table(DIGESTS)?;
            Ok(())
        });
    }

    fn forget_by(&self, empty: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>) {
        let forgotten = self.transact(empty);
        if let Err(error) = forgotten {
            // A full disk, say: what cannot be emptied is believed by nobody any more, here or after the next start.
            self.unusable.store(true, SeqCst);
            let removed = std::fs::remove_file(&self.path);
            tracing::error!(%error, removed = removed.is_ok(), "wrong digests cannot be dropped; none is used any more");
        }
    }

    /// How often a record proved wrong. What was trusted before the last time is worth nothing.
    pub fn discredits(&self) -> u64 {
        self.discredits.load(SeqCst)
    }

    fn is_young(&self, read: i64, now: i64) -> bool {
        now.saturating_sub(read) <= i64::try_from(self.max_age.as_secs()).unwrap_or(i64::MAX)
    }

    fn write(&self, records: Vec<(FileIdentity, i64, Blake3Digest)>) {
        let written = self.transact(|transaction| {
            let mut table = transaction.open_table(DIGESTS)?;
            for (identity, read, digest) in records {
                let (modified, changed) = (identity.modified, identity.changed);
                let value = (identity.size, modified.0, modified.1, changed.0, changed.1, read, digest.0);
                table.insert((identity.device, identity.inode), value)?;
            }
            Ok(())
        });
        self.log(written);
    }

    fn transact(&self, work: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>) -> Result<(), CacheError> {
        let run = || {
            let mut transaction = self.database.begin_write()?;
            // A store that was not closed in order must open as fast as one that was.
            transaction.set_quick_repair(true);
            work(&transaction)?;
            Ok(transaction.commit()?)
        };
        run().map_err(|error: redb::Error| CacheError { path: self.path.clone(), cause: error.to_string() })
    }

    /// A cache that fails costs time and proves nothing wrong: the scan goes on without it.
    fn log(&self, result: Result<(), CacheError>) {
        if let Err(error) = result {
            self.give_up(&error);
        }
    }

    fn give_up(&self, error: &dyn std::fmt::Display) {
        if !self.failed.swap(true, Relaxed) {
            tracing::warn!(%error, "digests are no longer recorded");
        }
    }

    fn batch(&self) -> MutexGuard<'_, Vec<(FileIdentity, i64, Blake3Digest)>> {
        self.batch.lock()
    }
}

/// What was recorded when the view was made.
pub struct CacheView<'a> {
    cache: &'a DigestCache,
    table: ReadOnlyTable<Key, Record>,
    now: i64,
    /// How often records had proved wrong before it was made.
    discredits: u64,
}

impl CacheView<'_> {
    /// The recorded digest of a file with exactly this identity.
    pub(in crate::scan) fn digest(&self, identity: &FileIdentity) -> Option<Blake3Digest> {
        let found = self.table.get((identity.device, identity.inode));
        let found = found.unwrap_or_else(|error| {
            self.cache.give_up(&error);
            None
        })?;
        let (size, modified, modified_nanos, changed, changed_nanos, read, digest) = found.value();
        let same = size == identity.size
            && (modified, modified_nanos) == identity.modified
            && (changed, changed_nanos) == identity.changed;
        let believed = self.cache.discredits() == self.discredits && self.cache.is_young(read, self.now);
        (same && believed).then_some(Blake3Digest(digest))
    }

    /// Whether recorded digests are looked at at all.
    pub(in crate::scan) fn is_asked(&self) -> bool {
        self.cache.mode != CacheMode::Record
    }

    /// Whether a file with a recorded digest is read all the same.
    pub(in crate::scan) fn reads_recorded(&self, identity: &FileIdentity) -> bool {
        let draw = self.cache.draws.hash_one((identity.device, identity.inode, self.now));
        self.cache.mode.reads_recorded(draw)
    }

    /// Where digests are recorded.
    pub(in crate::scan) fn cache(&self) -> &DigestCache {
        self.cache
    }
}

fn seconds(nanos: i128) -> i64 {
    i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const LONG_AGO: i64 = 1_700_000_000;

    fn identity(inode: u64) -> FileIdentity {
        let file = tempfile::NamedTempFile::new().unwrap();
        let of = FileIdentity::of(&rustix::fs::fstat(&file).unwrap());
        FileIdentity { device: 7, inode, size: 3, modified: (LONG_AGO, 5), changed: (LONG_AGO, 6), ..of }
    }

    fn open(dir: &tempfile::TempDir, max_age: Duration) -> DigestCache {
        DigestCache::open(dir.path(), CacheMode::Trust, max_age).unwrap()
    }

    #[test]
    fn a_record_is_found_again_by_exactly_its_identity() {
        let dir = tempfile::tempdir().unwrap();
        let (file, digest) = (identity(1), Blake3Digest([9; 32]));
        let cache = open(&dir, DAY);
        cache.record(&file, digest, now_nanos());
        assert_eq!(cache.view().unwrap().digest(&file), None, "not written yet");
        cache.flush();
        drop(cache);
        let cache = open(&dir, DAY);
        let view = cache.view().unwrap();
        assert_eq!(view.digest(&file), Some(digest));
        let others = [
            FileIdentity { device: 8, ..file },
            FileIdentity { inode: 2, ..file },
            FileIdentity { size: 4, ..file },
            FileIdentity { modified: (LONG_AGO, 6), ..file },
            FileIdentity { modified: (LONG_AGO - 1, 5), ..file },
            FileIdentity { changed: (LONG_AGO, 7), ..file },
            FileIdentity { changed: (LONG_AGO + 1, 6), ..file },
        ];
        for other in others {
            assert_eq!(view.digest(&other), None, "{other:?}");
        }
    }

    #[test]
    fn a_file_that_changed_just_before_it_was_read_is_not_recorded() {
        let second = 1_000_000_000;
        let changed = i128::from(LONG_AGO) * second + 6;
        assert!(!settled(&identity(1), changed));
        assert!(!settled(&identity(1), changed + 2 * second - 1));
        assert!(settled(&identity(1), changed + 2 * second));
        assert!(!settled(&FileIdentity { changed: (i64::MAX, 0), ..identity(1) }, now_nanos()));
        let dir = tempfile::tempdir().unwrap();
        let cache = open(&dir, DAY);
        cache.record(&identity(1), Blake3Digest([1; 32]), changed + second);
        cache.flush();
        assert_eq!(cache.view().unwrap().digest(&identity(1)), None);
    }

    #[test]
    fn what_was_read_too_long_ago_is_not_believed_and_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(&dir, DAY);
        cache.record(&identity(1), Blake3Digest([1; 32]), now_nanos() - 2 * DAY.as_nanos() as i128);
        cache.record(&identity(2), Blake3Digest([2; 32]), now_nanos());
        cache.flush();
        assert_eq!(cache.view().unwrap().digest(&identity(1)), None);
        cache.pruned.store(0, Relaxed);
        cache.prune();
        let view = cache.view().unwrap();
        assert!(view.table.get((7, 1)).unwrap().is_none() && view.digest(&identity(2)).is_some());
    }

    #[test]
    fn everything_can_be_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(&dir, DAY);
        cache.record(&identity(1), Blake3Digest([1; 32]), now_nanos());
        cache.flush();
        cache.record(&identity(2), Blake3Digest([1; 32]), now_nanos());
        cache.forget_all();
        cache.flush();
        let view = cache.view().unwrap();
        assert!(view.digest(&identity(1)).is_none() && view.digest(&identity(2)).is_none());
    }

    /// As where the disk is full: the records stand there still, and must not come back.
    #[test]
    fn what_cannot_be_forgotten_is_not_believed_here_or_after_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(&dir, DAY);
        cache.record(&identity(1), Blake3Digest([1; 32]), now_nanos());
        cache.flush();
        cache.forget_by(|_| Err(redb::Error::Io(std::io::Error::from_raw_os_error(28))));
        assert!(cache.view().is_none());
        drop(cache);
        assert_eq!(open(&dir, DAY).view().unwrap().digest(&identity(1)), None);
    }

    #[test]
    fn a_damaged_store_is_put_aside_and_a_used_one_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), b"not a database at all").unwrap();
        let cache = open(&dir, DAY);
        assert!(dir.path().join("digests.redb.damaged").exists());
        let second = DigestCache::open(dir.path(), CacheMode::Trust, DAY).unwrap_err();
        assert!(second.to_string().ends_with("another twintree is using this state directory"), "{second}");
        drop(cache);
        let file = dir.path().join("file");
        std::fs::write(&file, b"").unwrap();
        assert!(DigestCache::open(&file, CacheMode::Trust, DAY).is_err());
    }
}
