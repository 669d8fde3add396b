//! The digests of all files that have the same metadata, from both sides at the same time.

use std::collections::HashMap;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::{Stream, StreamExt as _};
use parking_lot::Mutex;
use rayon::prelude::*;

use super::second_look::Look;
use super::shown::Shown;
use crate::manifest::{Manifest, MatchingDirectory};
use crate::model::{
    Content, ContentDigest, Counters, Difference, DifferenceKind, DigestAlgorithm, EntryKind, Evidence, FileEntry,
    FileUrl, Findings, Listed, Problem, Reason, Unverified,
};
use crate::net::Brought;
use crate::peer::DigestFailure;
use crate::protocol::routes;
use crate::scan::{Cancelled, Context, Expected, ReadError, digest_file, problem_of};
use crate::task::Task;
use crate::verify::error::RunError;
use crate::verify::input::RunInput;
use crate::verify::kind::{Passed, Verification};
use crate::work::BuildFailure;
use crate::work::in_pool;

/// How many small files of one directory one job reads.
const FILES_PER_JOB: usize = 32;

/// One side's digest of a file, or why it has none.
type Answer = Result<ContentDigest, Problem>;

/// The comparison of all digests.
pub(super) struct Digests<'a> {
    files: Arc<Vec<MatchingDirectory>>,
    task: &'a Task<Verification>,
    input: &'a RunInput,
    context: &'a Context,
    shown: &'a Shown,
    /// What was counted before any digest.
    metadata: Counters,
    pairs: Arc<Pairs>,
}

/// A file by its directory's position in the list, and its own position there.
type Position = (usize, usize);

/// The answers that came so far. Whichever side answers second settles the file.
#[derive(Debug, Default)]
struct Pairs {
    first: Mutex<HashMap<Position, Answer>>,
    settled: Mutex<Findings>,
}

impl<'a> Digests<'a> {
    pub(super) fn new(
        files: Vec<MatchingDirectory>,
        task: &'a Task<Verification>,
        input: &'a RunInput,
        context: &'a Context,
        shown: &'a Shown,
    ) -> Self {
        let metadata = *shown.counters.lock();
        Self { files: Arc::new(files), task, input, context, shown, metadata, pairs: Arc::default() }
    }

    /// Both sides work through the same list in the same order. Fails where the source is gone: what it said of single
    /// files is part of the outcome.
    pub(super) async fn compare(&self, local: &Arc<Look>) -> Result<Findings, RunError> {
        tokio::try_join!(self.source_digests(), self.own_digests(local))?;
        let settled = std::mem::take(&mut *self.pairs.settled.lock());
        // Whatever goes wrong above: a file that nobody settled must not be missing from the counts.
        let Counters { files_matched, digest_mismatches, digest_verification_failures, .. } = settled.counters;
        let files: usize = self.files.iter().map(|directory| directory.files.len()).sum();
        if files_matched + digest_mismatches + digest_verification_failures != files as u64 {
            return Err(BuildFailure::Failed(format!("internal error: not all of {files} files were compared")).into());
        }
        Ok(settled)
    }

    async fn source_digests(&self) -> Result<(), RunError> {
        let mut positions = Vec::new();
        for (at, directory) in self.files.iter().enumerate() {
            let readable = directory.files.iter().enumerate().filter(|(_, file)| unreadable(file).is_none());
            positions.extend(readable.map(|(number, _)| (at, number)));
        }
        let under_way = self.input.max_concurrency as usize;
        let asked = futures_util::stream::iter(positions).map(|position| {
            let (peer, url, algorithm) = (self.input.peer.clone(), self.url(position), self.input.algorithm);
            let size = self.files[position.0].files[position.1].size();
            async move { (position, peer.digest(&url, size, algorithm).await) }
        });
        // All of them together may take as long as a slow source takes for so much, and some time besides.
        let (files, bytes) = self.sums();
        let patience = self.input.peer.patience().with(Brought { directories: 0, files, bytes });
        let answers = self.settle_source(asked.buffer_unordered(under_way));
        self.input.peer.in_time(routes::FILES, &patience, answers).await?;
        self.task.passed(Passed::SourceHashed);
        Ok(())
    }

    /// How many files are compared, and their bytes.
    fn sums(&self) -> (u64, u64) {
        let files = || self.files.iter().flat_map(|directory| &directory.files);
        (files().count() as u64, files().map(FileEntry::size).fold(0, u64::saturating_add))
    }

    async fn settle_source(
        &self,
        answers: impl Stream<Item = (Position, Result<ContentDigest, DigestFailure>)>,
    ) -> Result<(), RunError> {
        let mut answers = std::pin::pin!(answers);
        while let Some((position, answer)) = answers.next().await {
            let answer = match answer {
                Ok(digest) => Ok(digest),
                Err(DigestFailure::Name(why)) => Err(why.into()),
                Err(DigestFailure::File(error)) => Err(error.problem_of_file()),
                Err(DigestFailure::Outage(error)) => return Err(RunError::Source(error)),
            };
            let file = &self.files[position.0].files[position.1];
            self.shown.source_files_hashed.fetch_add(1, Relaxed);
            self.shown.source_bytes_hashed.fetch_add(file.size(), Relaxed);
            self.pairs.source(&self.files, position, answer);
            self.show();
        }
        Ok(())
    }

    fn url(&self, (directory, file): Position) -> FileUrl {
        url(&self.files[directory], &self.files[directory].files[file])
    }

    async fn own_digests(&self, local: &Arc<Look>) -> Result<(), RunError> {
        let (files, pairs, local) = (Arc::clone(&self.files), Arc::clone(&self.pairs), Arc::clone(local));
        let (algorithm, context) = (self.input.algorithm, self.context.clone());
        let hashed = in_pool(self.input.threads, move || {
            let directories = files.par_iter().enumerate().with_max_len(1);
            directories.try_for_each(|(at, directory)| {
                hash_directory(&local.manifest, directory, algorithm, &context, &|number, answer| {
                    pairs.destination(&files, (at, number), answer);
                })
            })
        });
        hashed.await.map_err(BuildFailure::from)?.map_err(|_| BuildFailure::Cancelled)?;
        self.task.passed(Passed::Hashed);
        self.show();
        Ok(())
    }

    /// What is settled comes on top of what metadata decided.
    fn show(&self) {
        let mut counters = self.metadata;
        counters.add(&self.pairs.settled.lock().counters);
        *self.shown.counters.lock() = counters;
    }
}

/// Why a file that was listed will never have a digest, such as a pipe; the source need not be asked then.
pub(super) fn unreadable(file: &FileEntry) -> Option<&Problem> {
    match &file.listed {
        Listed::File { content: Content::Unverified(problem), .. } | Listed::Unlistable(problem) => Some(problem),
        Listed::File { .. } => None,
    }
}

pub(super) fn url(directory: &MatchingDirectory, file: &FileEntry) -> FileUrl {
    // The walk refused paths that are too long.
    let path = directory.path.join(&file.name).unwrap_or_else(|_| directory.path.clone());
    FileUrl::new(directory.root, path)
}

fn hash_directory(
    local: &Manifest,
    directory: &MatchingDirectory,
    algorithm: DigestAlgorithm,
    context: &Context,
    each: &(dyn Fn(usize, Answer) + Sync),
) -> Result<(), Cancelled> {
    let handle = local.root(directory.root).and_then(|root| root.tree.as_ref()).and_then(|tree| tree.handle());
    let opened = match handle.map(|handle| handle.open_directory(&directory.path)) {
        Some(Ok(opened)) => Ok(opened),
        Some(Err(error)) => Err(problem_of(&error)),
        None => Err(Problem::new(Reason::Vanished, "its root is gone")),
    };
    directory.files.par_iter().enumerate().with_max_len(FILES_PER_JOB).try_for_each(|(number, file)| {
        let answer = match (unreadable(file), &opened, &file.listed) {
            (Some(problem), ..) | (None, Err(problem), _) => Err(problem.clone()),
            (None, Ok(opened), Listed::File { size, modified_ms, .. }) => {
                let expected = Expected { size: *size, modified_ms: *modified_ms, look: None };
                match digest_file(opened.as_fd(), &file.name, expected, algorithm, context) {
                    Ok(digest) => Ok(digest),
                    Err(ReadError::Problem(problem)) => Err(problem),
                    Err(ReadError::Cancelled) => return Err(Cancelled),
                }
            }
            (None, Ok(_), Listed::Unlistable(problem)) => Err(problem.clone()),
        };
        context.finished_file();
        each(number, answer);
        Ok(())
    })
}

impl Pairs {
    fn source(&self, files: &[MatchingDirectory], position: Position, source: Answer) {
        if let Some((source, destination)) = self.pair(position, source) {
            self.settle(files, position, Some(source), destination);
        }
    }

    fn destination(&self, files: &[MatchingDirectory], position: Position, destination: Answer) {
        if unreadable(&files[position.0].files[position.1]).is_some() {
            self.settle(files, position, None, destination);
        } else if let Some((destination, source)) = self.pair(position, destination) {
            self.settle(files, position, Some(source), destination);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Name, Reason, RelPath, RootId};

    #[test]
    fn only_two_equal_digests_are_a_match() {
        let listed = Listed::File { size: 1, modified_ms: 5, content: Content::NotRead };
        let file = FileEntry { name: Name::new(b"f").unwrap(), listed };
        let directory = MatchingDirectory { root: RootId::DATA_0, path: RelPath::root(), files: vec![file.clone()] };
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
        assert_eq!(unreadable(&with(Content::NotRead)), None);
        assert_eq!(unreadable(&with(Content::Unverified(problem.clone()))), Some(&problem));
        assert_eq!(unreadable(&entry(Listed::Unlistable(problem.clone()))), Some(&problem));
    }
}
