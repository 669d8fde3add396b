//! Names that read the same in a listing, that stand in it twice, and what a source cannot vouch for.

use super::allowance::Allowance;
use super::listed_roots::{Roots, SourceListing};
use crate::model::{EntryKind, FileEntry, Listed, Problem, Reason, RootId};
use crate::protocol::{ListingEntry, UnlistedEntry};
use crate::scan::WalkedDirectory;

fn listed(entries: &[(&str, EntryKind)], unverified: &[(&str, Reason)]) -> Result<SourceListing, String> {
    let mut roots = Roots::new(Allowance::new(256 << 20).hold());
    let url = |path: &str| format!("{}/data/0/{path}", crate::protocol::routes::FILES);
    for (path, file_type) in entries {
        let size = if *file_type == EntryKind::Directory { -1 } else { 7 };
        let (file_url, file_type) = (url(path), *file_type);
        roots.add(ListingEntry { file_url, size, file_type, last_modified_time: 5 })?;
    }
    for (path, reason) in unverified {
        let (file_url, reason, detail) = (url(path), *reason, "it says so".to_owned());
        roots.unlisted(UnlistedEntry { file_url, reason, detail })?;
    }
    roots.finish()
}

fn directories(entries: &[(&str, EntryKind)]) -> Vec<WalkedDirectory> {
    listed(entries, &[]).unwrap().roots.remove(&RootId::DATA_0).unwrap()
}

const FILE: EntryKind = EntryKind::File;
const DIRECTORY: EntryKind = EntryKind::Directory;

fn problem(file: &FileEntry) -> Option<&Problem> {
    match &file.listed {
        Listed::Unlistable(problem) => Some(problem),
        Listed::File { .. } => None,
    }
}

#[test]
fn names_that_read_the_same_are_one_entry_of_which_nothing_is_known() {
    let entries = [("a", FILE), ("x?", FILE), ("x?", FILE), ("x?", FILE), ("\u{fffd}", FILE), ("\u{fffd}", FILE)];
    let directories = directories(&entries);
    let files = &directories[0].files;
    assert_eq!(files.len(), 3);
    assert_eq!(problem(&files[0]), None, "the others are compared");
    for file in &files[1..] {
        let detail = &problem(file).unwrap().detail;
        assert!(detail.ends_with("several entries of the source's listing read the same"), "{detail}");
    }
}

#[test]
fn directories_that_read_the_same_are_not_comparable_and_neither_is_a_file_of_that_name() {
    for entries in [
        &[("e", DIRECTORY), ("d?", DIRECTORY), ("d?", DIRECTORY), ("d?/x", FILE), ("d?/x", FILE)][..],
        &[("d?", FILE), ("d?", DIRECTORY), ("d?/x", FILE), ("d?/x", DIRECTORY), ("e", DIRECTORY)],
        &[("d?", DIRECTORY), ("d?/x", DIRECTORY), ("d?/x/y", FILE), ("d?", FILE), ("d?", FILE), ("e", DIRECTORY)],
    ] {
        let directories = directories(entries);
        let paths: Vec<String> = directories.iter().map(|directory| directory.path.to_string()).collect();
        assert_eq!(paths, ["", "d?", "e"], "what stands below is of nobody knows which");
        assert!(directories.iter().all(|directory| directory.files.is_empty()), "{directories:?}");
        let detail = &directories[1].unlisted.as_ref().unwrap().detail;
        assert!(detail.ends_with("several entries of the source's listing read the same"), "{detail}");
    }
    // One alone may still stand for a name that could not be written.
    assert!(directories(&[("d?", DIRECTORY)])[1].unlisted.is_some());
}

#[test]
fn a_name_that_says_what_it_is_stands_in_no_listing_twice() {
    for entries in [
        &[("a", FILE), ("a", FILE)][..],
        &[("a", FILE), ("a", DIRECTORY)],
        &[("a", DIRECTORY), ("a", DIRECTORY)],
        &[("\u{e9}", FILE), ("\u{e9}", FILE)],
    ] {
        assert!(listed(entries, &[]).unwrap_err().ends_with("stands in it twice"), "{entries:?}");
    }
}

#[test]
fn what_the_source_cannot_vouch_for_is_unverified_and_what_lies_in_it_is_not() {
    let entries = [("d", DIRECTORY), ("d/a", FILE), ("d/b", FILE), ("g", DIRECTORY), ("g/a", FILE)];
    let changed = ["d", "d/b", "d/c", ""].map(|path| (path, Reason::ChangedWhileReading));
    let SourceListing { roots, unsteady, .. } =
        listed(&entries, &[&changed[..], &[("g", Reason::Vanished)]].concat()).unwrap();
    let unsteady: Vec<String> = unsteady.keys().map(|url| url.path.to_string()).collect();
    assert_eq!(unsteady, ["", "d"]);
    let directories = &roots[&RootId::DATA_0];
    let known: Vec<bool> = directories.iter().map(|directory| directory.unlisted.is_none()).collect();
    assert_eq!((known, directories[2].files.len()), (vec![true, true, false], 0));
    let files: Vec<bool> = directories[1].files.iter().map(|file| problem(file).is_some()).collect();
    assert_eq!(files, [false, true, true]);
    let orphan = listed(&[], &[("e/a", Reason::Vanished)]);
    assert!(orphan.unwrap_err().ends_with("not the directory it is in"));
}
