//! Manifest files: the same hashes wherever and however they are made, and no damage that goes unnoticed.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;
use twintree::exclude::{RootRules, Rules};
use twintree::manifest::{FileError, HashKind, Identity, Manifest, ManifestFile, RootSpec, write};
use twintree::model::RootId;
use twintree::scan::Context;

use crate::support::trees::copy_tree;

/// A tree with everything a manifest can say: empty and full directories, strange names, links, unreadable entries.
fn tree() -> tempfile::TempDir {
    let tmp = tempfile::tempdir().unwrap();
    let home = tmp.path().join("tree");
    fs::create_dir_all(home.join("ks/t-1")).unwrap();
    fs::create_dir_all(home.join("ks/empty")).unwrap();
    for generation in 1..4 {
        fs::write(home.join(format!("ks/t-1/nb-{generation}-big-Data.db")), vec![7; 1000 * generation]).unwrap();
    }
    fs::write(home.join("ks").join(std::ffi::OsStr::from_bytes(b"\xfe")), b"").unwrap();
    symlink("nothing", home.join("ks/dangling")).unwrap();
    symlink("ks", home.join("link")).unwrap();
    tmp
}

fn manifest_of(home: &Path, threads: usize) -> Manifest {
    let identity = Identity::new("host".to_owned(), "tree".to_owned(), 0, &Rules::none());
    let root = RootSpec { id: RootId::DATA_0, home: home.to_owned(), rules: RootRules::none() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let manifest = Manifest::walk(identity, &[root], &Context::default()).unwrap();
        manifest.hash_contents(&Context::default(), &|_, _, _| ()).unwrap();
        manifest
    })
}

/// A written manifest of [`tree`], and its bytes.
fn written() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let tmp = tree();
    let path = tmp.path().join("m");
    write(&manifest_of(&tmp.path().join("tree"), 2), &path).unwrap();
    let bytes = fs::read(&path).unwrap();
    (tmp, path, bytes)
}

/// What `inspect` does.
fn read_all(path: &Path) -> Result<(), FileError> {
    ManifestFile::open(path)?.check_all()
}

#[test]
fn every_entry_comes_back_from_a_file() {
    let (tmp, path, _) = written();
    let (made, read) = (manifest_of(&tmp.path().join("tree"), 1), ManifestFile::open(&path).unwrap());
    read.check_all().unwrap();
    let tree = made.roots()[0].tree.as_ref().unwrap();
    let tables = read.tables();
    assert_eq!(tables, [(RootId::DATA_0, Some(tree.table()))]);
    assert_eq!(read.contents(RootId::DATA_0), tree.contents());
    for index in tree.table().indices() {
        assert_eq!(read.open_directory(RootId::DATA_0, index).unwrap(), tree.files(index));
    }
}

#[test]
fn the_root_hash_depends_on_neither_threads_nor_place_nor_run() {
    let tmp = tree();
    let home = tmp.path().join("tree");
    fs::remove_file(home.join("ks/dangling")).unwrap();
    fs::write(home.join("ks/large"), vec![3; 9 << 20]).unwrap();
    let elsewhere = tmp.path().join("some/where/else");
    copy_tree(&home, &elsewhere);
    let hashes = |manifest: &Manifest| {
        [HashKind::Metadata, HashKind::Content].map(|kind| manifest.instance_hash(kind).digest().unwrap().to_string())
    };
    let one = hashes(&manifest_of(&home, 1));
    assert_eq!(hashes(&manifest_of(&home, 8)), one);
    assert_eq!(hashes(&manifest_of(&elsewhere, 8)), one);
    for run in ["first", "second"] {
        let path = tmp.path().join(run);
        let twintree = || assert_cmd::Command::cargo_bin("twintree").unwrap();
        twintree().arg("manifest").arg(&elsewhere).arg("-o").arg(&path).assert().success();
        let output = twintree().arg("inspect").arg(&path).arg("--json").output().unwrap();
        let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!([&facts["metadataHash"], &facts["contentHash"]], [one[0].as_str(), one[1].as_str()]);
    }
}

#[test]
fn a_manifest_cut_anywhere_is_refused() {
    let (_tmp, path, bytes) = written();
    for end in 0..bytes.len() {
        fs::write(&path, &bytes[..end]).unwrap();
        let error = ManifestFile::open(&path).expect_err(&format!("cut after {end} bytes")).to_string();
        assert!(error.starts_with(&format!("{}: ", path.display())), "{error}");
    }
}

/// Whoever reads a part refuses it: the tables when the file is opened, a block when its directory is, and everything
/// when everything is read.
#[test]
fn a_manifest_with_any_byte_changed_is_refused() {
    let (_tmp, path, bytes) = written();
    let whole = ManifestFile::open(&path).unwrap();
    let indices: Vec<_> = whole.tables()[0].1.unwrap().indices().collect();
    for at in 0..bytes.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= change;
            fs::write(&path, &damaged).unwrap();
            let error = read_all(&path).expect_err(&format!("byte {at} ^ {change:#x}")).to_string();
            let says_where = ["section", "block", "byte", "directory", "version", "not a manifest"];
            assert!(says_where.iter().any(|place| error.contains(place)), "byte {at}: {error}");
            // What opens all the same gives back nothing that is not as it was.
            let Ok(opened) = ManifestFile::open(&path) else { continue };
            assert_eq!(opened.tables(), whole.tables(), "byte {at}");
            for index in &indices {
                if let Ok(files) = opened.open_directory(RootId::DATA_0, *index) {
                    fs::write(&path, &bytes).unwrap();
                    assert_eq!(files, whole.open_directory(RootId::DATA_0, *index).unwrap(), "byte {at}");
                    fs::write(&path, &damaged).unwrap();
                }
            }
        }
    }
}

/// The bytes of a section nobody knows, placed before the first one.
fn with_unknown_section(bytes: &[u8], checksum: impl Fn(&[u8]) -> [u8; 32]) -> Vec<u8> {
    let mut section = b"NEWS".to_vec();
    section.extend_from_slice(&5_u64.to_le_bytes());
    section.extend_from_slice(b"facts");
    let checksum = checksum(&section);
    [&bytes[..12], &section, &checksum, &bytes[12..]].concat()
}

#[test]
fn a_section_of_a_later_version_is_skipped_and_its_damage_is_still_found() {
    let (_tmp, path, bytes) = written();
    let checksum = |section: &[u8]| blake3::derive_key("twintree 2026-11-23 manifest section checksum v1", section);
    fs::write(&path, with_unknown_section(&bytes, checksum)).unwrap();
    read_all(&path).unwrap();
    fs::write(&path, with_unknown_section(&bytes, |_| [0; 32])).unwrap();
    ManifestFile::open(&path).unwrap();
    let error = read_all(&path).unwrap_err().to_string();
    assert!(error.contains("section NEWS at byte 12: damaged"), "{error}");
}

#[test]
fn another_format_version_and_lengths_that_lie_are_refused() {
    let (_tmp, path, bytes) = written();
    let refused = |at: usize, with: &[u8]| {
        let mut other = bytes.clone();
        other[at..at + with.len()].copy_from_slice(with);
        fs::write(&path, other).unwrap();
        ManifestFile::open(&path).unwrap_err().to_string()
    };
    assert!(refused(8, &2_u32.to_le_bytes()).contains("format version 2, but this program reads version 1"));
    for length in [u64::MAX, 1 << 40, bytes.len() as u64] {
        assert!(refused(16, &length.to_le_bytes()).contains("section IDEN at byte 12: the file is cut off"));
    }
}

#[test]
fn a_failed_write_leaves_the_old_file_and_nothing_else() {
    let (tmp, path, bytes) = written();
    let twintree = env!("CARGO_BIN_EXE_twintree");
    let tree = tmp.path().join("tree");
    // Files of more than one block of 512 bytes cannot be written in there.
    let script = format!("trap '' XFSZ; ulimit -f 1; exec {twintree:?} manifest {tree:?} -o {path:?}");
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(path.to_str().unwrap()), "{said}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
    let names: Vec<_> = fs::read_dir(tmp.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}
