//! The comparison by hashes against the reference that compares every byte, and the work it takes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use twintree::exclude::{RootRules, Rules};
use twintree::manifest::{Comparand, Depth, DirectoryIndex, Identity, Manifest, ManifestFile, RootSpec, diff, write};
use twintree::model::{Counters, MetadataSummary, RootId};
use twintree::scan::Context;

use crate::support::naive_diff::naive_diff;
use crate::support::trees::{copy_tree, flip_byte};

/// A file or directory to be made: which of a few names at up to three levels, and what stands there.
#[derive(Debug, Clone)]
struct Planted {
    path: Vec<u8>,
    kind: u8,
    size: u8,
    time: u8,
    byte: u8,
}

fn planted() -> impl Strategy<Value = Planted> {
    let small = (0..4_u8, 0..3_u8, 0..3_u8, 0..2_u8);
    (prop::collection::vec(0..4_u8, 1..4), small).prop_map(|(path, (kind, size, time, byte))| Planted {
        path,
        kind,
        size,
        time,
        byte,
    })
}

/// Names in whose order `/` and `-` would matter if paths were compared byte by byte.
const NAMES: [&str; 4] = ["a", "a-b", "a.b", "b"];

/// Puts an entry there; where a file is in the way of its path, it becomes a directory.
fn plant(home: &Path, planted: &Planted) {
    let path: PathBuf = planted.path.iter().map(|name| NAMES[usize::from(*name)]).collect();
    let full = home.join(&path);
    for above in path.ancestors().skip(1) {
        if home.join(above).is_file() {
            fs::remove_file(home.join(above)).unwrap();
        }
    }
    if full.is_dir() {
        return;
    }
    if planted.kind == 0 {
        let _ = fs::remove_file(&full);
        fs::create_dir_all(&full).unwrap();
        return;
    }
    fs::create_dir_all(full.parent().unwrap()).unwrap();
    fs::write(&full, vec![planted.byte; usize::from(planted.size)]).unwrap();
    let time = UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + u64::from(planted.time));
    File::options().write(true).open(&full).unwrap().set_modified(time).unwrap();
}

fn manifest_of(home: &Path) -> Manifest {
    let identity = Identity::new("host".to_owned(), "tree".to_owned(), 0, &Rules::none());
    let root = RootSpec { id: RootId::DATA_0, home: home.to_owned(), rules: RootRules::none() };
    let manifest = Manifest::walk(identity, &[root], &Context::default()).unwrap();
    manifest.hash_contents(&Context::default(), &|_, _, _| ()).unwrap();
    manifest
}

fn counters(source: &dyn Comparand, destination: &dyn Comparand, keep_going: bool) -> Counters {
    let metadata = diff(source, destination, Depth::Metadata).unwrap().counters;
    if metadata.metadata_summary() == MetadataSummary::Different && !keep_going {
        return metadata;
    }
    diff(source, destination, Depth::Content).unwrap().counters
}

fn agrees_with_the_reference_impl(common: &[Planted], here: &[Planted], there: &[Planted]) {
    let tmp = tempfile::tempdir().unwrap();
    let homes = ["source", "destination"].map(|name| tmp.path().join(name));
    for (home, own) in homes.iter().zip([here, there]) {
        fs::create_dir(home).unwrap();
        common.iter().chain(own).for_each(|entry| plant(home, entry));
    }
    let manifests = homes.each_ref().map(|home| manifest_of(home));
    let files = [0, 1].map(|side| {
        let path = tmp.path().join(format!("{side}.manifest"));
        write(&manifests[side], &path).unwrap();
        ManifestFile::open(&path).unwrap()
    });
    for keep_going in [false, true] {
        let expected = naive_diff(&homes[0], &homes[1], keep_going);
        assert_eq!(counters(&manifests[0], &manifests[1], keep_going), expected, "in memory");
        assert_eq!(counters(&files[0], &files[1], keep_going), expected, "files");
        assert_eq!(counters(&files[0], &manifests[1], keep_going), expected, "a file and a tree");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn agrees_with_the_reference_proptest(
        common in prop::collection::vec(planted(), 0..12),
        here in prop::collection::vec(planted(), 0..3),
        there in prop::collection::vec(planted(), 0..3),
    ) {
        agrees_with_the_reference_impl(&common, &here, &there);
    }
}

#[test]
fn agrees_with_the_reference_cases() {
    let entry = |path: &[u8], kind, byte| Planted { path: path.to_vec(), kind, size: 2, time: 0, byte };
    agrees_with_the_reference_impl(&[], &[], &[]);
    agrees_with_the_reference_impl(&[entry(&[0, 1], 1, 0)], &[], &[entry(&[0, 1], 1, 1)]);
    // A directory on one side, a file of that name on the other, and entries below the directory.
    agrees_with_the_reference_impl(
        &[],
        &[entry(&[0, 0], 1, 0), entry(&[1], 1, 0)],
        &[entry(&[0], 1, 0), entry(&[2], 0, 0)],
    );
}

#[test]
fn only_branches_that_differ_are_read() {
    let tmp = tempfile::tempdir().unwrap();
    let (source, destination) = (tmp.path().join("source"), tmp.path().join("destination"));
    for table in 0..200 {
        let directory = source.join(format!("ks{}/t-{table}", table % 10));
        fs::create_dir_all(&directory).unwrap();
        for generation in 0..3 {
            fs::write(directory.join(format!("nb-{generation}-big-Data.db")), format!("{table} {generation}")).unwrap();
        }
    }
    copy_tree(&source, &destination);
    let open = |home: &Path, name: &str| {
        let path = tmp.path().join(name);
        write(&manifest_of(home), &path).unwrap();
        ManifestFile::open(&path).unwrap()
    };
    let equal = [open(&source, "s"), open(&destination, "d")];
    assert_eq!(counters(&equal[0], &equal[1], false).files_matched, 600);
    assert_eq!([equal[0].blocks_read(), equal[1].blocks_read()], [0, 0], "equal trees are not opened at all");

    flip_byte(&destination.join("ks7/t-17/nb-1-big-Data.db"), 0);
    let differing = [open(&source, "s"), open(&destination, "d")];
    let found = counters(&differing[0], &differing[1], false);
    assert_eq!((found.digest_mismatches, found.files_matched), (1, 599));
    assert_eq!([differing[0].blocks_read(), differing[1].blocks_read()], [1, 1], "one table holds all that differs");
}

#[test]
fn file_digests_are_those_of_b3sum() {
    let tmp = tempfile::tempdir().unwrap();
    let (block, segment) = (256 << 10, 4 << 20);
    let sizes =
        [0, 1, 1023, 1024, 1025, block - 1, block, block + 1, segment - 1, segment, segment + 1, (64 << 20) + 1];
    for (number, size) in sizes.into_iter().enumerate() {
        let bytes: Vec<u8> = (0..size).map(|i: usize| (i * 31 % 251) as u8).collect();
        fs::write(tmp.path().join(format!("{number:02}")), bytes).unwrap();
    }
    let manifest = manifest_of(tmp.path());
    let files = manifest.roots()[0].tree.as_ref().unwrap().files(DirectoryIndex::ROOT);
    assert_eq!(files.len(), sizes.len());
    let b3sum = std::process::Command::new("b3sum").arg("--version").output().is_ok();
    if !b3sum {
        eprintln!("skipped in part: there is no b3sum here; digests are compared with the blake3 library's alone");
    }
    for file in files {
        let path = tmp.path().join(file.name.to_string());
        let digest = file.digest().unwrap().to_string();
        assert_eq!(digest, blake3::hash(&fs::read(&path).unwrap()).to_string());
        if b3sum {
            let output = std::process::Command::new("b3sum").arg("--no-names").arg(&path).output().unwrap();
            assert_eq!(digest, String::from_utf8(output.stdout).unwrap().trim());
        }
    }
}
