//! The test vectors of `docs/format.md`, which were computed from that page alone, against the code.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, FileType, Timespec, Timestamps, mknodat, utimensat};
use twintree::exclude::{RootRules, Rules};
use twintree::manifest::{
    DirectoryIndex, DirectoryTable, Grain, HashKind, Identity, Manifest, ManifestFile, RootSpec, SubtreeHash,
    hash_of_roots, instance_hash, places, subtree_hash, write,
};
use twintree::model::{DirectoryType, MAX_NAME_BYTES, MAX_PATH_BYTES, Name, RootId, Selection};
use twintree::scan::Context;

use crate::support::manifests::manifest_of;

const TIME_MS: u64 = 1_707_193_655_406;

fn in_checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn page() -> String {
    fs::read_to_string(in_checkout("docs/format.md")).unwrap()
}

/// The lines of the fenced block with this label; there is only one.
fn block(label: &str) -> Vec<String> {
    let page = page();
    let blocks: Vec<&str> = page.split(&format!("```{label}\n")).collect();
    let [_, block] = blocks[..] else { panic!("{} blocks {label}", blocks.len() - 1) };
    block.split("```").next().unwrap().lines().map(str::to_owned).collect()
}

/// Name to hex, from the fenced block labelled `vectors`.
fn vectors() -> HashMap<String, String> {
    let pair = |line: &String| line.split_once(' ').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
    block("vectors").iter().map(pair).collect()
}

/// The bytes of the block with this label; the offsets in it are checked.
fn file_of_the_page(label: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in block(label) {
        let (hex, note) = line.split_once(" ; ").unwrap_or((&line, ""));
        if let Some((offset, _)) = note.split_once(": ") {
            assert_eq!(offset, bytes.len().to_string(), "{line}");
        }
        bytes.extend(hex::decode(hex).unwrap());
    }
    bytes
}

fn hex_of(hash: SubtreeHash) -> String {
    hash.digest().unwrap().to_string()
}

fn write_file(path: &Path, bytes: &[u8], time: SystemTime) {
    fs::write(path, bytes).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn time() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(TIME_MS)
}

/// The page's `tree`, built and hashed.
fn tree() -> (tempfile::TempDir, Manifest) {
    let tmp = tempfile::tempdir().unwrap();
    let home = tmp.path().join("tree");
    fs::create_dir_all(home.join("a-b")).unwrap();
    fs::create_dir_all(home.join("d")).unwrap();
    write_file(&home.join("a"), b"hello", time());
    write_file(&home.join("d").join(OsStr::from_bytes(b"\xff")), b"", UNIX_EPOCH - Duration::from_nanos(1));
    let identity = Identity {
        host: "host".to_owned(),
        instance: "/tree".to_owned(),
        created_ms: i64::try_from(TIME_MS).unwrap(),
        program: "twintree 0.1.0".to_owned(),
        rules: Rules::none().fingerprint().0,
        file_patterns: vec![],
        directory_patterns: vec![],
        selection: None,
    };
    let root = RootSpec { id: RootId::DATA_0, home, rules: RootRules::none() };
    let manifest = Manifest::walk(identity, &[root], &Context::default()).unwrap();
    manifest.hash_contents(&Context::default(), &|_, _, _, _| ()).unwrap();
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

    let instance = |kind, roots: &[(RootId, Option<SubtreeHash>)]| hex_of(instance_hash(kind, roots));
    let commitlog = RootId::new(DirectoryType::Commitlog, 0);
    for (kind, suffix) in [(HashKind::Metadata, "metadata"), (HashKind::Content, "content")] {
        let vector = |name: &str| vectors[&format!("{name}-{suffix}")].clone();
        let hash = hash_of_roots(kind, [(RootId::DATA_0, Some((tree.table(), tree.content(root))))].into_iter());
        assert_eq!(hex_of(hash), vector("tree-instance"));
        assert_eq!(instance(kind, &[(RootId::DATA_0, None)]), vector("instance-absent-root"));
        assert_eq!(instance(kind, &[(RootId::DATA_0, Some(empty(kind)))]), vector("instance-empty-root"));
        let tree_hash = match kind {
            HashKind::Metadata => tree.table().get(root).metadata,
            HashKind::Content => tree.content(root),
        };
        assert_eq!(
            instance(kind, &[(RootId::DATA_0, Some(tree_hash)), (commitlog, None)]),
            vector("two-roots-instance")
        );
    }
}

#[test]
fn links_and_special_files_hash_as_the_page_says() {
    let tmp = tempfile::tempdir().unwrap();
    let home = tmp.path().join("links");
    fs::create_dir_all(&home).unwrap();
    fs::create_dir(tmp.path().join("directory")).unwrap();
    write_file(&tmp.path().join("directory/f"), b"not seen", time());
    write_file(&tmp.path().join("hello"), b"hello", time());
    symlink("../directory", home.join("l")).unwrap();
    symlink("../hello", home.join("s")).unwrap();
    let hashes = || {
        let manifest = manifest_of(&home, 1);
        let tree = manifest.roots()[0].tree.as_ref().unwrap();
        (tree.table().get(DirectoryIndex::ROOT).metadata, tree.content(DirectoryIndex::ROOT))
    };
    let vectors = vectors();
    let (metadata, content) = hashes();
    assert_eq!(
        (hex_of(metadata), hex_of(content)),
        (vectors["links-metadata"].clone(), vectors["links-content"].clone())
    );

    mknodat(CWD, home.join("p"), FileType::Fifo, 0o600.into(), 0).unwrap();
    let at = Timespec { tv_sec: (TIME_MS / 1000).cast_signed(), tv_nsec: (TIME_MS % 1000 * 1_000_000).cast_signed() };
    let times = Timestamps { last_access: at, last_modification: at };
    utimensat(CWD, home.join("p"), &times, AtFlags::empty()).unwrap();
    let (metadata, content) = hashes();
    assert_eq!(hex_of(metadata), vectors["pipe-metadata"]);
    assert!(!content.is_proven());
}

/// What the page says of places, once more: kind, and for each directory root, path and hash.
fn place_by_the_page(hash: HashKind, kind: u8, parts: &[(RootId, &str, SubtreeHash)]) -> String {
    let mut input = [&1_u32.to_le_bytes()[..], &[kind], &(parts.len() as u64).to_le_bytes()].concat();
    for (root, path, hash) in parts {
        input.push(root.directory_type.code());
        input.extend(root.index.to_le_bytes());
        input.extend(u32::try_from(path.len()).unwrap().to_le_bytes());
        input.extend(path.as_bytes());
        input.extend(hash.digest().unwrap().0);
    }
    hex::encode(blake3::derive_key(&format!("twintree 2026-11-30 place {hash} hash v1"), &input))
}

#[test]
fn place_hashes_are_those_of_the_page() {
    const TABLE: &str = "ks/t-0123456789abcdef0123456789abcdef";
    let tmp = tempfile::tempdir().unwrap();
    let [data0, data1, hints] = ["data/0", "data/1", "hints/0"].map(|id| id.parse::<RootId>().unwrap());
    let home = |id: RootId| tmp.path().join(id.to_string().replace('/', "-"));
    for directory in [home(data0).join(TABLE), home(data1).join(TABLE), home(data1).join("ks/t"), home(hints)] {
        fs::create_dir_all(directory).unwrap();
    }
    write_file(&home(data0).join(TABLE).join("a"), b"hello", time());
    write_file(&home(data0).join("ks/stray"), b"hello", time());
    write_file(&home(data1).join(TABLE).join("a"), b"", time());
    write_file(&home(hints).join("h"), b"hello", time());
    let spec = |id| RootSpec { id, home: home(id), rules: RootRules::none() };
    let identity = Identity::new(String::new(), String::new(), 0, &Rules::none());
    let manifest = Manifest::walk(identity, &[data0, data1, hints].map(spec), &Context::default()).unwrap();
    manifest.hash_contents(&Context::default(), &|_, _, _, _| ()).unwrap();

    let found = |grain| {
        let places = places(&manifest, grain).unwrap().into_iter();
        places
            .map(|place| {
                let name = |name: &Option<Name>| name.as_ref().map_or("-".to_owned(), Name::to_string);
                let place_name =
                    format!("{} {} {}", place.directory_type.name(), name(&place.keyspace), name(&place.table));
                (place_name, (hex_of(place.metadata), hex_of(place.content)))
            })
            .collect::<HashMap<String, (String, String)>>()
    };
    let (tables, keyspaces) = (found(Grain::Tables), found(Grain::Keyspaces));
    assert_eq!((tables.len(), keyspaces.len()), (3, 2));
    let vectors = vectors();
    for (kind, suffix) in [(HashKind::Metadata, "metadata"), (HashKind::Content, "content")] {
        let hash = |id, path: &str| {
            let tree = manifest.root(id).unwrap().tree.as_ref().unwrap();
            let index =
                tree.table().indices().find(|index| tree.table().path(*index).as_bytes() == path.as_bytes()).unwrap();
            match kind {
                HashKind::Metadata => tree.table().get(index).metadata,
                HashKind::Content => tree.content(index),
            }
        };
        let only_stray = || {
            let tree = manifest.root(data0).unwrap().tree.as_ref().unwrap();
            let index = tree.table().indices().find(|index| tree.table().path(*index).as_bytes() == b"ks").unwrap();
            subtree_hash(kind, &tree.files(index), std::iter::empty::<(&Name, SubtreeHash)>())
        };
        let part = |id, path| (id, path, hash(id, path));
        let table = place_by_the_page(kind, 0, &[part(data0, TABLE), part(data1, "ks/t"), part(data1, TABLE)]);
        let keyspace = place_by_the_page(kind, 1, &[part(data0, "ks"), part(data1, "ks")]);
        let beside = place_by_the_page(kind, 2, &[(data0, "ks", only_stray())]);
        let type_of_roots = place_by_the_page(kind, 3, &[part(hints, "")]);
        for (name, by_the_page, places, place) in [
            ("table", table, &tables, "data ks t"),
            ("keyspace", keyspace, &keyspaces, "data ks -"),
            ("beside", beside, &tables, "data ks -"),
            ("hints", type_of_roots, &tables, "hints - -"),
        ] {
            let (metadata, content) = &places[place];
            let of_the_program = if kind == HashKind::Metadata { metadata } else { content };
            assert_eq!(of_the_program, &by_the_page, "{name}-{suffix}");
            assert_eq!(by_the_page, vectors[&format!("places-{name}-{suffix}")]);
        }
    }
}

#[test]
fn the_limits_are_those_of_the_page() {
    let page = page();
    assert!(page.contains(&format!("| a name | {MAX_NAME_BYTES} bytes |")));
    assert!(page.contains(&format!("| a path below a root | {MAX_PATH_BYTES} bytes |")));
    assert!(page.contains("| directories of one root, the root directory included | 2^24 |"));
    assert_eq!(DirectoryTable::MAX_DIRECTORIES, 1 << 24);
}

fn selection() -> Selection {
    Selection::parse(&["ks001", "shop.orders"].map(str::to_owned)).unwrap()
}

#[test]
fn rules_fingerprints_are_those_of_the_page() {
    let vectors = vectors();
    let default = Rules::compile(&[], &["glob:${DATA_FILE_DIR}/*/*/snapshots".to_owned()]).unwrap();
    assert_eq!(Rules::none().fingerprint().to_string(), vectors["rules-none"]);
    assert_eq!(default.fingerprint().to_string(), vectors["rules-default"]);
    assert_eq!(default.restricted_to(&selection()).fingerprint().to_string(), vectors["rules-restricted"]);
}

#[test]
fn a_manifest_file_is_byte_for_byte_that_of_the_page() {
    let (tmp, manifest) = tree();
    let path = tmp.path().join("m");
    write(&manifest, &path).unwrap();
    assert_eq!(hex::encode(fs::read(&path).unwrap()), hex::encode(file_of_the_page("manifest-file")));
}

/// The file is never edited: version 1 stays readable.
#[test]
fn a_manifest_of_version_1_is_readable_for_ever() {
    let path = in_checkout("tests/data/manifest-v1.twintree");
    assert_eq!(fs::read(&path).unwrap(), file_of_the_page("manifest-file"));
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

/// A reader of format 1 refuses this file by its version, so that it never takes a part for the whole.
#[test]
fn a_restricted_manifest_is_byte_for_byte_that_of_the_page() {
    let tmp = tempfile::tempdir().unwrap();
    let (home, path) = (tmp.path().join("tree"), tmp.path().join("m"));
    fs::create_dir(&home).unwrap();
    let rules = Rules::compile(&[], &["glob:${DATA_FILE_DIR}/*/*/snapshots".to_owned()]).unwrap();
    let rules = rules.restricted_to(&selection());
    let identity = Identity {
        program: "twintree 0.1.0".to_owned(),
        ..Identity::new("host".to_owned(), "/tree".to_owned(), i64::try_from(TIME_MS).unwrap(), &rules)
    };
    let root = RootSpec { id: RootId::DATA_0, rules: rules.for_root(RootId::DATA_0, &home).unwrap(), home };
    let manifest = Manifest::walk(identity, &[root], &Context::default()).unwrap();
    manifest.hash_contents(&Context::default(), &|_, _, _, _| ()).unwrap();
    write(&manifest, &path).unwrap();
    let expected = file_of_the_page("restricted-manifest-file");
    assert_eq!(hex::encode(fs::read(&path).unwrap()), hex::encode(&expected));
    let recorded = in_checkout("tests/data/manifest-v2.twintree");
    assert_eq!(fs::read(&recorded).unwrap(), expected);
    let file = ManifestFile::open(&recorded).unwrap();
    file.check_all().unwrap();
    assert_eq!(file.identity(), &manifest.identity);
    assert_eq!(file.identity().selection, Some(selection()));
}
