//! Names that the per-file protocol cannot carry: what stands below them is unverified. Pure.

use super::digests::{difference, unreadable, url};
use crate::manifest::MatchingDirectory;
use crate::model::{DifferenceKind, FileUrl, Findings, Side, Unverified};
use crate::peer::Unaskable;

/// Settles names that the listing could not carry: an entry of such a name looks missing on both sides, and nobody knows
/// whether it is.
pub(super) fn settle_unlisted(findings: &mut Findings) {
    for difference in &mut findings.differences {
        let missing = match difference.kind {
            DifferenceKind::MissingAtSource => &mut findings.counters.files_not_found_at_source,
            DifferenceKind::MissingAtDestination => &mut findings.counters.files_not_found_at_destination,
            _ => continue,
        };
        if difference.url.text().contains(char::REPLACEMENT_CHARACTER) {
            *missing -= 1;
            findings.counters.digest_verification_failures += 1;
            difference.kind = DifferenceKind::Unverified;
            difference.unverified = Some(Unverified::at(Side::Source, Unaskable::NotText.into()));
        }
    }
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
            match refusal(&url(directory, &file)).filter(|_| unreadable(&file).is_none()) {
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
    use crate::model::{Content, Counters, Difference, FileEntry, Listed, Name, Problem, Reason, RelPath, RootId};

    #[test]
    fn a_name_that_cannot_be_listed_is_unverified_and_not_missing() {
        let difference = |path: &[u8], kind| Difference {
            url: FileUrl::new(RootId::DATA_0, RelPath::new(path).unwrap()),
            kind,
            source: None,
            destination: None,
            unverified: None,
        };
        let mut findings = Findings {
            counters: Counters {
                files_not_found_at_source: 2,
                files_not_found_at_destination: 1,
                ..Counters::default()
            },
            differences: vec![
                difference(b"a", DifferenceKind::MissingAtSource),
                difference(b"d\xff/x", DifferenceKind::MissingAtSource),
                difference("d\u{fffd}".as_bytes(), DifferenceKind::MissingAtDestination),
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
