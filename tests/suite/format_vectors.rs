//! The test vectors of `docs/format.md`, which were computed from that page alone, against the code.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use twintree::exclude::{RootRules, Rules};
use twintree::manifest::{
    DirectoryIndex, HashKind, Identity, Manifest, ManifestFile, RootSpec, SubtreeHash, instance_hash, subtree_hash,
    write,
};
use twintree::model::{DirectoryType, Name, RootId};
use twintree::scan::Context;

const TIME_MS: u64 = 1_707_193_655_406;

/// Name to hex, from the fenced block labelled `vectors`.
fn vectors() -> HashMap<String, String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/format.md")).unwrap();
    let block = page.split("```vectors\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let pair = |line: &str| line.split_once(' ').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
    block.lines().map(pair).collect()
}

fn hex_of(hash: SubtreeHash) -> String {
    hash.digest().unwrap().to_string()
}

fn write_file(path: &Path, bytes: &[u8], time: std::time::SystemTime) {
    fs::write(path, bytes).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// The page's `tree`, built and hashed.
fn tree() -> (tempfile::TempDir, Manifest) {
    let tmp = tempfile::tempdir().unwrap();
    let home = tmp.path().join("tree");
    fs::create_dir_all(home.join("a-b")).unwrap();
    fs::create_dir_all(home.join("d")).unwrap();
    write_file(&home.join("a"), b"hello", UNIX_EPOCH + Duration::from_millis(TIME_MS));
    write_file(&home.join("d").join(OsStr::from_bytes(b"\xff")), b"", UNIX_EPOCH - Duration::from_nanos(1));
    let identity = Identity {
        host: "host".to_owned(),
        instance: "/tree".to_owned(),
        created_ms: i64::try_from(TIME_MS).unwrap(),
        program: "twintree 0.1.0".to_owned(),
        rules: Rules::none().fingerprint().0,
        file_patterns: vec![],
        directory_patterns: vec![],
    };
    let root = RootSpec { id: RootId::DATA_0, home, rules: RootRules::none() };
    let manifest = Manifest::walk(identity, &[root], &Context::default()).unwrap();
    manifest.hash_contents(&Context::default(), &|_, _, _| ()).unwrap();
    (tmp, manifest)
}

#[test]
fn directory_and_instance_hashes_are_those_of_the_page() {
    let vectors = vectors();
    let empty = |kind| subtree_hash(kind, &[], std::iter::empty::<(&Name, SubtreeHash)>());
    assert_eq!(hex_of(empty(HashKind::Metadata)), vectors["empty-directory-metadata"]);
    assert_eq!(hex_of(empty(HashKind::Content)), vectors["empty-directory-content"]);
    assert_eq!(blake3::hash(b"hello").to_string(), vectors["file-digest-hello"]);

    let (_tmp, manifest) = tree();
    let tree = manifest.roots()[0].tree.as_ref().unwrap();
    let (root, d) = (DirectoryIndex::ROOT, DirectoryIndex(2));
    assert_eq!(tree.table().path(d).to_string(), "d");
    assert_eq!(hex_of(tree.table().get(d).metadata), vectors["tree-d-metadata"]);
    assert_eq!(hex_of(tree.content(d)), vectors["tree-d-content"]);
    assert_eq!(hex_of(tree.table().get(root).metadata), vectors["tree-root-metadata"]);
    assert_eq!(hex_of(tree.content(root)), vectors["tree-root-content"]);
    assert_eq!(hex_of(manifest.instance_hash(HashKind::Metadata)), vectors["tree-instance-metadata"]);
    assert_eq!(hex_of(manifest.instance_hash(HashKind::Content)), vectors["tree-instance-content"]);

    let instance = |roots: &[(RootId, Option<SubtreeHash>)]| hex_of(instance_hash(HashKind::Content, roots));
    assert_eq!(instance(&[(RootId::DATA_0, None)]), vectors["instance-absent-root-content"]);
    let empty_root = Some(empty(HashKind::Content));
    assert_eq!(instance(&[(RootId::DATA_0, empty_root)]), vectors["instance-empty-root-content"]);
    let two = [(RootId::DATA_0, Some(tree.content(root))), (RootId::new(DirectoryType::Commitlog, 0), None)];
    assert_eq!(instance(&two), vectors["two-roots-instance-content"]);
}

#[test]
fn rules_fingerprints_are_those_of_the_page() {
    let vectors = vectors();
    let default = Rules::compile(&[], &["glob:${DATA_FILE_DIR}/*/*/snapshots".to_owned()]).unwrap();
    assert_eq!(Rules::none().fingerprint().to_string(), vectors["rules-none"]);
    assert_eq!(default.fingerprint().to_string(), vectors["rules-default"]);
}

#[test]
fn a_manifest_file_is_byte_for_byte_that_of_the_page() {
    let (tmp, manifest) = tree();
    let path = tmp.path().join("m");
    write(&manifest, &path).unwrap();
    assert_eq!(hex::encode(fs::read(&path).unwrap()), vectors()["manifest-file"]);
}

/// `tests/data/manifest-v1.twintree` was made from the page, and is never edited: version 1 stays readable.
#[test]
fn a_manifest_of_version_1_is_readable_for_ever() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/manifest-v1.twintree");
    let manifest = ManifestFile::open(&path).unwrap();
    manifest.check_all().unwrap();
    let vectors = vectors();
    assert_eq!(hex_of(manifest.instance_hash(HashKind::Metadata)), vectors["tree-instance-metadata"]);
    assert_eq!(hex_of(manifest.instance_hash(HashKind::Content)), vectors["tree-instance-content"]);
    let totals = manifest.totals();
    assert_eq!((totals.files, totals.directories, totals.bytes), (2, 2, 5));
    assert_eq!(manifest.identity().host, "host");
    let files = manifest.open_directory(RootId::DATA_0, DirectoryIndex(2)).unwrap();
    assert_eq!((files.len(), files[0].name.as_bytes()), (1, &b"\xff"[..]));
}
