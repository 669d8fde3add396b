//! What a table of directories refuses, and what it says of files.

use super::directory::{Directory, DirectoryIndex, Totals};
use super::hash::{HashKind, SubtreeHash};
use super::table::DirectoryTable;
use super::table_error::{FilesError, TableError};
use crate::model::{FileEntry, Name, PathError, Problem};

fn directory(parent: u32, name: &str, files: u64) -> Directory {
    Directory {
        parent: DirectoryIndex(parent),
        name: (!name.is_empty()).then(|| Name::new(name.as_bytes()).unwrap()),
        link: false,
        files,
        bytes: files * 10,
        metadata: SubtreeHash::Unproven,
        unlisted: None,
    }
}

fn table(directories: Vec<Directory>) -> Result<DirectoryTable, TableError> {
    DirectoryTable::new(directories)
}

fn never(_: DirectoryIndex) -> bool {
    false
}

/// Neither a directory without files nor one with them may keep its hash to itself without a reason.
#[test]
fn an_unproven_claim_of_what_is_proven_needs_an_excuse() {
    let empty = table(vec![directory(0, "", 0)]).unwrap();
    let metadata = empty.hash_of(HashKind::Metadata, DirectoryIndex::ROOT, &[], |_| SubtreeHash::Unproven);
    let empty = table(vec![Directory { metadata, ..directory(0, "", 0) }]).unwrap();
    let unproven = [SubtreeHash::Unproven];
    let refused = Err(TableError::Hash(0, HashKind::Content));
    assert_eq!(empty.check_hashes_without_files(Some(&unproven), never), refused);
    assert_eq!(empty.check_hashes_without_files(Some(&unproven), |_| true), Ok(()));
    // An excuse is none for a hash that is another one.
    let other = [SubtreeHash::Proven(crate::model::Blake3Digest([7; 32]))];
    assert_eq!(empty.check_hashes_without_files(Some(&other), |_| true), refused);
}

/// An excuse may be dear to find: a peer that sends a million of them must not have each looked for at every directory.
#[test]
fn an_excuse_is_looked_for_only_where_less_is_claimed_than_is_at_hand() {
    let rows = std::iter::once(directory(0, "", 0)).chain((0..50).map(|i| directory(0, &format!("d{i:02}"), 0)));
    let bare = table(rows.clone().collect()).unwrap();
    let leaf = |kind| bare.hash_of(kind, DirectoryIndex(1), &[], |_| SubtreeHash::Unproven);
    let top = |kind| bare.hash_of(kind, DirectoryIndex::ROOT, &[], |_| leaf(kind));
    let hashes = |kind| std::iter::once(top(kind)).chain(std::iter::repeat_n(leaf(kind), 50));
    let rows = rows.zip(hashes(HashKind::Metadata)).map(|(row, metadata)| Directory { metadata, ..row });
    let table = table(rows.collect()).unwrap();
    let mut content: Vec<SubtreeHash> = hashes(HashKind::Content).collect();
    let asked = std::cell::RefCell::new(Vec::<u32>::new());
    let excused = |index: DirectoryIndex| {
        asked.borrow_mut().push(index.0);
        true
    };
    assert_eq!(table.check_hashes_without_files(Some(&content), excused), Ok(()));
    assert_eq!(table.check_files(DirectoryIndex(7), &[], Some(&content), excused), Ok(()));
    assert!(asked.borrow().is_empty(), "{asked:?}");
    (content[0], content[7]) = (SubtreeHash::Unproven, SubtreeHash::Unproven);
    assert_eq!(table.check_hashes_without_files(Some(&content), excused), Ok(()));
    assert_eq!(table.check_files(DirectoryIndex(7), &[], Some(&content), excused), Ok(()));
    assert_eq!(*asked.borrow(), [7, 7]);
}

#[test]
fn children_paths_and_sums_follow_from_pre_order() {
    let rows = [(0, "", 1), (0, "a", 2), (1, "x", 3), (1, "y", 0), (0, "b", 4)];
    let table = table(rows.map(|(p, n, f)| directory(p, n, f)).to_vec()).unwrap();
    let children = |i| table.children(DirectoryIndex(i)).map(|(c, _)| c.0).collect::<Vec<_>>();
    assert_eq!((children(0), children(1), children(4)), (vec![1, 4], vec![2, 3], vec![]));
    assert_eq!(table.path(DirectoryIndex(3)).to_string(), "a/y");
    assert_eq!(table.totals(DirectoryIndex(0)), Totals { files: 10, directories: 4, bytes: 100 });
    assert_eq!(table.totals(DirectoryIndex(1)), Totals { files: 5, directories: 2, bytes: 50 });
    assert_eq!(table.subtree(DirectoryIndex(1)).map(|d| d.0).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_table_has_the_directories_up_to_its_length() {
    let table = table(vec![directory(0, "", 0), directory(0, "a", 0)]).unwrap();
    assert_eq!([0, 1, 2, 9].map(|index| table.contains(DirectoryIndex(index))), [true, true, false, false]);
    assert!(!table.is_empty());
}

#[test]
fn files_must_have_the_number_and_the_bytes_of_the_record() {
    let table = table(vec![directory(0, "", 1)]).unwrap();
    let file = |name: &str, size| FileEntry {
        name: Name::new(name.as_bytes()).unwrap(),
        listed: crate::model::Listed::File { size, modified_ms: 5, content: crate::model::Content::NotRead },
    };
    let root = DirectoryIndex::ROOT;
    for files in [vec![file("a", 9)], vec![file("a", 4), file("b", 6)], vec![]] {
        assert_eq!(table.check_files(root, &files, None, never), Err(FilesError::Sums(root)), "{files:?}");
    }
    let hash = table.check_files(root, &[file("a", 10)], None, never);
    assert_eq!(hash, Err(FilesError::Hash(root, HashKind::Metadata)));
}

#[test]
fn a_list_that_is_not_the_whole_directory_has_no_hash() {
    let table = table(vec![directory(0, "", 1)]).unwrap();
    let hash = table.hash_of(HashKind::Content, DirectoryIndex::ROOT, &[], |_| SubtreeHash::Unproven);
    assert!(!hash.is_proven());
}

/// A peer that could not list a directory has no hash of it, whatever it sends.
#[test]
fn nothing_above_what_was_not_listed_can_be_proven() {
    let some = SubtreeHash::Proven(crate::model::Blake3Digest([1; 32]));
    let unlisted = |metadata| Directory {
        metadata,
        unlisted: Some(Problem::new(crate::model::Reason::Unreadable, "no")),
        ..directory(0, "a", 0)
    };
    let root = |metadata, files| Directory { metadata, ..directory(0, "", files) };
    let check = |root, child| table(vec![root, child]).unwrap().check_hashes_without_files(None, never);
    let unproven = SubtreeHash::Unproven;
    assert_eq!(check(root(unproven, 1), unlisted(unproven)), Ok(()));
    assert_eq!(check(root(unproven, 1), unlisted(some)), Err(TableError::Hash(1, HashKind::Metadata)));
    assert_eq!(check(root(some, 1), unlisted(unproven)), Err(TableError::Hash(0, HashKind::Metadata)));
    assert_eq!(check(root(some, 0), unlisted(unproven)), Err(TableError::Hash(0, HashKind::Metadata)));
}

#[test]
fn shapes_that_are_no_tree_are_refused() {
    let root = || directory(0, "", 0);
    let refused = |rows: Vec<Directory>| table(rows).unwrap_err();
    assert_eq!(refused(vec![]), TableError::Empty);
    assert_eq!(refused(vec![directory(0, "a", 0)]), TableError::Root(0));
    assert_eq!(refused(vec![root(), root()]), TableError::Root(1));
    assert_eq!(refused(vec![root(), directory(1, "a", 0)]), TableError::Parent(1));
    assert_eq!(refused(vec![root(), directory(9, "a", 0)]), TableError::Parent(1));
    let closed = vec![root(), directory(0, "a", 0), directory(0, "b", 0), directory(1, "c", 0)];
    assert_eq!(refused(closed), TableError::Parent(3));
    assert_eq!(refused(vec![root(), directory(0, "b", 0), directory(0, "a", 0)]), TableError::Order(2));
    assert_eq!(refused(vec![root(), directory(0, "a", 0), directory(0, "a", 0)]), TableError::Order(2));
    let mut unlisted = directory(0, "a", 1);
    unlisted.link = true;
    assert_eq!(refused(vec![root(), unlisted]), TableError::NotEntered(1));
    let bytes = Directory { bytes: 1, ..directory(0, "a", 0) };
    assert_eq!(refused(vec![root(), bytes]), TableError::Bytes(1));
    let huge = vec![directory(0, "", u64::MAX / 10), directory(0, "a", u64::MAX / 10)];
    assert!(matches!(refused(huge), TableError::Overflow(_)));
    let deep: Vec<_> =
        (0..5000_u32).map(|i| directory(i.saturating_sub(1), if i == 0 { "" } else { "d" }, 0)).collect();
    assert!(matches!(refused(deep), TableError::Path(2049, PathError::PathTooLong)));
}
