//! The embedded store behind the digest cache. It may be lost at any time: what is not found is read.

use std::collections::hash_map::RandomState;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard, RwLock};
use redb::{Database, WriteTransaction};

use super::file::{CacheError, Trouble, guarded, open, throw_away};
use super::records::{DIGESTS, key, record, seconds};
use super::settled::settled;
use crate::model::{Blake3Digest, CacheMode};
use crate::scan::clock::now_nanos;
use crate::scan::identity::FileIdentity;

/// The file's name in the state directory.
pub(super) const FILE: &str = "digests.redb";

/// How many records are written in one transaction; some five megabytes.
const BATCH: usize = 1 << 16;

/// How often records that are too old are dropped.
const PRUNE_EVERY_SECONDS: i64 = 24 * 3600;

/// Digests by the identity of their files. All calls block.
#[derive(Debug)]
pub struct DigestCache {
    path: PathBuf,
    /// `None` after a failed write: the store refuses everything then until it is opened again.
    database: RwLock<Option<Database>>,
    pub(super) mode: CacheMode,
    max_age: Duration,
    batch: Mutex<Vec<(FileIdentity, i64, Blake3Digest)>>,
    pub(super) pruned: AtomicI64,
    /// The last write failed: records wait, up to a batch of them, until the next flush.
    failed: AtomicBool,
    /// How often a record proved wrong and all were forgotten.
    discredits: AtomicU64,
    /// Records that were to be forgotten may still stand there: nothing is looked up any more.
    unusable: AtomicBool,
    pub(super) draws: RandomState,
}

impl DigestCache {
    /// Opens or makes the store in `state_dir`; one that is damaged is thrown away. Records older than `max_age` are not
    /// believed.
    pub fn open(state_dir: &Path, mode: CacheMode, max_age: Duration) -> Result<Self, CacheError> {
        let path = state_dir.join(FILE);
        let failed = |cause: String| CacheError { path: path.clone(), cause };
        std::fs::create_dir_all(state_dir).map_err(|error| failed(error.to_string()))?;
        let database = open(&path).map_err(|trouble| failed(trouble.to_string()))?;
        Ok(Self {
            path: path.clone(),
            database: RwLock::new(Some(database)),
            mode,
            max_age,
            batch: Mutex::default(),
            pruned: AtomicI64::new(seconds(now_nanos())),
            failed: AtomicBool::new(false),
            discredits: AtomicU64::new(0),
            unusable: AtomicBool::new(false),
            draws: RandomState::new(),
        })
    }

    /// Records the digest of a read that began at `read_began`, unless the file changed so shortly before that a further
    /// change might not show.
    pub(in crate::scan) fn record(&self, identity: &FileIdentity, digest: Blake3Digest, read_began: i128) {
        if !settled(identity, read_began) {
            return;
        }
        let mut batch = self.batch();
        if batch.len() < BATCH {
            batch.push((*identity, seconds(read_began), digest));
        }
        if batch.len() >= BATCH && !self.failed.load(Relaxed) {
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
            self.transact(|transaction| {
                transaction.open_table(DIGESTS)?.retain(|_, record| young(record.5))?;
                Ok(())
            });
        }
    }

    /// Forgets everything: one record was wrong, so none can be believed.
    pub(in crate::scan) fn forget_all(&self) {
        self.discredits.fetch_add(1, SeqCst);
        self.batch().clear();
        self.begin_empty("a recorded digest is wrong");
    }

    /// How often a record proved wrong. What was trusted before the last time is worth nothing.
    pub fn discredits(&self) -> u64 {
        self.discredits.load(SeqCst)
    }

    pub(super) fn is_young(&self, read: i64, now: i64) -> bool {
        now.saturating_sub(read) <= i64::try_from(self.max_age.as_secs()).unwrap_or(i64::MAX)
    }

    /// What `read` finds in the store; `None` where it cannot be read.
    pub(super) fn look<T>(&self, read: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Option<T> {
        if self.unusable.load(SeqCst) {
            return None;
        }
        self.open_again().map_err(|trouble| self.suffer(&trouble)).ok()?;
        let found = match &*self.database.read() {
            Some(database) => guarded(|| read(database)),
            None => return None,
        };
        found.map_err(|trouble| self.suffer(&trouble)).ok()
    }

    /// What is wrong with the store has shown itself: what is damaged goes, and what is hindered is opened again later.
    pub(super) fn suffer(&self, trouble: &Trouble) {
        match trouble {
            Trouble::Hindered(_) | Trouble::Later(_) => {
                if !self.failed.swap(true, Relaxed) {
                    tracing::warn!(%trouble, "digests cannot be recorded at the moment");
                }
                self.close();
            }
            Trouble::Damaged(_) | Trouble::Before => self.begin_empty(&trouble.to_string()),
        }
    }

    /// Throws the file away; the next one who needs it makes a new one.
    fn begin_empty(&self, why: &str) {
        self.close();
        match throw_away(&self.path) {
            Ok(()) => tracing::warn!(why, "the digest cache is thrown away and begins empty"),
            Err(error) => {
                // What cannot be removed is believed by nobody any more.
                self.unusable.store(true, SeqCst);
                tracing::error!(why, %error, "the digest cache cannot be thrown away; it is not used any more");
            }
        }
    }

    fn close(&self) {
        let closed = self.database.write().take();
        // Closing writes, and what fails by then is known already.
        let _ = guarded(|| {
            drop(closed);
            Ok(())
        });
    }

    fn open_again(&self) -> Result<(), Trouble> {
        if self.database.read().is_some() {
            return Ok(());
        }
        let mut database = self.database.write();
        if database.is_none() {
            *database = Some(open(&self.path)?);
        }
        Ok(())
    }

    /// What cannot be written waits for the next time, and what is too much to wait is not recorded.
    fn write(&self, records: Vec<(FileIdentity, i64, Blake3Digest)>) {
        let written = self.transact(|transaction| {
            let mut table = transaction.open_table(DIGESTS)?;
            for (identity, read, digest) in &records {
                table.insert(key(identity), record(identity, *read, *digest))?;
            }
            Ok(())
        });
        if !written {
            let mut batch = self.batch();
            let room = BATCH - batch.len().min(BATCH);
            batch.extend(records.into_iter().take(room));
        }
    }

    /// A cache that fails costs time and proves nothing wrong: the scan goes on without it.
    fn transact(&self, work: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>) -> bool {
        let written = self.look(|database| {
            let mut transaction = database.begin_write()?;
            // A store that was not closed in order must open as fast as one that was.
            transaction.set_quick_repair(true);
            work(&transaction)?;
            Ok(transaction.commit()?)
        });
        if written.is_some() && self.failed.swap(false, Relaxed) {
            tracing::info!("digests are recorded again");
        }
        written.is_some()
    }

    fn batch(&self) -> MutexGuard<'_, Vec<(FileIdentity, i64, Blake3Digest)>> {
        self.batch.lock()
    }
}
