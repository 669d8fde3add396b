//! The digests of all files that have the same metadata, from both sides at the same time.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::{Stream, StreamExt as _};

use super::own_digests::hash_files;
use super::pairs::{Pairs, Position, url};
use super::second_look::Look;
use super::shown::Shown;
use crate::manifest::MatchingDirectory;
use crate::model::{ContentDigest, Counters, FileEntry, FileUrl, Findings};
use crate::net::Brought;
use crate::peer::DigestFailure;
use crate::protocol::routes;
use crate::scan::Context;
use crate::task::Task;
use crate::verify::error::RunError;
use crate::verify::input::RunInput;
use crate::verify::kind::{Passed, Verification};
use crate::work::BuildFailure;
use crate::work::in_readers;

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
        let settled = self.pairs.take();
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
            let readable = directory.files.iter().enumerate().filter(|(_, file)| file.problem().is_none());
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
        let hashed = in_readers(self.input.threads, move || {
            hash_files(&local.manifest, &files, algorithm, &context, &|position, answer| {
                pairs.destination(&files, position, answer);
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
        counters.add(&self.pairs.counters());
        *self.shown.counters.lock() = counters;
    }
}
