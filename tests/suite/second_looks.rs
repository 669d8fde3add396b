//! What changes between the listing and the last read of a tree: found by second looks at its directories, healed where the tree is
//! what was listed, and unverified where it is not.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use twintree::exclude::{RootRules, Rules};
use twintree::manifest::{
    Comparand, Depth, HashKind, Identity, Manifest, ManifestFile, RootSpec, diff, findings, write,
};
use twintree::model::{Reason, RootId, Verdict};
use twintree::scan::{Context, ProgressSnapshot};

use crate::support::disk::{Time, set_time};
use crate::support::manifests::manifest_of;
use crate::support::one_root::assert_report;
use crate::support::services::{Pair, storage_dirs};

const TIME: Time = Time { seconds: 1_700_000_000, nanoseconds: 0 };

/// Longer than a tick of the clock of any file system here.
const TICK: Duration = Duration::from_millis(25);

pub fn file(path: &Path, bytes: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    set_time(path, TIME);
}

/// Three directories of files, at rest.
pub fn tree() -> (tempfile::TempDir, PathBuf) {
    let tmp = tempfile::tempdir().unwrap();
    let home = tmp.path().join("root");
    for directory in ["", "a", "a/b"] {
        for name in ["one", "two"] {
            file(&home.join(directory).join(name), "bytes");
        }
    }
    std::thread::sleep(TICK);
    (tmp, home)
}

/// A manifest whose tree changes after it was listed, or once the first of its directories was read.
pub fn changed(home: &Path, when: When, change: impl Fn() + Sync) -> (Manifest, ProgressSnapshot) {
    let context = Context::default();
    let identity = Identity::new("host".to_owned(), "instance".to_owned(), 7, &Rules::none());
    let roots = [RootSpec { id: RootId::DATA_0, home: home.to_owned(), rules: RootRules::none() }];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let manifest = pool.install(|| {
        let manifest = Manifest::walk(identity, &roots, &context).unwrap();
        if when == When::Listed {
            change();
        }
        let last = manifest.totals().directories + 1;
        let finished = std::sync::atomic::AtomicU64::new(0);
        let all_read = || finished.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == last;
        let hashed = manifest.hash_contents(&context, &|_, _, _, _| {
            if all_read() && when == When::Read {
                change();
            }
        });
        hashed.unwrap();
        manifest
    });
    (manifest, context.progress.snapshot())
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    Listed,
    Read,
}

/// The directories that are not known to have held what was listed.
fn unsteady(manifest: &Manifest) -> Vec<String> {
    let tree = manifest.root(RootId::DATA_0).unwrap().tree.as_ref().unwrap();
    let unsteady = tree.unsteady();
    assert!(unsteady.iter().all(|(_, problem)| problem.reason == Reason::ChangedWhileReading), "{unsteady:?}");
    unsteady.iter().map(|(index, _)| tree.table().path(*index).to_string()).collect()
}

/// Puts a new file in the place of another, with its size and time.
fn replace(path: &Path, bytes: &str) {
    let beside = path.with_file_name("beside");
    file(&beside, bytes);
    fs::rename(beside, path).unwrap();
}

#[test]
fn an_entry_that_comes_goes_or_moves_makes_its_directories_unverified_and_no_other() {
    for when in [When::Listed, When::Read] {
        let of = |change: fn(&Path)| {
            let (_tmp, home) = tree();
            let manifest = changed(&home, when, || change(&home)).0;
            let content = manifest.instance_hash(HashKind::Content);
            assert!(!content.is_proven() && manifest.instance_hash(HashKind::Metadata).is_proven());
            unsteady(&manifest)
        };
        assert_eq!(of(|home| file(&home.join("a/new"), "new")), ["a"], "{when:?}");
        assert_eq!(of(|home| fs::remove_file(home.join("a/b/one")).unwrap()), ["a/b"]);
        assert_eq!(of(|home| fs::rename(home.join("one"), home.join("a/three")).unwrap()), ["", "a"]);
        assert_eq!(of(|home| fs::create_dir(home.join("a/b/new")).unwrap()), ["a/b"]);
        assert_eq!(of(|home| fs::rename(home.join("a"), home.join("c")).unwrap()), ["", "a", "a/b"]);
        assert_eq!(of(|home| fs::rename(home, home.with_file_name("gone")).unwrap()), ["", "a", "a/b"]);
    }
}

#[test]
fn a_directory_that_holds_what_was_listed_is_proven_however_it_changed_meanwhile() {
    for when in [When::Listed, When::Read] {
        for change in [
            (|home| replace(&home.join("a/one"), "bytes")) as fn(&Path),
            |home| {
                file(&home.join("a/passing"), "x");
                fs::remove_file(home.join("a/passing")).unwrap();
            },
            |home| {
                fs::rename(home.join("a"), home.join("c")).unwrap();
                fs::rename(home.join("c"), home.join("a")).unwrap();
            },
        ] {
            let (_tmp, home) = tree();
            let before = manifest_of(&home, 1).instance_hash(HashKind::Content);
            let (manifest, _) = changed(&home, when, || change(&home));
            assert_eq!(unsteady(&manifest), [""; 0], "{when:?}");
            assert!(manifest.instance_hash(HashKind::Content).proves_equal(&before));
        }
    }
}

/// Of the same size and time, before it was read and after.
#[test]
fn a_file_that_is_another_one_now_is_read_again() {
    let (_tmp, home) = tree();
    let (manifest, work) = changed(&home, When::Listed, || replace(&home.join("a/one"), "BYTES"));
    assert_eq!(unsteady(&manifest), [""; 0], "it was read as it is now");
    assert_eq!((work.bytes_hashed, work.bytes_total), (30, 30), "what counted for nothing is not counted");
    let (_other, still) = tree();
    let outcome = diff(&manifest, &manifest_of(&still, 1), Depth::Content).unwrap();
    assert_eq!((outcome.verdict(), outcome.counters.digest_mismatches), (Verdict::Different, 1));

    let (manifest, work) = changed(&still, When::Read, || replace(&still.join("a/one"), "BYTES"));
    assert_eq!(unsteady(&manifest), ["a"]);
    assert_eq!((work.files_hashed, work.bytes_hashed, work.bytes_total), (6, 30, 30), "a second look is no progress");
}

/// Links change nothing in their directory when what they lead to does. Each look is taken twice, as a directory's is.
#[test]
fn a_file_behind_a_link_that_is_another_one_now_is_read_again() {
    for (bytes, expected) in [("bytes", &[][..]), ("BYTES", &["a"])] {
        let (tmp, home) = tree();
        let outside = tmp.path().join("outside");
        file(&outside, "bytes");
        std::os::unix::fs::symlink(&outside, home.join("a/link")).unwrap();
        std::thread::sleep(TICK);
        let (manifest, _) = changed(&home, When::Read, || replace(&outside, bytes));
        assert_eq!(unsteady(&manifest), expected, "{bytes}");
        let (_, work) = changed(&home, When::Read, || ());
        assert_eq!((work.directories_listed, work.second_looks), (3, 8));
    }
}

#[test]
fn a_root_that_is_exchanged_for_another_shows() {
    let (tmp, home) = tree();
    let (_other, other) = tree();
    file(&other.join("a/b/two"), "other");
    let (manifest, _) = changed(&home, When::Read, || {
        fs::rename(&home, tmp.path().join("old")).unwrap();
        std::os::unix::fs::symlink(&other, &home).unwrap();
    });
    assert_eq!(unsteady(&manifest), ["a/b"]);
}

/// A mount over a file changes neither its directory nor the file below it. Only who may mount can try it.
#[test]
#[cfg(target_os = "linux")]
fn a_file_that_was_mounted_over_is_read_again_and_mounts_elsewhere_disturb_nothing() {
    for (bytes, expected) in [("bytes", &[][..]), ("BYTES", &["a"])] {
        let (tmp, home) = tree();
        let (other, point) = (tmp.path().join("other"), home.join("a/two"));
        file(&other, bytes);
        file(&tmp.path().join("elsewhere"), "x");
        let mounted = |point: &Path| std::process::Command::new("mount").arg("--bind").args([&other, point]).output();
        let may_mount = |point: &Path| mounted(point).is_ok_and(|done| done.status.success());
        let tried = std::sync::atomic::AtomicBool::new(false);
        let (manifest, _) = changed(&home, When::Read, || {
            let done = may_mount(&tmp.path().join("elsewhere")) && may_mount(&point);
            tried.store(done, std::sync::atomic::Ordering::SeqCst);
        });
        for point in [&point, &tmp.path().join("elsewhere")] {
            let _ = std::process::Command::new("umount").arg(point).output();
        }
        if !tried.into_inner() {
            eprintln!("not checked: nobody may mount here");
            return;
        }
        assert_eq!(unsteady(&manifest), expected, "{bytes}");
    }
}

/// Its files keep their own verdicts, and the directory is one failure, here and in a manifest file.
#[test]
fn an_unsteady_directory_is_unverified_once_and_a_difference_in_it_stays_one() {
    let (tmp, home) = tree();
    let (_other, still) = tree();
    file(&still.join("a/two"), "other");
    let (moving, _) = changed(&home, When::Read, || file(&home.join("a/new"), "new"));
    let path = tmp.path().join("manifest");
    write(&moving, &path).unwrap();
    let from_file = ManifestFile::open(&path).unwrap();
    from_file.check_all().unwrap();
    let still = manifest_of(&still, 1);
    for source in [&moving as &dyn Comparand, &from_file] {
        let found = findings(source, &still, Depth::Content).unwrap();
        let counters = found.counters;
        assert_eq!((counters.digest_mismatches, counters.digest_verification_failures), (1, 1), "{found:?}");
        let unverified: Vec<_> = found.differences.iter().filter_map(|one| one.unverified.as_ref()).collect();
        assert_eq!((unverified.len(), unverified[0].side()), (1, "source"));
    }
    let outcome = diff(&from_file, &from_file, Depth::Content).unwrap();
    assert_eq!((outcome.verdict(), outcome.counters.digest_verification_failures), (Verdict::Unverified, 1));
    assert_eq!(from_file.unsteady(RootId::DATA_0).len(), 1);
}

/// Two for each directory, behind the listing and behind the last read, however many files there are.
#[test]
fn second_looks_are_counted_by_directories_and_not_by_files() {
    let (_tmp, home) = tree();
    for number in 0..300 {
        file(&home.join(format!("a/{number}")), "bytes");
    }
    std::thread::sleep(TICK);
    let (_, work) = changed(&home, When::Listed, || ());
    assert_eq!((work.directories_listed, work.second_looks), (3, 6));
    assert_eq!((work.files_total, work.files_opened), (306, 306));
}

/// What changed within a tick of the clock could change again in it unseen, so it is listed again once the tick is over.
#[test]
fn a_directory_that_changed_just_now_is_listed_again() {
    let (_tmp, home) = tree();
    for attempt in 0.. {
        // A new name each time: only that changes the directory.
        file(&home.join(format!("a/new-{attempt}")), "new");
        let (manifest, work) = changed(&home, When::Listed, || ());
        assert_eq!(unsteady(&manifest), [""; 0]);
        if work.directories_listed == 4 {
            break;
        }
        assert!(attempt < 200, "a machine so slow that no listing comes within a tick");
    }
}

/// A disk that is not mounted: one failure for the root, and what the other side has is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_leads_nowhere_is_unverified_and_no_empty_one() {
    let files = |path: &Path| {
        file(&path.join("d/one"), "bytes");
    };
    let empty = |path: &Path| fs::create_dir_all(path).unwrap();
    for (dangling, other) in [("source", "destination"), ("destination", "source")] {
        let missing = if dangling == "source" { [2, 0] } else { [0, 2] };
        let kind = if dangling == "source" { "missing-at-source" } else { "missing-at-destination" };
        for (fill, missing) in [(&files as &dyn Fn(&Path), missing), (&empty, [0, 0])] {
            let trees = tempfile::tempdir().unwrap();
            fs::create_dir(trees.path().join(dangling)).unwrap();
            std::os::unix::fs::symlink("not-mounted", trees.path().join(dangling).join("data")).unwrap();
            fill(&trees.path().join(other).join("data"));
            let report = verify(trees.path()).await;
            let mut differences = vec![("", "unverified", dangling, "vanished")];
            if missing != [0, 0] {
                differences.extend([("d", kind, "", ""), ("d/one", kind, "", "")]);
            }
            assert_report(&report, [missing[0], missing[1], 0, 0, 0, 1, 0], &differences);
        }
    }
}

async fn verify(trees: &Path) -> Value {
    let [mut s, mut d] = ["source", "destination"].map(|side| trees.join(side).display().to_string());
    let pair = Pair::start(storage_dirs(&mut s, &mut d)).await;
    let report = pair.verify(&json!({ "maxConcurrency": 2, "digestAlgorithm": "MD5" })).await;
    pair.stop().await;
    report
}
