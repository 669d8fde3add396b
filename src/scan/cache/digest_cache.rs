//! Digests by the identity of their files: recorded in batches, dropped where one proves wrong or all are too old.

use std::collections::hash_map::RandomState;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::{Mutex, RwLock, RwLockWriteGuard};
use redb::{Database, WriteTransaction};

use super::file::{CacheError, Trouble, guarded};
use super::records::{DIGESTS, key, record, seconds};
use super::settled::settled;
use super::store::{Edition, Store};
use crate::model::{Blake3Digest, CacheMode};
use crate::scan::clock::now_nanos;
use crate::scan::identity::FileIdentity;

/// The file's name in the state directory.
pub(super) const FILE: &str = "digests.redb";

/// How many records are written in one transaction; some five megabytes.
const BATCH: usize = 1 << 16;

/// How often records that are too old are dropped.
const PRUNE_EVERY_SECONDS: i64 = 24 * 3600;

/// The file, the second of its read, and its digest.
type Fresh = (FileIdentity, i64, Blake3Digest);

/// Digests by the identity of their files. All calls block.
#[derive(Debug)]
pub struct DigestCache {
    pub(super) store: RwLock<Store>,
    pub(super) mode: CacheMode,
    max_age: Duration,
    /// What is not written yet. Nothing in it was recorded before records proved wrong.
    batch: Mutex<Vec<Fresh>>,
    pub(super) pruned: AtomicI64,
    /// The last write failed: records wait, up to a batch of them, until the next flush.
    failed: AtomicBool,
    /// What is not to be believed stands there still: nothing is looked up any more.
    off: AtomicBool,
    /// How often a record proved wrong and all were forgotten. It grows while the batch is locked.
    discredits: AtomicU64,
    pub(super) draws: RandomState,
}

impl DigestCache {
    /// Opens or makes the store in `state_dir`; one that is damaged is thrown away. Records older than `max_age` are not
    /// believed.
    pub fn open(state_dir: &Path, mode: CacheMode, max_age: Duration) -> Result<Self, CacheError> {
        let path = state_dir.join(FILE);
        let failed = |cause: String| CacheError { path: path.clone(), cause };
        std::fs::create_dir_all(state_dir).map_err(|error| failed(error.to_string()))?;
        let mut store = Store::at(path.clone());
        match store.open(0) {
            Err(trouble) if store.is_discredited() => {
                cannot_throw_away("they proved wrong before this start", &trouble)
            }
            opened => opened.map_err(|trouble| failed(trouble.to_string()))?,
        }
        Ok(Self {
            failed: AtomicBool::new(store.is_discredited()),
            off: AtomicBool::new(store.is_discredited()),
            store: RwLock::new(store),
            mode,
            max_age,
            batch: Mutex::default(),
            pruned: AtomicI64::new(seconds(now_nanos())),
            discredits: AtomicU64::new(0),
            draws: RandomState::new(),
        })
    }

    /// Records the digest of a read that began at `read_began`, unless the file changed so shortly before that a further
    /// change might not show. Nor where records proved wrong since there were so many `discredits`, which was before the read.
    pub(super) fn record(&self, discredits: u64, identity: &FileIdentity, digest: Blake3Digest, read_began: i128) {
        if !settled(identity, read_began) {
            return;
        }
        let mut batch = self.batch.lock();
        if discredits != self.discredits() {
            return;
        }
        if batch.len() < BATCH {
            batch.push((*identity, seconds(read_began), digest));
        }
        if batch.len() >= BATCH && !self.failed.load(Relaxed) {
            let records = std::mem::take(&mut *batch);
            drop(batch);
            self.write(discredits, records);
        }
    }

    /// Writes what is recorded and not written yet.
    pub fn flush(&self) {
        let (discredits, records) = {
            let mut batch = self.batch.lock();
            (self.discredits(), std::mem::take(&mut *batch))
        };
        if !records.is_empty() {
            self.write(discredits, records);
        }
    }

    /// Drops what is too old to be believed, once a day. Goes through all records, so do not call it while
    /// somebody waits for a verification.
    pub fn prune(&self) {
        let now = seconds(now_nanos());
        if now - self.pruned.load(Relaxed) >= PRUNE_EVERY_SECONDS {
            self.pruned.store(now, Relaxed);
            let young = |read: i64| self.is_young(read, now);
            self.transact(|transaction, _| {
                transaction.open_table(DIGESTS)?.retain(|_, record| young(record.5))?;
                Ok(())
            });
        }
    }

    /// Forgets everything: one record was wrong, so none can be believed. It was found when there were so many `discredits`; what
    /// was recorded since others found one is not concerned.
    pub(super) fn discredit(&self, discredits: u64) {
        {
            let mut batch = self.batch.lock();
            if self.discredits() != discredits {
                return;
            }
            // First of all, so that nobody believes anything while the store is waited for.
            self.discredits.fetch_add(1, SeqCst);
            batch.clear();
        }
        self.begin_empty(self.store.write(), "a recorded digest is wrong");
    }

    /// How often a record proved wrong. What was trusted before the last time is worth nothing.
    pub fn discredits(&self) -> u64 {
        self.discredits.load(SeqCst)
    }

    /// Records proved wrong, or damaged, and what holds them can neither be removed nor emptied: nothing is looked up any more, and
    /// nothing recorded.
    pub fn is_off(&self) -> bool {
        self.off.load(Relaxed)
    }

    pub(super) fn is_young(&self, read: i64, now: i64) -> bool {
        now.saturating_sub(read) <= i64::try_from(self.max_age.as_secs()).unwrap_or(i64::MAX)
    }

    /// What `read` finds in the store; `None` where it cannot be read.
    pub(super) fn look<T>(&self, read: impl FnOnce(&Database, Edition) -> Result<T, redb::Error>) -> Option<T> {
        self.open_again()?;
        let (edition, found) = {
            let store = self.store.read();
            let (database, edition) = store.opened()?;
            (edition, guarded(|| read(database, edition)))
        };
        found.map_err(|trouble| self.suffer(&trouble, edition)).ok()
    }

    fn open_again(&self) -> Option<()> {
        if self.store.read().opened().is_some() {
            return Some(());
        }
        let mut store = self.store.write();
        let reopened = store.open(self.discredits());
        self.off.store(store.is_discredited(), Relaxed);
        reopened.map_err(|trouble| self.hindered(&trouble)).ok()
    }

    /// What is wrong with this edition of the store has shown itself: what is damaged goes, and what is hindered is opened again
    /// later. Nothing is wrong with a later one for that.
    pub(super) fn suffer(&self, trouble: &Trouble, edition: Edition) {
        let mut store = self.store.write();
        if store.opened().is_none_or(|(_, opened)| opened != edition) {
            return;
        }
        match trouble {
            Trouble::Hindered(_) | Trouble::Later(_) => {
                self.hindered(trouble);
                store.close();
            }
            Trouble::Damaged(_) | Trouble::Before => self.begin_empty(store, &trouble.to_string()),
        }
    }

    fn hindered(&self, trouble: &Trouble) {
        if !self.failed.swap(true, Relaxed) {
            tracing::warn!(%trouble, "digests cannot be recorded at the moment");
        }
    }

    /// Throws the records away; the next one who needs the store makes a new one.
    fn begin_empty(&self, mut store: RwLockWriteGuard<'_, Store>, why: &str) {
        match store.throw_away(self.discredits()) {
            Ok(()) => tracing::warn!(why, "the digest cache is thrown away and begins empty"),
            Err(error) => {
                self.failed.store(true, Relaxed);
                self.off.store(true, Relaxed);
                cannot_throw_away(why, &error);
            }
        }
    }

    /// What cannot be written waits for the next time, and what is too much to wait is not recorded.
    pub(super) fn write(&self, discredits: u64, records: Vec<Fresh>) {
        let written = self.transact(|transaction, edition| {
            // The store is a later one, or what was recorded is to go with this one.
            if edition.discredits != discredits {
                return Ok(());
            }
            let mut table = transaction.open_table(DIGESTS)?;
            for (identity, read, digest) in &records {
                table.insert(key(identity), record(identity, *read, *digest))?;
            }
            Ok(())
        });
        let mut batch = self.batch.lock();
        if !written && discredits == self.discredits() {
            let room = BATCH - batch.len().min(BATCH);
            batch.extend(records.into_iter().take(room));
        }
    }

    /// A cache that fails costs time and proves nothing wrong: the scan goes on without it.
    fn transact(&self, work: impl FnOnce(&WriteTransaction, Edition) -> Result<(), redb::Error>) -> bool {
        let written = self.look(|database, edition| {
            let mut transaction = database.begin_write()?;
            // A store that was not closed in order must open as fast as one that was.
            transaction.set_quick_repair(true);
            work(&transaction, edition)?;
            Ok(transaction.commit()?)
        });
        if written.is_some() && self.failed.swap(false, Relaxed) {
            tracing::info!("digests are recorded again");
        }
        written.is_some()
    }
}

fn cannot_throw_away(why: &str, error: &dyn std::fmt::Display) {
    tracing::error!(
        why, %error,
        "the digest cache can be neither removed nor emptied: no recorded digest is trusted; remove {FILE} by hand before the next start"
    );
}
