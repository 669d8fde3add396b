//! Manifest files that nobody wrote: noise, and sound files changed at random with checksums that fit again. Reading ends
//! in a value or an error, and what is accepted under the same hashes is the same.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::Index;
use rustix::fs::{CWD, FileType, mknodat};
use twintree::manifest::{Comparand as _, Depth, HashKind, ManifestFile, findings, write};
use twintree::model::{FileEntry, Listed, RelPath};

use crate::support::manifests::{CHECKSUM_BYTES, HEAD_BYTES, entries, manifest_of, place, with_section};

/// A manifest whose blocks are one, so that the block's hash in the table can be made to fit. `everything_read` leaves out
/// what makes hashes unproven.
fn sound(everything_read: bool) -> Vec<u8> {
    static FILES: [OnceLock<Vec<u8>>; 2] = [OnceLock::new(), OnceLock::new()];
    let make = || {
        let tmp = tempfile::tempdir().unwrap();
        let home = tmp.path().join("tree");
        fs::create_dir_all(home.join("d/e")).unwrap();
        symlink("d", home.join("linked")).unwrap();
        fs::write(home.join("a"), b"hello").unwrap();
        fs::write(home.join("b"), [7; 300]).unwrap();
        if !everything_read {
            symlink("nothing", home.join("dangling")).unwrap();
            mknodat(CWD, home.join("pipe"), FileType::Fifo, 0o600.into(), 0).unwrap();
        }
        write(&manifest_of(&home, 1), &tmp.path().join("m")).unwrap();
        fs::read(tmp.path().join("m")).unwrap()
    };
    FILES[usize::from(everything_read)].get_or_init(make).clone()
}

fn payload(file: &[u8], tag: &[u8; 4]) -> Vec<u8> {
    let place = place(file, tag);
    file[place.start + HEAD_BYTES..place.end - CHECKSUM_BYTES].to_vec()
}

/// One change of some bytes.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index),
    /// As a length, a number that lies.
    Number(Index, u64),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let number = prop_oneof![Just(u64::MAX), (0..64_u32).prop_map(|bits| 1 << bits), any::<u64>()];
    let change = prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, more)| Change::Insert(at, more)),
        1 => any::<Index>().prop_map(Change::Remove),
        1 => (any::<Index>(), number).prop_map(|(at, number)| Change::Number(at, number)),
    ];
    prop::collection::vec(change, 1..4)
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Set(at, byte) if !bytes.is_empty() => {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        Change::Remove(at) if !bytes.is_empty() => drop(bytes.remove(at.index(bytes.len()))),
        Change::Insert(at, more) => {
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..at, more.iter().copied());
        }
        Change::Number(at, number) => {
            let at = at.index(bytes.len() + 1);
            let encoded = [&[253][..], &number.to_le_bytes()].concat();
            bytes.splice(at..(at + 1).min(bytes.len()), encoded);
        }
        Change::Set(..) | Change::Remove(_) => {}
    }
}

/// The file with a section edited and every check made to fit again.
fn forged(file: &[u8], tag: &[u8; 4], edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let before = payload(file, tag);
    let mut after = before.clone();
    edit(&mut after);
    let forged = with_section(file, tag, &after);
    if tag != b"BLKS" {
        return forged;
    }
    let mut table = payload(file, b"DIRS");
    let at = place_of(&table, blake3::hash(&before).as_bytes());
    table[at..at + 32].copy_from_slice(blake3::hash(&after).as_bytes());
    with_section(&forged, b"DIRS", &table)
}

fn place_of(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|window| window == wanted).unwrap()
}

/// What a hash covers: names and kinds of entries, sizes, times and digests.
fn covered(manifest: &ManifestFile) -> Vec<(RelPath, Vec<FileEntry>)> {
    let mut entries = entries(manifest);
    for file in entries.iter_mut().flat_map(|(_, files)| files) {
        assert!(matches!(file.listed, Listed::File { .. }), "a proven directory has nothing unlistable");
    }
    entries
}

fn reads_without_panic_impl(bytes: &[u8], sound: &[u8]) {
    let tmp = tempfile::tempdir().unwrap();
    let open = |name: &str, bytes: &[u8]| {
        fs::write(tmp.path().join(name), bytes).unwrap();
        ManifestFile::open(&tmp.path().join(name))
    };
    let Ok(manifest) = open("changed", bytes) else { return };
    let sound = open("sound", sound).unwrap();
    for (id, table) in manifest.tables() {
        for index in table.into_iter().flat_map(|table| table.indices()) {
            let _ = manifest.open(id, index);
        }
    }
    for depth in [Depth::Metadata, Depth::Content] {
        let _ = findings(&manifest, &sound, depth);
        let _ = findings(&sound, &manifest, depth);
    }
    let equal = |kind| manifest.instance_hash(kind).proves_equal(&sound.instance_hash(kind));
    if manifest.check_all().is_ok() && equal(HashKind::Metadata) && equal(HashKind::Content) {
        assert_eq!(covered(&manifest), covered(&sound), "the same hashes, and yet other entries");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_without_panic_proptest(
        noise in prop::collection::vec(any::<u8>(), 0..300),
        changes in changes(),
        tag in prop::sample::select(vec![b"IDEN", b"DIRS", b"BLKS", b"TEND"]),
        everything_read in any::<bool>(),
    ) {
        let sound = sound(everything_read);
        reads_without_panic_impl(&noise, &sound);
        reads_without_panic_impl(&[&sound[..12], &noise].concat(), &sound);
        let edit = |bytes: &mut Vec<u8>| changes.iter().for_each(|change| apply(bytes, change));
        reads_without_panic_impl(&forged(&sound, tag, edit), &sound);
        let mut unforged = sound.clone();
        edit(&mut unforged);
        reads_without_panic_impl(&unforged, &sound);
    }
}

/// Every byte of every section in turn, with checks that fit: only meaning can be wrong now.
#[test]
fn reads_without_panic_cases() {
    let sound = sound(true);
    reads_without_panic_impl(&[], &sound);
    reads_without_panic_impl(&sound, &sound);
    for tag in [b"DIRS", b"BLKS", b"TEND"] {
        for at in 0..payload(&sound, tag).len() {
            for mask in [0x01, 0xff] {
                reads_without_panic_impl(&forged(&sound, tag, |bytes| bytes[at] ^= mask), &sound);
            }
        }
    }
}

#[test]
fn a_block_of_other_files_does_not_give_the_hashes_of_its_directory() {
    let sound = sound(true);
    let forged = forged(&sound, b"BLKS", |block| {
        let at = place_of(block, blake3::hash(b"hello").as_bytes());
        block[at] ^= 1;
    });
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("forged");
    fs::write(&path, forged).unwrap();
    let error = ManifestFile::open(&path).unwrap().check_all().unwrap_err().to_string();
    let expected = "the block of directory \"\": its Content hash is not that of its entries";
    assert_eq!(error, format!("{}: {expected}", path.display()));
}

/// A forged hash must not close a subtree: `diff` reads tables and never the branches that they call equal.
#[test]
fn a_forged_hash_of_a_directory_without_files_is_refused_when_the_file_is_opened() {
    let tmp = tempfile::tempdir().unwrap();
    let (home, path) = (tmp.path().join("tree"), tmp.path().join("m"));
    fs::create_dir_all(home.join("ks/empty")).unwrap();
    fs::write(home.join("file"), b"hello").unwrap();
    let manifest = manifest_of(&home, 1);
    twintree::manifest::write(&manifest, &path).unwrap();
    let sound = fs::read(&path).unwrap();
    let tree = manifest.roots()[0].tree.as_ref().unwrap();
    let empty = twintree::manifest::DirectoryIndex(2);
    let hashes = [tree.table().get(empty).metadata, tree.content(empty)];
    for (hash, kind) in hashes.into_iter().zip(["Metadata", "Content"]) {
        let forged = forged(&sound, b"DIRS", |table| {
            let at = place_of(table, &hash.digest().unwrap().0);
            table[at] ^= 1;
        });
        fs::write(&path, forged).unwrap();
        let error = ManifestFile::open(&path).unwrap_err().to_string();
        assert!(error.contains("section DIRS: directory ") && error.contains(kind), "{error}");
    }
}
