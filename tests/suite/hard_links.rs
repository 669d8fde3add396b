//! Files with several names are read once, wherever in an instance the names lie, and known as well as if each had been read.

use std::fs;
use std::path::Path;

use twintree::exclude::{RootRules, Rules};
use twintree::manifest::{Comparand, HashKind, Identity, Manifest, RootSpec};
use twintree::model::{Content, DirectoryType, Listed, RelPath, RootId};
use twintree::scan::Context;

use crate::support::manifests::entries;
use crate::support::trees::copy_time;

/// The roots data/0 and data/1 of a directory.
fn roots(home: &Path) -> Vec<RootSpec> {
    let root = |index: u32| RootSpec {
        id: RootId::new(DirectoryType::Data, index),
        home: home.join(index.to_string()),
        rules: RootRules::none(),
    };
    vec![root(0), root(1)]
}

/// Walks, lets something happen, and hashes.
fn manifest_with(home: &Path, meanwhile: impl FnOnce() + Send) -> (Manifest, Context) {
    let context = Context::default();
    let identity = Identity::new("host".to_owned(), "instance".to_owned(), 7, &Rules::none());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let manifest = pool.install(|| {
        let manifest = Manifest::walk(identity, &roots(home), &context).unwrap();
        meanwhile();
        manifest.hash_contents(&context, &|_, _, _, _| ()).unwrap();
        manifest
    });
    (manifest, context)
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// `big` has a name beside it, one in another directory and one in the other root; `small` one beside it; `out` one outside.
fn plant(home: &Path) {
    write(&home.join("0/t/big"), &vec![7; 9 << 20]);
    write(&home.join("0/t/small"), b"small");
    write(&home.join("0/t/out"), b"out");
    write(&home.join("0/t/plain"), b"plain");
    write(&home.join("1/u/other"), b"other");
    for (name, link) in [
        ("0/t/big", "0/t/again"),
        ("0/t/big", "0/backups"),
        ("0/t/big", "1/u/big"),
        ("0/t/small", "0/t/tiny"),
        ("0/t/out", "outside"),
    ] {
        fs::hard_link(home.join(name), home.join(link)).unwrap();
    }
}

/// Every file has the digest of the bytes that stand under its name.
fn check_digests(manifest: &Manifest, home: &Path) {
    let tables = manifest.tables();
    assert_eq!(tables.len(), 2);
    for (directory, files) in entries(manifest) {
        for file in files {
            let path = directory.join(&file.name).unwrap();
            let bytes =
                ["0", "1"].iter().find_map(|root| fs::read(home.join(root).join(path.to_string())).ok()).unwrap();
            let Listed::File { content: Content::Digest(digest), .. } = file.listed else { panic!("{path}: {file:?}") };
            assert_eq!(digest, blake3::hash(&bytes).into(), "{path}");
        }
    }
}

#[test]
fn each_file_is_opened_once_whatever_its_names() {
    let home = tempfile::tempdir().unwrap();
    plant(home.path());
    let (manifest, context) = manifest_with(home.path(), || ());
    check_digests(&manifest, home.path());
    let progress = context.progress.snapshot();
    assert_eq!((progress.files_total, progress.files_hashed), (9, 9));
    assert_eq!(progress.files_opened, 5);
    assert_eq!(progress.bytes_hashed, (9 << 20) + 5 + 3 + 5 + 5);
    let from = context.progress.provenance();
    assert_eq!((from.linked_files, from.linked_bytes), (4, 3 * (9 << 20) + 5));
    assert_eq!(from.read_bytes(), progress.bytes_hashed);
}

#[test]
fn links_and_copies_give_the_same_manifest() {
    let (links, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    plant(links.path());
    for root in ["0", "1"] {
        crate::support::trees::copy_tree(&links.path().join(root), &copies.path().join(root));
    }
    let hashes = |home: &Path| {
        let (manifest, _) = manifest_with(home, || ());
        [HashKind::Metadata, HashKind::Content].map(|kind| manifest.instance_hash(kind).digest().unwrap())
    };
    assert_eq!(hashes(links.path()), hashes(copies.path()));
}

/// A name that was a further one when it was listed, and is another file of the same size and time when its turn comes.
#[test]
fn a_name_that_became_another_file_is_read_by_itself() {
    let home = tempfile::tempdir().unwrap();
    plant(home.path());
    let tiny = home.path().join("0/t/tiny");
    let (manifest, context) = manifest_with(home.path(), || {
        fs::remove_file(&tiny).unwrap();
        write(&tiny, b"SMALL");
        copy_time(&home.path().join("0/t/small"), &tiny);
    });
    check_digests(&manifest, home.path());
    // Once more than there are files: that it lost a name changed `small`, so its first look was none.
    assert_eq!(context.progress.snapshot().files_opened, 7);
}

/// Where the first name cannot be read any more, the others are.
#[test]
fn the_other_names_of_a_vanished_first_one_are_read() {
    let home = tempfile::tempdir().unwrap();
    plant(home.path());
    // In the order of the walk the first name of `big`.
    let (manifest, _) = manifest_with(home.path(), || fs::remove_file(home.path().join("0/backups")).unwrap());
    let unread: Vec<RelPath> = entries(&manifest)
        .into_iter()
        .flat_map(|(directory, files)| {
            let unread = files.into_iter().filter(|file| file.digest().is_none());
            unread.map(|file| directory.join(&file.name).unwrap()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(unread, [RelPath::new(b"backups").unwrap()]);
}
