//! Manifest files: what was written comes back, whatever is not what was written is refused, and a file is replaced
//! whole or not at all.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, mknodat};
use serde_json::Value;
use twintree::manifest::{Comparand as _, FileError, HashKind, ManifestFile, SubtreeHash, write};
use twintree::model::{Content, Listed, Reason, RootId};

use crate::support::manifests::{
    CHECKSUM_BYTES, HEAD_BYTES, entries, manifest_of, place, section, sections, with_section,
};
use crate::support::program::{text, twintree, twintree_after};
use crate::support::trees::copy_tree;

/// Files in three directories, an empty file, empty directories and a name that is not UTF-8; all of it readable.
fn tree(home: &Path) {
    fs::create_dir_all(home.join("ks/t-1/backups")).unwrap();
    fs::create_dir_all(home.join("ks/t-2")).unwrap();
    fs::create_dir(home.join("empty")).unwrap();
    fs::write(home.join("top"), b"at the top").unwrap();
    fs::write(home.join("ks/t-1/nb-1-big-Data.db"), [7; 70_000]).unwrap();
    fs::write(home.join("ks/t-1/nb-1-big-TOC.txt"), b"").unwrap();
    fs::write(home.join(OsStr::from_bytes(b"ks/t-2/\xff\xfe")), b"odd").unwrap();
}

/// The tree and its manifest file; the file's bytes are a few KB.
fn written() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let tmp = tempfile::tempdir().unwrap();
    let (home, path) = (tmp.path().join("tree"), tmp.path().join("x.manifest"));
    tree(&home);
    write(&manifest_of(&home, 2), &path).unwrap();
    let bytes = fs::read(&path).unwrap();
    (tmp, path, bytes)
}

fn refused(path: &Path) -> FileError {
    ManifestFile::open(path).and_then(|manifest| manifest.check_all()).unwrap_err()
}

/// The message begins with the file, and then says where in it.
fn assert_says_where(error: &FileError, path: &Path) {
    let message = error.to_string();
    let fault = message.strip_prefix(&format!("{}: ", path.display())).unwrap_or_else(|| panic!("{message}"));
    let places =
        ["section ", "byte ", "the block of directory ", "not a manifest: it does not begin", "format version "];
    assert!(places.iter().any(|place| fault.starts_with(place)), "{message}");
}

#[test]
fn every_entry_comes_back_from_the_file() {
    let (tmp, path, _) = written();
    let home = tmp.path().join("tree");
    symlink("nothing", home.join("ks/dangling")).unwrap();
    symlink("t-1", home.join("ks/linked")).unwrap();
    mknodat(CWD, home.join("ks/t-2/pipe"), FileType::Fifo, 0o600.into(), 0).unwrap();
    let manifest = manifest_of(&home, 2);
    write(&manifest, &path).unwrap();
    let file = ManifestFile::open(&path).unwrap();
    assert_eq!(file.blocks_read(), 0, "opening reads no block");

    assert_eq!(file.identity(), &manifest.identity);
    for ((id, read), (written_id, written)) in file.tables().into_iter().zip(manifest.tables()) {
        assert_eq!(id, written_id);
        assert!(read.unwrap().is_same_claim_as(written.unwrap()));
    }
    let digests = |hashes: &[SubtreeHash]| hashes.iter().map(|hash| hash.digest()).collect::<Vec<_>>();
    assert_eq!(digests(file.contents(RootId::DATA_0)), digests(&manifest.contents(RootId::DATA_0)));
    assert_eq!(file.totals(), manifest.totals());
    let found = entries(&file);
    assert_eq!(found, entries(&manifest));
    let names: Vec<_> = found
        .iter()
        .map(|(path, files)| (path.to_string(), files.iter().map(|f| f.name.to_string()).collect()))
        .collect();
    let row = |path: &str, names: &[&str]| (path.to_owned(), names.iter().map(ToString::to_string).collect::<Vec<_>>());
    let expected = [
        row("", &["top"]),
        row("empty", &[]),
        row("ks", &["dangling"]),
        row("ks/linked", &[]),
        row("ks/t-1", &["nb-1-big-Data.db", "nb-1-big-TOC.txt"]),
        row("ks/t-1/backups", &[]),
        row("ks/t-2", &["pipe", "\\xff\\xfe"]),
    ];
    assert_eq!(names, expected);
    assert!(matches!(&found[2].1[0].listed, Listed::Unlistable(problem) if problem.reason == Reason::Unreadable));
    assert!(matches!(&found[6].1[0].listed, Listed::File { content: Content::Unverified(problem), .. }
        if problem.reason == Reason::NotARegularFile));
    file.check_all().unwrap();
}

#[test]
fn the_root_hashes_depend_on_neither_threads_nor_place_nor_run() {
    let (tmp, path, _) = written();
    let (home, copy) = (tmp.path().join("tree"), tmp.path().join("elsewhere/copy"));
    copy_tree(&home, &copy);
    let mut hashes = BTreeSet::new();
    for (home, threads) in [(&home, 1), (&home, 8), (&copy, 1), (&copy, 8)] {
        let manifest = manifest_of(home, threads);
        let hash = |kind| manifest.instance_hash(kind).digest().unwrap().to_string();
        hashes.insert((hash(HashKind::Metadata), hash(HashKind::Content)));
    }
    for _ in 0..2 {
        assert_eq!(twintree(&["manifest", text(&home), "-o", text(&path)]).0, 0);
        let (code, out, err) = twintree(&["inspect", "--json", text(&path)]);
        assert_eq!((code, err.as_str()), (0, ""));
        let facts: Value = serde_json::from_str(&out).unwrap();
        let hash = |name: &str| facts[name].as_str().unwrap().to_owned();
        hashes.insert((hash("metadataHash"), hash("contentHash")));
    }
    assert_eq!(hashes.len(), 1, "{hashes:?}");
}

#[test]
fn a_manifest_cut_anywhere_is_refused_when_it_is_opened() {
    let (_tmp, path, bytes) = written();
    let file = File::options().write(true).open(&path).unwrap();
    for length in (0..bytes.len()).rev() {
        file.set_len(length as u64).unwrap();
        assert_says_where(&ManifestFile::open(&path).expect_err(&format!("cut to {length} bytes")), &path);
    }
}

/// Only blocks and their section's checksum are left for later; every other byte is checked when the file is opened.
#[test]
fn a_manifest_with_any_one_byte_changed_is_refused() {
    let (_tmp, path, bytes) = written();
    let blocks = place(&bytes, b"BLKS");
    let (payload, left_for_later) =
        (blocks.start + HEAD_BYTES..blocks.end - CHECKSUM_BYTES, blocks.start + HEAD_BYTES..blocks.end);
    let file = File::options().write(true).open(&path).unwrap();
    for (at, byte) in bytes.iter().enumerate() {
        for mask in [0x01, 0x80, 0xff] {
            file.write_all_at(&[byte ^ mask], at as u64).unwrap();
            let opened = ManifestFile::open(&path);
            assert_eq!(opened.is_ok(), left_for_later.contains(&at), "byte {at}, {mask:#x}");
            let Ok(manifest) = opened else {
                assert_says_where(&opened.unwrap_err(), &path);
                continue;
            };
            assert_says_where(&manifest.check_all().expect_err(&format!("byte {at}, {mask:#x}")), &path);
            let table = manifest.tables()[0].1.unwrap();
            let open = |index| manifest.open_directory(RootId::DATA_0, index).err();
            let damaged: Vec<FileError> = table.indices().filter_map(open).collect();
            assert_eq!(damaged.len(), usize::from(payload.contains(&at)), "byte {at}, {mask:#x}: {damaged:?}");
            damaged.iter().for_each(|error| assert_says_where(error, &path));
        }
        file.write_all_at(&[*byte], at as u64).unwrap();
    }
    assert_eq!(twintree(&["inspect", text(&path)]).0, 0, "every byte is what it was");
    for (tag, place) in sections(&bytes) {
        let at = place.start + HEAD_BYTES + place.len() / 2;
        file.write_all_at(&[!bytes[at]], at as u64).unwrap();
        let (code, out, err) = twintree(&["inspect", text(&path)]);
        assert_eq!((code, out.as_str()), (3, ""), "{tag:?}");
        assert!(err.contains(&format!("{}: ", path.display())), "{err}");
        file.write_all_at(&[bytes[at]], at as u64).unwrap();
    }
}

#[test]
fn a_section_of_a_later_version_is_skipped_and_yet_checked() {
    let (_tmp, path, bytes) = written();
    let sound = entries(&ManifestFile::open(&path).unwrap());
    let unknown = section(b"XTRA", b"what a later version has to say");
    for (_, place) in sections(&bytes) {
        let at = place.start;
        let with_unknown = [&bytes[..at], &unknown, &bytes[at..]].concat();
        fs::write(&path, &with_unknown).unwrap();
        let manifest = ManifestFile::open(&path).unwrap();
        manifest.check_all().unwrap();
        assert_eq!(entries(&manifest), sound);

        let file = File::options().write(true).open(&path).unwrap();
        for (damaged, byte) in with_unknown.iter().enumerate().take(at + unknown.len()).skip(at + HEAD_BYTES) {
            file.write_all_at(&[!byte], damaged as u64).unwrap();
            let manifest = ManifestFile::open(&path).unwrap();
            assert_eq!(entries(&manifest), sound, "nothing that is used is damaged");
            let error = manifest.check_all().unwrap_err().to_string();
            assert!(error.contains(&format!("section XTRA at byte {at}: damaged")), "{error}");
            file.write_all_at(&[*byte], damaged as u64).unwrap();
        }
    }
    fs::write(&path, [&bytes[..], &unknown].concat()).unwrap();
    assert_says_where(&ManifestFile::open(&path).unwrap_err(), &path);
}

#[test]
fn another_format_version_is_refused_with_both_versions_named() {
    let (_tmp, path, mut bytes) = written();
    bytes[8..12].copy_from_slice(&513_u32.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    let expected = format!("{}: format version 513, but this program reads versions 1 and 2", path.display());
    assert_eq!(refused(&path).to_string(), expected);
}

/// A restricted manifest file of format 2 as parts: head, identity, selection, the rest.
fn restricted() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let (tmp, path, _) = written();
    let home = tmp.path().join("tree");
    assert_eq!(twintree(&["manifest", text(&home), "-o", text(&path), "--keyspace", "ks", "--keyspace", "b.t"]).0, 0);
    let bytes = fs::read(&path).unwrap();
    (tmp, path, bytes)
}

/// The payload of the identity with these texts in place of no directory pattern.
fn identity_with(bytes: &[u8], patterns: &[&str]) -> Vec<u8> {
    let place = place(bytes, b"IDEN");
    let payload = &bytes[place.start + HEAD_BYTES..place.end - CHECKSUM_BYTES];
    // The fingerprint, no file pattern, and no directory pattern are the last of it.
    let (facts, end) = payload.split_at(payload.len() - 34);
    assert_eq!(end[32..], [0, 0], "the scan had no patterns");
    let texts = patterns.iter().flat_map(|text| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat());
    let head = facts.iter().copied().chain(fingerprint(patterns)).chain([0, u8::try_from(patterns.len()).unwrap()]);
    head.chain(texts).collect()
}

/// Of these texts as directory patterns; they are in order.
fn fingerprint(patterns: &[&str]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("twintree 2026 exclusion rules fingerprint v1");
    hasher.update(&0_u64.to_le_bytes()).update(&(patterns.len() as u64).to_le_bytes());
    for text in patterns {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    hasher.finalize().into()
}

fn without(bytes: &[u8], tag: &[u8; 4]) -> Vec<u8> {
    let place = place(bytes, tag);
    [&bytes[..place.start], &bytes[place.end..]].concat()
}

fn as_version(version: u32, bytes: &[u8]) -> Vec<u8> {
    [&bytes[..8], &version.to_le_bytes(), &bytes[12..]].concat()
}

#[test]
fn a_restricted_manifest_has_its_selection_in_a_section_of_its_own() {
    let (_tmp, path, bytes) = restricted();
    assert_eq!(bytes[8..12], 2_u32.to_le_bytes());
    let manifest = ManifestFile::open(&path).unwrap();
    assert!(manifest.identity().directory_patterns.is_empty());
    assert_eq!(manifest.identity().selection.as_ref().unwrap().names(), ["b.t", "ks"]);
    let (code, out, _) = twintree(&["inspect", "--json", text(&path)]);
    let facts: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &facts["selection"], &facts["directoriesExcluded"]),
        (0, &serde_json::json!(["b.t", "ks"]), &serde_json::json!([]))
    );
}

/// So programs wrote restricted manifests before there was a format 2.
#[test]
fn names_among_the_patterns_of_format_1_are_a_selection() {
    let (_tmp, path, bytes) = restricted();
    let old = as_version(1, &without(&bytes, b"SLCT"));
    let texts = ["glob:**/x", "only:b.t", "only:ks"];
    fs::write(&path, with_section(&old, b"IDEN", &identity_with(&old, &texts))).unwrap();
    let manifest = ManifestFile::open(&path).unwrap();
    manifest.check_all().unwrap();
    assert_eq!(manifest.identity().directory_patterns, ["glob:**/x"]);
    assert_eq!(manifest.identity().selection.as_ref().unwrap().names(), ["b.t", "ks"]);
    fs::write(&path, with_section(&old, b"IDEN", &identity_with(&old, &["only:a/b"]))).unwrap();
    let error = refused(&path).to_string();
    assert!(error.contains("section IDEN: \"a/b\" is no keyspace"), "{error}");
}

/// Where it were not plain whether a file is restricted, a part could pass for the whole.
#[test]
fn a_selection_in_the_wrong_place_is_refused() {
    let (_tmp, path, bytes) = restricted();
    let names = |names: &[&str]| {
        let texts = names.iter().flat_map(|name| [&[u8::try_from(name.len()).unwrap()], name.as_bytes()].concat());
        let payload: Vec<u8> = [u8::try_from(names.len()).unwrap()].into_iter().chain(texts).collect();
        with_section(&bytes, b"SLCT", &payload)
    };
    let selection = place(&bytes, b"SLCT");
    let twice = [&bytes[..selection.end], &bytes[selection.start..]].concat();
    for (file, expected) in [
        (as_version(1, &bytes), "section SLCT: a selection stands where a file of this format version has none"),
        (without(&bytes, b"SLCT"), "section SLCT is missing or stands twice"),
        (twice, "section SLCT is missing or stands twice"),
        (
            with_section(&bytes, b"IDEN", &identity_with(&bytes, &["only:ks"])),
            "section IDEN: a selection stands where a file of this format version has none",
        ),
        (names(&[]), "section SLCT: the list of keyspaces is empty"),
        (names(&["a/b"]), "section SLCT: \"a/b\" is no keyspace"),
    ] {
        fs::write(&path, file).unwrap();
        let error = ManifestFile::open(&path).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_says_where(&error, &path);
    }
    fs::write(&path, names(&["ks", "b.t"])).unwrap();
    ManifestFile::open(&path).unwrap().check_all().unwrap();
}

/// The address space is limited, so believing a length would end the program with another exit code.
#[test]
fn a_length_that_lies_is_refused_without_memory_for_it() {
    let (_tmp, path, bytes) = written();
    let refuses = |what: &str, expected: &str| {
        let (code, out, err) = twintree_after("ulimit -v 500000", &["inspect", text(&path)]);
        assert_eq!((code, out.as_str()), (3, ""), "{what}: {err}");
        assert!(err.contains(&format!("{}: {expected}", path.display())), "{what}: {err}");
    };
    for (tag, place) in sections(&bytes) {
        let tag = str::from_utf8(&tag).unwrap();
        for lie in [u64::MAX, 1 << 40] {
            let mut lying = bytes.clone();
            lying[place.start + 4..place.start + HEAD_BYTES].copy_from_slice(&lie.to_le_bytes());
            fs::write(&path, lying).unwrap();
            refuses(tag, &format!("section {tag} at byte {}: the file is cut off", place.start));
        }
    }
    // 253 announces a 64-bit length. The second one is below what a section may have, so no fixed limit refuses it.
    for lie in [1_u64 << 40, 1 << 30] {
        let lie = [&[253][..], &lie.to_le_bytes()].concat();
        for tag in [b"IDEN", b"DIRS", b"TEND"] {
            fs::write(&path, with_section(&bytes, tag, &lie)).unwrap();
            let name = str::from_utf8(tag).unwrap();
            refuses(name, &format!("section {name}: the encoding is not valid"));
        }
        // One root, its number and index, a tree of one directory whose parent is 0, and the length of its name.
        fs::write(&path, with_section(&bytes, b"DIRS", &[&[1, 0, 0, 1, 1, 0][..], &lie].concat())).unwrap();
        refuses("a name", "section DIRS: the encoding is not valid");
    }
    // A file with a hole really has as many bytes as the section claims.
    let (directories, end) = (place(&bytes, b"DIRS"), place(&bytes, b"TEND"));
    fs::write(&path, &bytes[..directories.start]).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    let head = [&b"DIRS"[..], &(1_u64 << 40).to_le_bytes()].concat();
    file.write_all_at(&head, directories.start as u64).unwrap();
    let behind = (directories.start + HEAD_BYTES + CHECKSUM_BYTES) as u64 + (1 << 40);
    file.write_all_at(&[&section(b"BLKS", b""), &bytes[end]].concat(), behind).unwrap();
    refuses("a hole", "section DIRS: 1099511627776 bytes are more than a reader accepts");
}

#[test]
fn a_manifest_that_cannot_be_written_leaves_the_old_one_and_nothing_else() {
    let (tmp, path, bytes) = written();
    let home = tmp.path().join("tree");
    let directory = tmp.path().join("directory");
    fs::create_dir(&directory).unwrap();
    let listing = || -> BTreeSet<OsString> {
        [tmp.path(), &directory].iter().flat_map(|d| fs::read_dir(d).unwrap()).map(|e| e.unwrap().file_name()).collect()
    };
    let before = listing();
    let missing = tmp.path().join("missing/x.manifest");
    // `ulimit -f 1` allows 512 or 1024 bytes; without the signal, a longer write is an ordinary error.
    assert!(bytes.len() > 1024);
    // A place where no file can go is wrong usage; a disk that refuses is not.
    for (limits, output, expected) in
        [("true", &directory, 2), ("true", &missing, 2), ("trap '' XFSZ; ulimit -f 1", &path, 3)]
    {
        let (code, out, err) = twintree_after(limits, &["manifest", text(&home), "-o", text(output)]);
        assert_eq!((code, out.as_str()), (expected, ""), "{err}");
        assert!(err.contains(&format!("{}: ", output.display())), "{err}");
        assert_eq!(listing(), before, "{err}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "the old manifest is what it was");
    }
}
