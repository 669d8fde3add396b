//! The embedded store behind the digest cache. It may be lost at any time: what is not found is read.

use std::collections::hash_map::RandomState;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use redb::{Builder, Database, DatabaseError, WriteTransaction};

use super::records::{DIGESTS, key, record, seconds};
use super::settled::{now_nanos, settled};
use crate::model::{Blake3Digest, CacheMode};
use crate::scan::identity::FileIdentity;

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
    pub(super) database: Database,
    pub(super) mode: CacheMode,
    max_age: Duration,
    batch: Mutex<Vec<(FileIdentity, i64, Blake3Digest)>>,
    pruned: AtomicI64,
    /// A write failed: nothing more is recorded.
    failed: AtomicBool,
    /// How often a record proved wrong and all were forgotten.
    discredits: AtomicU64,
    /// Records that were to be forgotten may still stand there: nothing is looked up any more.
    pub(super) unusable: AtomicBool,
    pub(super) draws: RandomState,
}

impl DigestCache {
    /// Opens or makes the store in `state_dir`; one that is damaged is renamed and kept. Records older than `max_age` are not
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
                let damaged = path.with_extension("redb.damaged");
                tracing::warn!(path = %path.display(), %error, "the digest cache cannot be used and starts empty");
                std::fs::rename(&path, &damaged).map_err(|_| failed(error.to_string()))?;
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

    /// Drops what is too old to be believed, once a day. Goes through all records, so do not call it while
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

    pub(super) fn is_young(&self, read: i64, now: i64) -> bool {
        now.saturating_sub(read) <= i64::try_from(self.max_age.as_secs()).unwrap_or(i64::MAX)
    }

    fn write(&self, records: Vec<(FileIdentity, i64, Blake3Digest)>) {
        let written = self.transact(|transaction| {
            let mut table = transaction.open_table(DIGESTS)?;
            for (identity, read, digest) in records {
                table.insert(key(&identity), record(&identity, read, digest))?;
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

    pub(super) fn give_up(&self, error: &dyn std::fmt::Display) {
        if !self.failed.swap(true, Relaxed) {
            tracing::warn!(%error, "digests are no longer recorded");
        }
    }

    fn batch(&self) -> MutexGuard<'_, Vec<(FileIdentity, i64, Blake3Digest)>> {
        self.batch.lock()
    }
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
        assert_eq!(view.digest(&FileIdentity { inode: 2, ..file }), None);
        assert_eq!(view.digest(&FileIdentity { changed: (LONG_AGO, 7), ..file }), None);
    }

    #[test]
    fn a_file_that_changed_just_before_it_was_read_is_not_recorded() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(&dir, DAY);
        cache.record(&identity(1), Blake3Digest([1; 32]), i128::from(LONG_AGO + 1) * 1_000_000_000);
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
