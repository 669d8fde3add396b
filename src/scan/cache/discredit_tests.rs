//! What was recorded before a record proved wrong: it never comes back, whoever holds it and whatever cannot be removed.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use super::digest_cache::{DigestCache, FILE};
use super::view::CacheView;
use crate::model::{Blake3Digest, CacheMode};
use crate::scan::clock::now_nanos;
use crate::scan::identity::FileIdentity;

const LONG_AGO: i64 = 1_700_000_000;
const DIGEST: Blake3Digest = Blake3Digest([9; 32]);

fn identity(inode: u64) -> FileIdentity {
    let file = tempfile::tempfile().unwrap();
    let of = FileIdentity::of(&rustix::fs::fstat(&file).unwrap());
    FileIdentity { device: 7, inode, size: 3, modified: (LONG_AGO, 5), changed: (LONG_AGO, 6), ..of }
}

fn open(state: &Path) -> DigestCache {
    DigestCache::open(state, CacheMode::Trust, Duration::from_secs(3600)).unwrap()
}

/// A cache in which a digest of the file 1 is written.
fn with_a_record(state: &Path) -> DigestCache {
    let cache = open(state);
    cache.view().unwrap().record(&identity(1), DIGEST, now_nanos());
    cache.flush();
    assert_eq!(known(&cache, 1), Some(DIGEST));
    cache
}

fn known(cache: &DigestCache, inode: u64) -> Option<Blake3Digest> {
    cache.view().and_then(|view| view.digest(&identity(inode)))
}

fn is_usable(cache: &DigestCache) -> bool {
    let Some(view) = cache.view() else { return false };
    view.record(&identity(5), DIGEST, now_nanos());
    cache.flush();
    known(cache, 5) == Some(DIGEST)
}

/// A read that began before records proved wrong is not recorded after it: what changes bytes unseen may have done so under it.
#[test]
fn who_looked_before_records_proved_wrong_neither_finds_nor_records_anything_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let cache = with_a_record(dir.path());
    let before = cache.view().unwrap();
    before.record(&identity(2), DIGEST, now_nanos());
    before.discredit();
    before.record(&identity(3), DIGEST, now_nanos());
    cache.flush();
    assert_eq!(before.digest(&identity(1)), None);
    assert_eq!([1, 2, 3].map(|inode| known(&cache, inode)), [None; 3]);
    assert!(is_usable(&cache));
    drop(before);
    drop(cache);
    assert_eq!([1, 2, 3].map(|inode| known(&open(dir.path()), inode)), [None; 3]);
}

/// Two audits may find the same wrong record.
#[test]
fn records_prove_wrong_once() {
    let dir = tempfile::tempdir().unwrap();
    let cache = with_a_record(dir.path());
    let before = cache.view().unwrap();
    before.discredit();
    assert!(is_usable(&cache));
    before.discredit();
    assert_eq!((known(&cache, 5), cache.discredits()), (Some(DIGEST), 1));
}

/// Every digest says how often records had proved wrong when its read began.
#[test]
fn nothing_recorded_before_is_found_after_however_threads_meet() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let (done, founds) = (AtomicBool::new(false), AtomicU64::new(0));
    let said = |count: u64| Blake3Digest([u8::try_from(count).unwrap(); 32]);
    std::thread::scope(|scope| {
        let work = || {
            while !done.load(SeqCst) {
                let before = cache.discredits();
                let Some(view) = cache.view() else { continue };
                if let Some(Blake3Digest(found)) = view.digest(&identity(1)) {
                    assert!(u64::from(found[0]) >= before, "{} at {before}", found[0]);
                    founds.fetch_add(1, SeqCst);
                }
                view.record(&identity(1), said(cache.discredits()), now_nanos());
                cache.flush();
            }
        };
        let threads = [(); 3].map(|()| scope.spawn(work));
        for _ in 0..30 {
            // Something is found in between, unless a thread died of it.
            let seen = founds.load(SeqCst);
            while founds.load(SeqCst) == seen && !threads.iter().any(ScopedJoinHandle::is_finished) {
                std::thread::yield_now();
            }
            cache.view().iter().for_each(CacheView::discredit);
        }
        done.store(true, SeqCst);
    });
    assert!(cache.discredits() > 15, "{}", cache.discredits());
    assert!(is_usable(&cache));
}

/// Runs as somebody who must be allowed to do what he does, which root need not be.
#[cfg(target_os = "linux")]
fn without_privileges<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            let mut sets = capabilities(None).unwrap();
            sets.effective.remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH | CapabilitySet::FOWNER);
            set_capabilities(None, sets).unwrap();
            work()
        });
        work.join().unwrap()
    })
}

#[cfg(target_os = "linux")]
fn may_be_written(path: &Path, may: bool) {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = path.is_dir();
    let mode = match may {
        true => 0o700,
        false if directory => 0o500,
        false => 0o400,
    };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn records_that_proved_wrong_are_emptied_where_their_file_cannot_be_removed() {
    for file_too in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let cache = with_a_record(dir.path());
        may_be_written(&dir.path().join(FILE), !file_too);
        may_be_written(dir.path(), false);
        let usable = without_privileges(|| {
            cache.view().unwrap().discredit();
            assert_eq!(known(&cache, 1), None);
            is_usable(&cache)
        });
        drop(cache);
        may_be_written(dir.path(), true);
        may_be_written(&dir.path().join(FILE), true);
        // The next start.
        let cache = open(dir.path());
        assert_eq!(known(&cache, 1), None, "file too: {file_too}");
        assert_eq!(usable, !file_too);
        assert!(is_usable(&cache));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn records_that_can_neither_be_removed_nor_emptied_are_not_trusted_in_any_later_start() {
    for restarted in [false, true] {
        let dir = tempfile::tempdir_in("target").or_else(|_| tempfile::tempdir()).unwrap();
        let cache = with_a_record(dir.path());
        let immutable = match crate::immutable::Immutable::make(&dir.path().join(FILE)) {
            Ok(immutable) => immutable,
            Err(error) => return crate::material::missing("immutable", &error.to_string()),
        };
        cache.view().unwrap().discredit();
        assert!(cache.is_off() && cache.view().is_none());
        drop(cache);
        let cache = open(dir.path());
        assert!(cache.is_off() && cache.view().is_none(), "the next start");
        drop(immutable);
        let cache = match restarted {
            true => {
                drop(cache);
                open(dir.path())
            }
            false => cache,
        };
        assert_eq!(known(&cache, 1), None);
        assert!(is_usable(&cache) && !cache.is_off(), "it is thrown away as soon as it can be");
        drop(cache);
        assert_eq!(known(&open(dir.path()), 5), Some(DIGEST), "once");
    }
}

/// Its disk is not mounted at the moment, say.
#[test]
fn records_that_proved_wrong_do_not_come_back_with_their_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (state, away) = (dir.path().join("state"), dir.path().join("away"));
    let cache = with_a_record(&state);
    fs::rename(&state, &away).unwrap();
    cache.view().unwrap().discredit();
    assert_eq!(known(&cache, 1), None);
    fs::rename(&away, &state).unwrap();
    assert_eq!(known(&cache, 1), None);
    assert!(is_usable(&cache));
    drop(cache);
    assert_eq!(known(&open(&state), 1), None);
}
