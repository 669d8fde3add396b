//! What two looks at a tree say of the time between them. Pure.
//!
//! A digest of the per-file protocol comes without a look at its file: that the file was the listed one all the while is
//! known only from a second listing. So whatever the two listings do not agree about is unverified, whatever its digests say;
//! and so is a directory whose time moved, since an entry may have gone through it unseen by both.

use std::collections::{BTreeMap, BTreeSet};

use itertools::{EitherOrBoth, Itertools as _};

use crate::manifest::{Depth, DiffError, Manifest, findings};
use crate::model::{
    Difference, DifferenceKind, EntryKind, Evidence, FileUrl, Findings, Problem, Reason, RelPath, RootId, Side,
    Unverified,
};
use crate::peer::Held;
use crate::scan::WalkedDirectory;

/// One side as it was listed.
#[derive(Debug)]
pub(super) struct Look {
    pub manifest: Manifest,
    /// The times of its directories, where somebody told them.
    pub times: DirectoryTimes,
    /// Directories that changed while they were listed.
    pub unsteady: BTreeMap<FileUrl, Problem>,
    /// The memory of what a source sent.
    #[expect(dead_code, reason = "held for as long as the rest is")]
    pub held: Option<Held>,
}

/// The modification times of directories in milliseconds, sorted by path.
pub(super) type DirectoryTimes = BTreeMap<RootId, Vec<(RelPath, i64)>>;

/// The times a listing has for its directories. It has none of a root, unless it lists it itself.
pub(super) fn directory_times(listed: &BTreeMap<RootId, Vec<WalkedDirectory>>) -> DirectoryTimes {
    let times = |(root, directories): (&RootId, &Vec<WalkedDirectory>)| {
        let below = directories.iter().filter(|directory| !directory.path.is_root());
        (*root, below.map(|directory| (directory.path.clone(), directory.modified_ms)).collect())
    };
    listed.iter().map(times).collect()
}

/// An entry that is not at the second look what it was at the first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    problem: Problem,
    /// What the first look knew of it; `None` where it was not there.
    before: Option<Evidence>,
}

/// Everything that is not the same at both looks at one side.
pub(super) fn changes(first: &Look, second: &Look) -> Result<BTreeMap<FileUrl, Change>, DiffError> {
    let found = findings(&first.manifest, &second.manifest, Depth::Metadata)?;
    let mut changes: BTreeMap<FileUrl, Change> = found
        .differences
        .into_iter()
        .filter_map(|Difference { url, kind, source, unverified, .. }| {
            Some((url, Change { problem: problem(kind, unverified)?, before: source }))
        })
        .collect();
    let directory = || Some(Evidence { kind: Some(EntryKind::Directory), ..Evidence::default() });
    let moved = moved(&first.times, &second.times);
    let moved = moved.map(|url| (url, changed("names in it changed while its files were compared")));
    // A directory of which an entry is named already is explained by that.
    let named: BTreeSet<FileUrl> =
        changes.keys().filter_map(|url| Some(FileUrl::new(url.root, url.path.parent()?))).collect();
    let unsteady = second.unsteady.iter().filter(|(url, _)| !first.unsteady.contains_key(url) && !named.contains(url));
    for (url, problem) in unsteady.map(|(url, problem)| (url.clone(), problem.clone())).chain(moved) {
        changes.entry(url).or_insert_with(|| Change { problem, before: directory() });
    }
    Ok(changes)
}

/// What became of an entry from the first look, as its source, to the second; `None` where nothing is new.
fn problem(kind: DifferenceKind, unverified: Option<Unverified>) -> Option<Problem> {
    let what = match kind {
        DifferenceKind::MissingAtSource => "it appeared",
        DifferenceKind::MissingAtDestination => "it disappeared",
        DifferenceKind::Type => "it became another kind of entry",
        DifferenceKind::Size => "its size changed",
        DifferenceKind::ModificationTime | DifferenceKind::Content => "its time changed",
        // What could not be looked at first was counted then.
        DifferenceKind::Unverified => {
            let unverified = unverified?;
            return unverified.destination.filter(|_| unverified.source.is_none());
        }
    };
    Some(changed(&format!("{what} while the files were compared")))
}

fn changed(detail: &str) -> Problem {
    Problem::new(Reason::ChangedWhileReading, detail)
}

/// The directories whose time is another one.
fn moved<'a>(first: &'a DirectoryTimes, second: &'a DirectoryTimes) -> impl Iterator<Item = FileUrl> + 'a {
    first.iter().filter_map(|(root, times)| Some((root, times, second.get(root)?))).flat_map(|(root, before, now)| {
        let both = before.iter().merge_join_by(now, |(a, _), (b, _)| a.cmp(b)).filter_map(EitherOrBoth::both);
        both.filter(|((_, before), (_, now))| before != now).map(|((path, _), _)| FileUrl::new(*root, path.clone()))
    })
}

/// Makes every entry that changed at a side unverified, whatever was found of it before.
pub(super) fn settle(findings: &mut Findings, side: Side, mut changes: BTreeMap<FileUrl, Change>) {
    let counters = &mut findings.counters;
    for difference in &mut findings.differences {
        let Some(Change { problem, .. }) = changes.remove(&difference.url) else { continue };
        let counted = match difference.kind {
            DifferenceKind::MissingAtSource => &mut counters.files_not_found_at_source,
            DifferenceKind::MissingAtDestination => &mut counters.files_not_found_at_destination,
            DifferenceKind::Type | DifferenceKind::Size | DifferenceKind::ModificationTime => {
                &mut counters.metadata_mismatches
            }
            DifferenceKind::Content => &mut counters.digest_mismatches,
            DifferenceKind::Unverified => &mut counters.digest_verification_failures,
        };
        *counted -= 1;
        counters.digest_verification_failures += 1;
        difference.kind = DifferenceKind::Unverified;
        let known = difference.unverified.take().unwrap_or(Unverified { source: None, destination: None });
        difference.unverified = Some(with(known, side, problem));
    }
    for (url, Change { problem, before }) in changes {
        // A file that was listed and of which nothing was found until now was counted as matched.
        let matched = before.as_ref().is_some_and(|before| before.kind == Some(EntryKind::File));
        counters.files_matched = counters.files_matched.saturating_sub(u64::from(matched));
        counters.digest_verification_failures += 1;
        let unverified = Some(Unverified::at(side, problem));
        let (source, destination) = (before.clone(), before);
        let kind = DifferenceKind::Unverified;
        findings.differences.push(Difference { url, kind, source, destination, unverified });
    }
}

/// The first problem of a side stays: it was there before.
fn with(known: Unverified, side: Side, problem: Problem) -> Unverified {
    match side {
        Side::Source => Unverified { source: known.source.or(Some(problem)), ..known },
        Side::Destination => Unverified { destination: known.destination.or(Some(problem)), ..known },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Counters;

    fn url(path: &str) -> FileUrl {
        FileUrl::new(RootId::DATA_0, RelPath::new(path.as_bytes()).unwrap())
    }

    fn difference(path: &str, kind: DifferenceKind) -> Difference {
        Difference { url: url(path), kind, source: None, destination: None, unverified: None }
    }

    #[test]
    fn an_entry_that_changed_is_unverified_whatever_was_found_of_it() {
        use DifferenceKind::{
            Content, MissingAtDestination, MissingAtSource, ModificationTime, Size, Type, Unverified,
        };
        let kinds = [MissingAtSource, MissingAtDestination, Type, Size, ModificationTime, Content];
        let counters = Counters {
            files_not_found_at_source: 1,
            files_not_found_at_destination: 1,
            metadata_matched: 9,
            metadata_mismatches: 3,
            digest_mismatches: 1,
            files_matched: 2,
            ..Counters::default()
        };
        let differences = kinds.iter().map(|kind| difference(&format!("{kind:?}"), *kind)).collect();
        let mut findings = Findings { counters, differences, content_not_compared: 0 };
        let before = |kind| Some(Evidence { kind: Some(kind), ..Evidence::default() });
        let change = |before| Change { problem: changed("x"), before };
        let mut changes: BTreeMap<_, _> =
            kinds.iter().map(|kind| (url(&format!("{kind:?}")), change(before(EntryKind::File)))).collect();
        changes.insert(url("matched"), change(before(EntryKind::File)));
        changes.insert(url("directory"), change(before(EntryKind::Directory)));
        changes.insert(url("appeared"), change(None));
        settle(&mut findings, Side::Source, changes);
        let expected =
            Counters { metadata_matched: 9, digest_verification_failures: 9, files_matched: 1, ..Counters::default() };
        assert_eq!((findings.counters, findings.differences.len()), (expected, 9));
        assert!(findings.differences.iter().all(|found| found.kind == Unverified));
        // The other side saw one of them change as well: it is one entry still.
        settle(&mut findings, Side::Destination, BTreeMap::from([(url("Size"), change(before(EntryKind::File)))]));
        assert_eq!((findings.counters, findings.differences.len()), (expected, 9));
        let both = findings.differences.iter().find(|found| found.url == url("Size")).unwrap();
        assert_eq!(both.unverified.as_ref().unwrap().side(), "both");
    }

    #[test]
    fn what_could_not_be_looked_at_first_is_no_news() {
        let problem_of = |source: Option<Problem>, destination: Option<Problem>| {
            problem(DifferenceKind::Unverified, Some(Unverified { source, destination }))
        };
        let closed = || Some(Problem::new(Reason::Unreadable, "no"));
        assert_eq!((problem_of(closed(), None), problem_of(closed(), closed())), (None, None));
        assert_eq!(problem_of(None, closed()), closed());
    }
}
