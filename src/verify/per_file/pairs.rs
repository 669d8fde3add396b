//! Two answers for each file, one of either side, and what they say together.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::manifest::MatchingDirectory;
use crate::model::{
    ContentDigest, Counters, Difference, DifferenceKind, EntryKind, Evidence, FileEntry, FileUrl, Findings, Listed,
    Problem, Unverified,
};

/// One side's digest of a file, or why it has none.
pub type Answer = Result<ContentDigest, Problem>;

/// A file by its directory's position in the list, and its own position there.
pub type Position = (usize, usize);

/// The answers that came so far. Whichever side answers second settles the file.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    first: Mutex<HashMap<Position, Answer>>,
    settled: Mutex<Findings>,
}

impl Pairs {
    /// The source's answer for a file.
    pub(super) fn source(&self, files: &[MatchingDirectory], position: Position, source: Answer) {
        if let Some((source, destination)) = self.pair(position, source) {
            self.settle(files, position, Some(source), destination);
        }
    }

    /// This side's answer for a file.
    pub(super) fn destination(&self, files: &[MatchingDirectory], position: Position, destination: Answer) {
        if files[position.0].files[position.1].problem().is_some() {
            self.settle(files, position, None, destination);
        } else if let Some((destination, source)) = self.pair(position, destination) {
            self.settle(files, position, Some(source), destination);
        }
    }

    /// Everything that is settled, once nothing more is to come.
    pub(super) fn take(&self) -> Findings {
        std::mem::take(&mut *self.settled.lock())
    }

    /// The counts of what is settled so far.
    pub(super) fn counters(&self) -> Counters {
        self.settled.lock().counters
    }

    /// This answer and the other one, where that one is there already.
    fn pair(&self, position: Position, answer: Answer) -> Option<(Answer, Answer)> {
        let mut first = self.first.lock();
        match first.remove(&position) {
            Some(other) => Some((answer, other)),
            None => {
                first.insert(position, answer);
                None
            }
        }
    }

    fn settle(&self, files: &[MatchingDirectory], (at, number): Position, source: Option<Answer>, destination: Answer) {
        let (directory, file) = (&files[at], &files[at].files[number]);
        let found = verdict(directory, file, source, destination);
        self.settled.lock().absorb(found);
    }
}

/// What two answers say about a file. `source` is `None` where it was not asked. Pure.
fn verdict(directory: &MatchingDirectory, file: &FileEntry, source: Option<Answer>, destination: Answer) -> Findings {
    let mut counters = Counters::default();
    let (kind, unverified) = match (&source, &destination) {
        (Some(Ok(source)), Ok(destination)) if source == destination => {
            counters.files_matched = 1;
            return Findings { counters, ..Findings::default() };
        }
        (Some(Ok(_)), Ok(_)) => {
            counters.digest_mismatches = 1;
            (DifferenceKind::Content, None)
        }
        _ => {
            counters.digest_verification_failures = 1;
            let problem = |answer: &Answer| answer.as_ref().err().cloned();
            let unverified =
                Unverified { source: source.as_ref().and_then(problem), destination: problem(&destination) };
            (DifferenceKind::Unverified, Some(unverified))
        }
    };
    let digests = [source, Some(destination)].map(|answer| answer.and_then(Result::ok));
    let difference = difference(directory, file, kind, digests, unverified);
    Findings { counters, differences: vec![difference], content_not_compared: 0 }
}

/// A difference of a file that both sides list with the same metadata, and the digests of source and destination.
pub(super) fn difference(
    directory: &MatchingDirectory,
    file: &FileEntry,
    kind: DifferenceKind,
    digests: [Option<ContentDigest>; 2],
    unverified: Option<Unverified>,
) -> Difference {
    let (size, modified_ms) = match file.listed {
        Listed::File { size, modified_ms, .. } => (Some(size), Some(modified_ms)),
        Listed::Unlistable(_) => (None, None),
    };
    let [source, destination] = digests.map(|digest| {
        Some(Evidence { kind: Some(EntryKind::File), size, modified_ms, digests: digest.into_iter().collect() })
    });
    Difference { url: url(directory, file), kind, source, destination, unverified }
}

pub(super) fn url(directory: &MatchingDirectory, file: &FileEntry) -> FileUrl {
    // The walk refused paths that are too long.
    let path = directory.path.join(&file.name).unwrap_or_else(|_| directory.path.clone());
    FileUrl::new(directory.root, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::DirectoryIndex;
    use crate::model::{Content, Name, Reason, RelPath, RootId};

    #[test]
    fn only_two_equal_digests_are_a_match() {
        let listed = Listed::File { size: 1, modified_ms: 5, content: Content::NotRead };
        let file = FileEntry { name: Name::new(b"f").unwrap(), listed };
        let directory = MatchingDirectory {
            root: RootId::DATA_0,
            path: RelPath::root(),
            index: DirectoryIndex::ROOT,
            files: vec![file.clone()],
        };
        let read = |byte| ContentDigest::Md5([byte; 16]);
        let failed = || Problem::new(Reason::Vanished, "gone");
        let counts = |source, destination| {
            let outcome = verdict(&directory, &file, source, destination);
            let counters = outcome.counters;
            let counts = (counters.files_matched, counters.digest_mismatches, counters.digest_verification_failures);
            (counts, outcome.differences.into_iter().map(|difference| difference.kind).collect::<Vec<_>>())
        };
        assert_eq!(counts(Some(Ok(read(1))), Ok(read(1))), ((1, 0, 0), vec![]));
        assert_eq!(counts(Some(Ok(read(1))), Ok(read(2))), ((0, 1, 0), vec![DifferenceKind::Content]));
        let unverified = ((0, 0, 1), vec![DifferenceKind::Unverified]);
        for (source, destination) in [
            (Some(Ok(read(1))), Err(failed())),
            (Some(Err(failed())), Ok(read(1))),
            (Some(Err(failed())), Err(failed())),
            (None, Ok(read(1))),
            (None, Err(failed())),
        ] {
            assert_eq!(counts(source, destination), unverified);
        }
    }

    #[test]
    fn what_was_listed_as_unreadable_is_not_asked_for() {
        let problem = Problem::new(Reason::NotARegularFile, "a pipe");
        let entry = |listed| FileEntry { name: Name::new(b"f").unwrap(), listed };
        let with = |content| entry(Listed::File { size: 1, modified_ms: 5, content });
        assert_eq!(with(Content::NotRead).problem(), None);
        assert_eq!(with(Content::Unverified(problem.clone())).problem(), Some(&problem));
        assert_eq!(entry(Listed::Unlistable(problem.clone())).problem(), Some(&problem));
    }
}
