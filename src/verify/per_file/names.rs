//! Names that the per-file protocol cannot carry: what stands below them is unverified. Pure.

use std::collections::HashSet;

use super::pairs::{difference, url};
use crate::manifest::MatchingDirectory;
use crate::model::{Difference, DifferenceKind, FileUrl, Findings, RelPath, RootId, Side, Unverified};
use crate::peer::Unaskable;

/// Settles names that the listing could not carry: an entry of such a name looks missing on both sides, and nobody knows
/// whether it is; what a name with `?` says of an entry may be said of another one.
pub(super) fn settle_unlisted(findings: &mut Findings) {
    let missing_at = |kind, suspicious: fn(&[u8]) -> bool| -> HashSet<(RootId, Vec<u8>)> {
        let missing = findings.differences.iter().filter(|difference| difference.kind == kind);
        let suspicious = missing.filter(|difference| suspicious(difference.url.path.as_bytes()));
        suspicious.map(|difference| (difference.url.root, as_replaced(&difference.url.path))).collect()
    };
    let replaced = missing_at(DifferenceKind::MissingAtDestination, |path| path.contains(&b'?') || !path.is_ascii());
    let replaceable = missing_at(DifferenceKind::MissingAtSource, |path| !path.is_ascii());
    // A directory stands for all that may be in it.
    let has = |paths: &HashSet<(RootId, Vec<u8>)>, url: &FileUrl| {
        let mut above = std::iter::successors(Some(url.path.clone()), RelPath::parent);
        above.any(|path| paths.contains(&(url.root, as_replaced(&path))))
    };
    for difference in &mut findings.differences {
        let (missing, counterparts) = match difference.kind {
            DifferenceKind::MissingAtSource => (&mut findings.counters.files_not_found_at_source, &replaced),
            DifferenceKind::MissingAtDestination => {
                (&mut findings.counters.files_not_found_at_destination, &replaceable)
            }
            DifferenceKind::Type | DifferenceKind::Size | DifferenceKind::ModificationTime
                if difference.url.path.as_bytes().contains(&b'?') =>
            {
                let counters = &mut findings.counters;
                unverified(difference, &mut counters.metadata_mismatches, Unaskable::Replaced);
                counters.digest_verification_failures += 1;
                continue;
            }
            _ => continue,
        };
        let path = difference.url.path.as_bytes();
        let may_be_replaced = path.contains(&b'?') || !path.is_ascii();
        let why = if difference.url.text().contains(char::REPLACEMENT_CHARACTER) {
            Unaskable::NotText
        } else if may_be_replaced && has(counterparts, &difference.url) {
            Unaskable::Replaced
        } else {
            continue;
        };
        unverified(difference, missing, why);
        findings.counters.digest_verification_failures += 1;
    }
}

/// Makes a difference one that nobody knows of.
fn unverified(difference: &mut Difference, counted: &mut u64, why: Unaskable) {
    *counted -= 1;
    difference.kind = DifferenceKind::Unverified;
    difference.unverified = Some(Unverified::at(Side::Source, why.into()));
}

/// A path as a source may print it that cannot write what is beyond ASCII, with one `?` for all that stand in a row: some
/// print one for each byte, some one for each character.
fn as_replaced(path: &RelPath) -> Vec<u8> {
    let mut path: Vec<u8> = path.as_bytes().iter().map(|byte| if byte.is_ascii() { *byte } else { b'?' }).collect();
    path.dedup_by(|a, b| (*a, *b) == (b'?', b'?'));
    path
}

/// Files whose metadata is the same on both sides, by whether the source can be asked for them.
pub(super) struct Askable {
    /// Those whose digests are to be compared.
    pub files: Vec<MatchingDirectory>,
    /// The findings of those that cannot be asked for.
    pub unaskable: Findings,
}

/// Takes out the files that cannot be asked for by their names: each of them is unverified. One that could not be read here
/// stays: the source is not asked for it anyway, and it has a reason of its own.
pub(super) fn askable(files: Vec<MatchingDirectory>, refusal: impl Fn(&FileUrl) -> Option<Unaskable>) -> Askable {
    let mut askable = Askable { files, unaskable: Findings::default() };
    for directory in &mut askable.files {
        let mut kept = Vec::with_capacity(directory.files.len());
        for file in std::mem::take(&mut directory.files) {
            match refusal(&url(directory, &file)).filter(|_| file.problem().is_none()) {
                None => kept.push(file),
                Some(why) => {
                    let unverified = Some(Unverified::at(Side::Source, why.into()));
                    let found = difference(directory, &file, DifferenceKind::Unverified, [None, None], unverified);
                    askable.unaskable.differences.push(found);
                    askable.unaskable.counters.digest_verification_failures += 1;
                }
            }
        }
        directory.files = kept;
    }
    askable.files.retain(|directory| !directory.files.is_empty());
    askable
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::DirectoryIndex;
    use crate::model::{Content, Counters, FileEntry, Listed, Name, Problem, Reason};

    fn missing(path: &[u8], kind: DifferenceKind) -> Difference {
        let url = FileUrl::new(RootId::DATA_0, RelPath::new(path).unwrap());
        Difference { url, kind, source: None, destination: None, unverified: None }
    }

    #[test]
    fn a_name_that_cannot_be_listed_is_unverified_and_not_missing() {
        let mut findings = Findings {
            counters: Counters {
                files_not_found_at_source: 2,
                files_not_found_at_destination: 1,
                ..Counters::default()
            },
            differences: vec![
                missing(b"a", DifferenceKind::MissingAtSource),
                missing(b"d\xff/x", DifferenceKind::MissingAtSource),
                missing("d\u{fffd}".as_bytes(), DifferenceKind::MissingAtDestination),
            ],
            content_not_compared: 0,
        };
        settle_unlisted(&mut findings);
        let expected =
            Counters { files_not_found_at_source: 1, digest_verification_failures: 2, ..Counters::default() };
        assert_eq!(findings.counters, expected);
        let kinds: Vec<_> = findings.differences.iter().map(|difference| difference.kind).collect();
        assert_eq!(kinds, [DifferenceKind::MissingAtSource, DifferenceKind::Unverified, DifferenceKind::Unverified]);
    }

    /// A file that is there under a name of its own may be the one that the listing names with question marks.
    #[test]
    fn a_name_with_question_marks_may_be_any_that_the_source_cannot_write() {
        use DifferenceKind::{MissingAtDestination, MissingAtSource, Unverified};
        let settled = |pairs: &[(&str, DifferenceKind)]| {
            let of = |wanted| pairs.iter().filter(|(_, kind)| *kind == wanted).count() as u64;
            let (at_source, at_destination) = (of(MissingAtSource), of(MissingAtDestination));
            let counters = Counters {
                files_not_found_at_source: at_source,
                files_not_found_at_destination: at_destination,
                ..Counters::default()
            };
            let differences = pairs.iter().map(|(path, kind)| missing(path.as_bytes(), *kind)).collect();
            let mut findings = Findings { counters, differences, content_not_compared: 0 };
            settle_unlisted(&mut findings);
            let kinds: Vec<DifferenceKind> = findings.differences.iter().map(|found| found.kind).collect();
            let unverified = kinds.iter().filter(|kind| **kind == Unverified).count() as u64;
            assert_eq!(findings.counters.digest_verification_failures, unverified);
            kinds
        };
        for (there, here) in [("a??b", "a\u{e9}b"), ("a?b", "a\u{e9}\u{e9}b"), ("d??/x", "d\u{e9}/x")] {
            let pair = [(there, MissingAtDestination), (here, MissingAtSource)];
            assert_eq!(settled(&pair), [Unverified, Unverified], "{pair:?}");
        }
        // What stands in a directory that may be another one is not listed.
        let directory = [("d??", MissingAtDestination), ("d\u{e9}", MissingAtSource), ("d\u{e9}/x", MissingAtSource)];
        assert_eq!(settled(&directory), [Unverified; 3]);
        for (there, here) in [("a?b", "a\u{e9}c"), ("a?b", "axb"), ("ab", "a\u{e9}b"), ("a?b/x", "a\u{e9}b/y")] {
            let pair = [(there, MissingAtDestination), (here, MissingAtSource)];
            assert_eq!(settled(&pair), [MissingAtDestination, MissingAtSource], "{pair:?}");
        }
    }

    #[test]
    fn what_cannot_be_asked_for_is_one_finding_each_and_the_rest_stays() {
        let file = |name: &str, content| FileEntry {
            name: Name::new(name.as_bytes()).unwrap(),
            listed: Listed::File { size: 7, modified_ms: 5, content },
        };
        let pipe = Content::Unverified(Problem::new(Reason::NotARegularFile, "a pipe"));
        let directory = |path: &str, files: Vec<FileEntry>| MatchingDirectory {
            root: RootId::DATA_0,
            path: RelPath::new(path.as_bytes()).unwrap(),
            index: DirectoryIndex::ROOT,
            files,
        };
        let files = vec![
            directory("bad", vec![file("x", Content::NotRead), file("y", Content::NotRead)]),
            directory(
                "ks",
                vec![file("a", Content::NotRead), file("bad", Content::NotRead), file("bad-pipe", pipe.clone())],
            ),
        ];
        let refusal = |url: &FileUrl| url.to_string().contains("bad").then_some(Unaskable::Changed(Some('!')));
        let Askable { files, unaskable } = askable(files, refusal);
        assert_eq!(files, [directory("ks", vec![file("a", Content::NotRead), file("bad-pipe", pipe)])]);
        assert_eq!(unaskable.counters, Counters { digest_verification_failures: 3, ..Counters::default() });
        let urls: Vec<String> = unaskable.differences.iter().map(|found| found.url.to_string()).collect();
        assert_eq!(urls, ["data/0/bad/x", "data/0/bad/y", "data/0/ks/bad"]);
        for found in &unaskable.differences {
            let unverified = found.unverified.as_ref().unwrap();
            assert_eq!((unverified.side(), unverified.reason()), ("source", Reason::PeerError));
            assert!(unverified.detail().contains("the character ! in it"), "{}", unverified.detail());
            assert_eq!(found.source.as_ref().unwrap().size, Some(7));
            assert_eq!(found.source, found.destination);
        }
    }
}
