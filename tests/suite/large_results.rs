//! Results of many entries: written as they are found, by a program that may not hold them all.

use std::path::{Path, PathBuf};

use serde_json::Value;
use twintree::exclude::Rules;
use twintree::manifest::{Identity, Manifest, write};
use twintree::model::{Content, FileEntry, Listed, Name, Problem, Reason, RelPath, RootId};
use twintree::scan::WalkedDirectory;

use crate::support::manifests::{CHECKSUM_BYTES, HEAD_BYTES, manifest_of, place, with_section};
use crate::support::program::{text, twintree, twintree_after};

/// As much as the program may have of address space, in KiB: more than twice what it needs, and less than the entries would take.
const LIMIT: &str = "ulimit -v 150000";

/// A manifest file of one root with so many files in directories of a thousand.
fn manifest_file(path: &Path, files: usize, file: impl Fn(usize) -> Listed) -> PathBuf {
    let entry = |number: usize| FileEntry { name: name(&format!("{:03}", number % 1000)), listed: file(number) };
    let directories = (0..files).step_by(1000).map(|first| WalkedDirectory {
        path: RelPath::new(format!("{:06}", first / 1000).as_bytes()).unwrap(),
        files: (first..files.min(first + 1000)).map(entry).collect(),
        ..WalkedDirectory::empty_root()
    });
    let directories = std::iter::once(WalkedDirectory::empty_root()).chain(directories).collect();
    let identity = Identity::new("host".to_owned(), "instance".to_owned(), 7, &Rules::none());
    write(&Manifest::of_listed(identity, [(RootId::DATA_0, directories)]).unwrap(), path).unwrap();
    path.to_owned()
}

fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

fn unread(_: usize) -> Listed {
    Listed::Unlistable(Problem::new(Reason::Unreadable, "no ".repeat(170)))
}

fn of_size(size: u64) -> impl Fn(usize) -> Listed {
    move |_| Listed::File { size, modified_ms: 5, content: Content::NotRead }
}

#[test]
fn inspect_writes_what_it_does_not_hold() {
    let tmp = tempfile::tempdir().unwrap();
    let path = manifest_file(&tmp.path().join("m"), 60_000, unread);
    let (code, out, err) = twintree_after(LIMIT, &["inspect", "--json", text(&path)]);
    assert_eq!((code, err.as_str()), (3, ""));
    let body: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(body["unverified"].as_array().unwrap().len(), 60_000);
    assert_eq!(body["unverified"][59_999]["fileUrl"], "/api/v1/live-migration/files/data/0/000059/999");
    let (code, out, err) = twintree_after(LIMIT, &["inspect", text(&path)]);
    assert_eq!((code, err.as_str()), (3, ""));
    assert!(
        out.contains("not read (60000):") && out.ends_with("... and 59800 more; --json prints them all\n"),
        "{out}"
    );
}

#[test]
fn diff_writes_what_it_does_not_hold() {
    let tmp = tempfile::tempdir().unwrap();
    let source = manifest_file(&tmp.path().join("s"), 120_000, of_size(1));
    let destination = manifest_file(&tmp.path().join("d"), 120_000, of_size(2));
    let sides = ["diff", "--quiet", "--threads", "1", text(&source), text(&destination)];
    let (code, out, err) = twintree_after(LIMIT, &[&sides[..], &["--json"]].concat());
    assert_eq!((code, err.as_str()), (1, ""));
    let result: Value = serde_json::from_str(&out).unwrap();
    let differences = result["differences"].as_array().unwrap();
    assert_eq!((&result["differencesTotal"], differences.len()), (&Value::from(120_000), 120_000));
    let urls: Vec<&str> = differences.iter().map(|difference| difference["fileUrl"].as_str().unwrap()).collect();
    assert!(urls.is_sorted(), "in the order of their paths");
    assert_eq!(result["metadataMismatches"], 120_000);
    assert_eq!(
        result["rollups"].as_array().unwrap().iter().map(|r| r["differences"]["size"].as_u64().unwrap()).sum::<u64>(),
        120_000
    );
    let (code, out, err) = twintree_after(LIMIT, &sides);
    assert_eq!((code, err.as_str()), (1, ""));
    assert!(out.ends_with("  ... and 119800 more; --json prints them all\n"), "{}", &out[out.len() - 200..]);
    let (counters, list) = (out.find("metadata mismatches").unwrap(), out.find("\ndifferences:").unwrap());
    assert!(counters < list, "sums come first");
}

/// Once each of them was looked for among all the others.
#[test]
fn as_many_absent_roots_as_a_file_can_name_are_compared() {
    let tmp = tempfile::tempdir().unwrap();
    let (home, path) = (tmp.path().join("empty"), tmp.path().join("m"));
    std::fs::create_dir(&home).unwrap();
    write(&manifest_of(&home, 1), &path).unwrap();
    let bytes = with_absent_roots(&std::fs::read(&path).unwrap(), 65_536);
    std::fs::write(&path, bytes).unwrap();
    let (code, out, err) = twintree(&["diff", "--json", text(&path), text(&path)]);
    assert_eq!((code, err.as_str()), (3, ""), "nothing to compare");
    let result: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(result["scope"]["roots"].as_array().unwrap().len(), 65_537);
    assert_eq!(twintree(&["inspect", text(&path)]).0, 0);
}

/// The manifest with absent roots `commitlog/0` and so on behind its own.
fn with_absent_roots(file: &[u8], count: u32) -> Vec<u8> {
    let section = place(file, b"DIRS");
    let own = &file[section.start + HEAD_BYTES..section.end - CHECKSUM_BYTES];
    assert_eq!(own[0], 1, "one root");
    let number = |number: u32| match number {
        0..251 => vec![number as u8],
        251..65_536 => [&[251][..], &(number as u16).to_le_bytes()].concat(),
        _ => [&[252][..], &number.to_le_bytes()].concat(),
    };
    let mut payload = [number(count + 1), own[1..].to_vec()].concat();
    (0..count).for_each(|index| payload.extend([&[1][..], &number(index), &[0]].concat()));
    let file = with_section(file, b"DIRS", &payload);
    let hash = |context, root: &[u8; 32]| {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher.update(&1_u32.to_le_bytes()).update(&u64::from(count + 1).to_le_bytes());
        hasher.update(&[0]).update(&0_u32.to_le_bytes()).update(&[1]).update(root);
        for index in 0..count {
            hasher.update(&[1]).update(&index.to_le_bytes()).update(&[0]);
        }
        *hasher.finalize().as_bytes()
    };
    let empty = |kind| twintree::manifest::subtree_hash(kind, &[], std::iter::empty()).digest().unwrap().0;
    let metadata =
        hash("twintree 2026-11-23 instance metadata hash v1", &empty(twintree::manifest::HashKind::Metadata));
    let content = empty(twintree::manifest::HashKind::Content);
    assert!(own.windows(32).any(|window| window == content), "an empty root has its content hash from the start");
    let content = hash("twintree 2026-11-23 instance content hash v1", &content);
    with_section(&file, b"TEND", &[&[0, 0, 0, 1][..], &metadata, &[1], &content].concat())
}
