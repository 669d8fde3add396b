//! What a digest cache does where its records are old, wrong, damaged, or cannot be written.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use redb::Database;

use super::digest_cache::{DigestCache, FILE};
use super::file::Trouble;
use crate::model::{Blake3Digest, CacheMode};
use crate::random::Random;
use crate::scan::clock::now_nanos;
use crate::scan::identity::FileIdentity;
use crate::store::damage::damage;
use crate::store::{Place, of_a_later_version, record};

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
    cache.record(0, &file, digest, now_nanos());
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
    cache.record(0, &identity(1), Blake3Digest([1; 32]), i128::from(LONG_AGO + 1) * 1_000_000_000);
    cache.flush();
    assert_eq!(cache.view().unwrap().digest(&identity(1)), None);
}

#[test]
fn what_was_read_too_long_ago_is_not_believed_and_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&dir, DAY);
    cache.record(0, &identity(1), Blake3Digest([1; 32]), now_nanos() - 2 * DAY.as_nanos() as i128);
    cache.record(0, &identity(2), Blake3Digest([2; 32]), now_nanos());
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
    cache.record(0, &identity(1), Blake3Digest([1; 32]), now_nanos());
    cache.flush();
    cache.record(0, &identity(2), Blake3Digest([1; 32]), now_nanos());
    cache.discredit(0);
    cache.flush();
    let view = cache.view().unwrap();
    assert!(view.digest(&identity(1)).is_none() && view.digest(&identity(2)).is_none());
}

#[test]
fn what_cannot_be_removed_is_renamed_and_does_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&dir, DAY);
    cache.record(0, &identity(1), Blake3Digest([1; 32]), now_nanos());
    cache.flush();
    std::fs::rename(dir.path().join(FILE), dir.path().join("elsewhere")).unwrap();
    std::fs::create_dir(dir.path().join(FILE)).unwrap();
    cache.discredit(0);
    assert_eq!(cache.view().unwrap().digest(&identity(1)), None);
    let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().any(|name| name.to_string_lossy().starts_with("digests.redb.damaged-20")));
}

#[test]
fn a_store_that_cannot_be_written_is_opened_again_by_itself_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (state, away) = (dir.path().join("state"), dir.path().join("away"));
    let cache = DigestCache::open(&state, CacheMode::Trust, DAY).unwrap();
    cache.record(0, &identity(1), Blake3Digest([1; 32]), now_nanos());
    cache.flush();
    cache.record(0, &identity(2), Blake3Digest([2; 32]), now_nanos());
    // As on a full disk, for whoever runs the test: the store refuses everything, and none can be made.
    let edition = cache.store.read().opened().unwrap().1;
    cache.suffer(&Trouble::Hindered("No space left on device".to_owned()), edition);
    std::fs::rename(&state, &away).unwrap();
    cache.flush();
    assert!(cache.view().is_none());
    cache.record(0, &identity(3), Blake3Digest([3; 32]), now_nanos());
    cache.flush();
    std::fs::rename(&away, &state).unwrap();
    cache.flush();
    let view = cache.view().unwrap();
    for inode in 1..4u8 {
        assert_eq!(view.digest(&identity(inode.into())), Some(Blake3Digest([inode; 32])));
    }
}

/// Puts what a store says of itself.
fn say(dir: &tempfile::TempDir, bytes: &[u8]) {
    let database = Database::open(dir.path().join(FILE)).unwrap();
    let transaction = database.begin_write().unwrap();
    let about = redb::TableDefinition::<&str, &[u8]>::new("about");
    transaction.open_table(about).unwrap().insert("format", bytes).unwrap();
    transaction.commit().unwrap();
}

const PLACE: Place<'_> = Place { owner: "digest cache", kind: 4, position: 0 };

#[test]
fn a_later_version_is_refused_by_name_and_one_that_fails_its_check_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir, DAY));
    let mut later = of_a_later_version(PLACE, &[]);
    say(&dir, &later);
    let refused = DigestCache::open(dir.path(), CacheMode::Trust, DAY).unwrap_err().to_string();
    assert!(refused.ends_with("digests.redb: it is of version 2, and this twintree reads version 1"), "{refused}");
    *later.last_mut().unwrap() ^= 1;
    say(&dir, &later);
    open(&dir, DAY);
}

/// A crash may keep the bytes of a write and lose its times.
#[test]
fn digests_from_before_the_last_start_of_the_machine_are_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let recorded = |cache: &DigestCache| cache.view().unwrap().digest(&identity(1));
    let cache = open(&dir, DAY);
    cache.record(0, &identity(1), Blake3Digest([1; 32]), now_nanos());
    cache.flush();
    drop(cache);
    assert!(recorded(&open(&dir, DAY)).is_some(), "the service alone was restarted");
    say(&dir, &record(PLACE, b"another start"));
    assert_eq!(recorded(&open(&dir, DAY)), None);
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
    (0..FILES).for_each(|inode| cache.record(0, &FileIdentity { inode, ..identity(0) }, digest_of(inode), now_nanos()));
    cache.flush();
    drop(cache);
    let original = std::fs::read(original.path().join(FILE)).unwrap();
    let (mut whole, mut lost) = (0, 0);
    for seed in 0..1000 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let (mut bytes, mut random) = (original.clone(), Random::new(seed));
        let what = format!("seed {seed}: {}", damage(&mut bytes, 4096, &mut random));
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
        cache.record(0, &FileIdentity { inode: 1000, ..identity(0) }, digest_of(1000), now_nanos());
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
