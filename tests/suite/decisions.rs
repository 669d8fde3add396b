//! The pure decisions behind a verdict, case by case: what must not be taken for equal, and what must not end a task early.

use twintree::manifest::{
    Depth, Directory, DirectoryIndex, DirectoryPair, DirectoryTable, OpenedSide, PairSide, RootPlan, SubtreeHash,
    compare_directory, differing_leaves,
};
use twintree::model::{
    Blake3Digest, Content, DifferenceKind, EntryKind, FileEntry, Findings, Listed, Name, Problem, Reason, RootId,
    Verdict,
};

fn digest(byte: u8) -> Blake3Digest {
    Blake3Digest([byte; 32])
}

fn file(name: &str, size: u64, modified_ms: i64, content: Content) -> FileEntry {
    let listed = Listed::File { size, modified_ms, content };
    FileEntry { name: Name::new(name.as_bytes()).unwrap(), listed }
}

fn directory(name: Option<&str>, files: u64, metadata: SubtreeHash) -> Directory {
    let name = name.map(|name| Name::new(name.as_bytes()).unwrap());
    Directory { parent: DirectoryIndex::ROOT, name, link: false, files, bytes: 0, metadata, unlisted: None }
}

fn table(directories: Vec<Directory>) -> DirectoryTable {
    DirectoryTable::new(directories).unwrap()
}

#[test]
fn files_with_the_same_metadata_and_other_digests_are_read_again_and_no_others() {
    let read = |byte| Content::Digest(digest(byte));
    let source = [
        file("a", 1, 5, read(1)),
        file("b", 1, 5, read(1)),
        file("c", 1, 5, read(1)),
        file("e", 1, 5, read(1)),
        file("f", 1, 5, Content::NotRead),
        file("g", 1, 5, read(1)),
    ];
    let destination = [
        // Same in everything; other size; other time; on one side only; not read; and the one that differs.
        file("a", 1, 5, read(1)),
        file("b", 2, 5, read(2)),
        file("c", 1, 6, read(2)),
        file("d", 1, 5, read(2)),
        file("f", 1, 5, read(2)),
        file("g", 1, 5, read(2)),
    ];
    assert_eq!(differing_leaves(&source, &destination), [(5, 5)]);
    assert_eq!(differing_leaves(&source[3..], &destination[4..]), [(2, 1)]);
    assert_eq!(differing_leaves(&source[4..], &destination[3..]), [(1, 2)]);
    let unlistable = FileEntry { listed: Listed::Unlistable(Problem::new(Reason::Vanished, "")), ..source[5].clone() };
    assert!(differing_leaves(&[unlistable], &destination[5..]).is_empty());
}

/// There is nothing else in it, so nothing but this says that something was not compared.
#[test]
fn a_root_that_only_one_side_has_and_cannot_list_is_unverified() {
    let problem = Problem::new(Reason::Unreadable, "no");
    let root = Directory { unlisted: Some(problem), ..directory(None, 0, SubtreeHash::Unproven) };
    let table = table(vec![root]);
    let (there, missing) = (PairSide::Directory(DirectoryIndex::ROOT), PairSide::Missing);
    let (opened, absent) = (OpenedSide { table: Some(&table), files: &[] }, OpenedSide { table: None, files: &[] });
    let compare =
        |pair, source, destination| compare_directory(RootId::DATA_0, pair, source, destination, Depth::Metadata);
    let at_source = compare(DirectoryPair { source: there, destination: missing }, opened, absent);
    let at_destination = compare(DirectoryPair { source: missing, destination: there }, absent, opened);
    let said = |found: &Findings| {
        let [difference] = &found.differences[..] else { panic!("{found:?}") };
        assert_eq!(difference.kind, DifferenceKind::Unverified);
        [&difference.source, &difference.destination].map(|side| side.as_ref().map(|evidence| evidence.kind))
    };
    assert_eq!(said(&at_source), [Some(Some(EntryKind::Directory)), None]);
    assert_eq!(said(&at_destination), [None, Some(Some(EntryKind::Directory))]);
    assert_eq!([&at_source, &at_destination].map(|found| Verdict::of(&found.counters)), [Verdict::Unverified; 2]);
}

#[test]
fn metadata_differs_for_sure_only_where_hashes_or_entries_prove_it() {
    let tables = [1, 2].map(|byte| {
        let proven = SubtreeHash::Proven(digest(byte));
        let some = SubtreeHash::Proven(digest(9));
        table(vec![
            directory(None, 0, proven),
            directory(Some("a"), 0, some),
            directory(Some("b"), 1, some),
            directory(Some("c"), 0, SubtreeHash::Unproven),
            Directory { parent: DirectoryIndex::ROOT, ..directory(Some("d"), 0, some) },
        ])
    });
    let index: Vec<DirectoryIndex> = tables[0].indices().collect();
    let [root, empty, full, unproven, _] = [0, 1, 2, 3, 4].map(|at| PairSide::Directory(index[at]));
    let missing = PairSide::Missing;
    for (source, destination, differs) in [
        // Its hashes differ, and both are proven.
        (root, root, true),
        (empty, empty, false),
        (unproven, unproven, false),
        (empty, unproven, false),
        // An empty directory may stand against an entry that could not be examined.
        (missing, full, true),
        (full, missing, true),
        (missing, empty, false),
        (empty, missing, false),
        // One with directories alone is not empty.
        (missing, root, true),
        (PairSide::Unlisted(index[0]), full, false),
    ] {
        let plan = RootPlan { open: vec![DirectoryPair { source, destination }], ..RootPlan::default() };
        let found = plan.metadata_surely_differs(Some(&tables[0]), Some(&tables[1]));
        assert_eq!(found, differs, "{source:?} {destination:?}");
    }
    assert!(!RootPlan::default().metadata_surely_differs(Some(&tables[0]), Some(&tables[1])));
}
