//! The embedded store behind the digest cache. It may be lost at any time: what is not found is read.

use std::collections::hash_map::RandomState;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard, RwLock};
use redb::{Database, WriteTransaction};

use super::file::{CacheError, Trouble, guarded, open, throw_away};
use super::records::{DIGESTS, key, record, seconds};
use super::settled::{now_nanos, settled};
use crate::model::{Blake3Digest, CacheMode};
use crate::scan::identity::FileIdentity;

/// The file's name in the state directory.
const FILE: &str = "digests.redb";

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
    pruned: AtomicI64,
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
            Trouble::Damaged(_) => self.begin_empty(&trouble.to_string()),
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

    #[test]
    fn what_cannot_be_removed_is_renamed_and_does_not_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(&dir, DAY);
        cache.record(&identity(1), Blake3Digest([1; 32]), now_nanos());
        cache.flush();
        std::fs::rename(dir.path().join(FILE), dir.path().join("elsewhere")).unwrap();
        std::fs::create_dir(dir.path().join(FILE)).unwrap();
        cache.forget_all();
        assert_eq!(cache.view().unwrap().digest(&identity(1)), None);
        let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.into_iter().any(|name| name.to_string_lossy().starts_with("digests.redb.damaged-20")));
    }

    #[test]
    fn a_store_that_cannot_be_written_is_opened_again_by_itself_and_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (state, away) = (dir.path().join("state"), dir.path().join("away"));
        let cache = DigestCache::open(&state, CacheMode::Trust, DAY).unwrap();
        cache.record(&identity(1), Blake3Digest([1; 32]), now_nanos());
        cache.flush();
        cache.record(&identity(2), Blake3Digest([2; 32]), now_nanos());
        // As on a full disk, for whoever runs the test: the store refuses everything, and none can be made.
        cache.suffer(&Trouble::Hindered("No space left on device".to_owned()));
        std::fs::rename(&state, &away).unwrap();
        cache.flush();
        assert!(cache.view().is_none());
        cache.record(&identity(3), Blake3Digest([3; 32]), now_nanos());
        cache.flush();
        std::fs::rename(&away, &state).unwrap();
        cache.flush();
        let view = cache.view().unwrap();
        for inode in 1..4u8 {
            assert_eq!(view.digest(&identity(inode.into())), Some(Blake3Digest([inode; 32])));
        }
    }

    #[test]
    fn a_later_version_is_refused_by_name_and_one_that_fails_its_check_is_damage() {
        use crate::store::{Place, of_a_later_version};
        let dir = tempfile::tempdir().unwrap();
        drop(open(&dir, DAY));
        let mut later = of_a_later_version(Place { owner: "digest cache", kind: 4, position: 0 }, &[]);
        let put = |bytes: &[u8]| {
            let database = Database::open(dir.path().join(FILE)).unwrap();
            let transaction = database.begin_write().unwrap();
            let about = redb::TableDefinition::<&str, &[u8]>::new("about");
            transaction.open_table(about).unwrap().insert("format", bytes).unwrap();
            transaction.commit().unwrap();
        };
        put(&later);
        let refused = DigestCache::open(dir.path(), CacheMode::Trust, DAY).unwrap_err().to_string();
        assert!(refused.ends_with("digests.redb: it is of version 2, and this twintree reads version 1"), "{refused}");
        *later.last_mut().unwrap() ^= 1;
        put(&later);
        open(&dir, DAY);
    }

    /// Numbers that look random, from a seed.
    struct Draws(u64);

    impl Draws {
        fn below(&mut self, bound: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            ((mixed ^ (mixed >> 27)) % bound as u64) as usize
        }
    }

    fn damage(bytes: &mut Vec<u8>, draws: &mut Draws) -> String {
        let at = draws.below(bytes.len());
        let page = at / 4096 * 4096..(at / 4096 * 4096 + 4096).min(bytes.len());
        let how = match draws.below(5) {
            0 | 1 => {
                bytes[at] ^= 1 << draws.below(8);
                "bit"
            }
            2 => {
                bytes[page].fill(0);
                "zeroed page"
            }
            3 => {
                bytes[page].iter_mut().for_each(|byte| *byte = draws.below(256) as u8);
                "page of noise"
            }
            _ => {
                bytes.truncate(at);
                "cut"
            }
        };
        format!("{how} at {at}")
    }

    fn digest_of(inode: u64) -> Blake3Digest {
        Blake3Digest([inode as u8; 32])
    }

    /// How many of the first `files` records are found, each of them the true one.
    fn found(cache: &DigestCache, files: u64, what: &str) -> usize {
        let of = identity(0);
        let Some(view) = cache.view() else { return 0 };
        let found = (0..files).filter_map(|inode| Some((inode, view.digest(&FileIdentity { inode, ..of })?)));
        found.inspect(|(inode, digest)| assert_eq!(*digest, digest_of(*inode), "{what}: {inode}")).count()
    }

    #[test]
    fn a_thousand_damages_and_no_wrong_digest_is_trusted() {
        const FILES: u64 = 100;
        let original = tempfile::tempdir().unwrap();
        let cache = open(&original, DAY);
        (0..FILES)
            .for_each(|inode| cache.record(&FileIdentity { inode, ..identity(0) }, digest_of(inode), now_nanos()));
        cache.flush();
        drop(cache);
        let original = std::fs::read(original.path().join(FILE)).unwrap();
        let (mut whole, mut lost) = (0, 0);
        for seed in 0..1000 {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(FILE);
            let (mut bytes, mut draws) = (original.clone(), Draws(seed));
            let what = format!("seed {seed}: {}", damage(&mut bytes, &mut draws));
            // Some of the damages come while the store is open.
            let late = seed % 20 == 1;
            std::fs::write(&path, if late { &original } else { &bytes }).unwrap();
            let cache = open(&dir, DAY);
            if late {
                std::fs::write(&path, &bytes).unwrap();
            }
            match found(&cache, FILES, &what) {
                100 => whole += 1,
                _ => lost += 1,
            }
            cache.record(&FileIdentity { inode: 1000, ..identity(0) }, digest_of(1000), now_nanos());
            cache.flush();
            drop(cache);
            if seed % 5 == 0 {
                let found = found(&open(&dir, DAY), 1001, &what);
                assert!(late || found > 0, "{what}: what was recorded last is there");
            }
        }
        assert!(whole > 50 && lost > 50, "{whole} {lost}: damage of what is not in use is no damage");
    }

    #[test]
    fn a_damaged_store_is_thrown_away_and_a_used_one_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), b"not a database at all").unwrap();
        let cache = open(&dir, DAY);
        assert!(cache.view().is_some());
        let second = DigestCache::open(dir.path(), CacheMode::Trust, DAY).unwrap_err();
        assert!(second.to_string().ends_with("another twintree is using this state directory"), "{second}");
        drop(cache);
        let file = dir.path().join("file");
        std::fs::write(&file, b"").unwrap();
        assert!(DigestCache::open(&file, CacheMode::Trust, DAY).is_err());
    }
}
