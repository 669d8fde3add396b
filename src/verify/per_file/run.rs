//! One verification by the Sidecar's per-file protocol, against a source that serves no manifests: list both sides at once,
//! compare metadata, ask the source for the digest of every file while hashing our own, and list both once more.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use parking_lot::MutexGuard;

use super::digests::Digests;
use super::names::{Askable, askable, settle_unlisted};
use super::second_look::{Look, changes, settle};
use super::shown::Shown;
use crate::manifest::{
    Comparand as _, Depth, Described, fetched_note, findings, matching_files, notes, rules_unknown_note,
    scope_of_one_side,
};
use crate::model::{Counters, FileUrl, Findings, MetadataSummary, Outcome, Side, Sink as _, Unverified};
use crate::peer::{FileRequest, SourceListing};
use crate::protocol::Progress;
use crate::scan::Context;
use crate::task::Task;
use crate::verify::compared::Compared;
use crate::verify::error::RunError;
use crate::verify::input::RunInput;
use crate::verify::kind::Verification;
use crate::work::BuildFailure;
use crate::work::{blocking, in_pool};

/// A run by the per-file protocol.
pub(in crate::verify) struct PerFileRun<'a> {
    pub(super) task: &'a Task<Verification>,
    pub(super) input: &'a RunInput,
    pub(super) context: Context,
    pub(super) shown: Shown,
}

impl<'a> PerFileRun<'a> {
    pub(in crate::verify) fn new(task: &'a Task<Verification>, input: &'a RunInput) -> Self {
        Self { task, input, context: Context::of(&input.job.engine), shown: Shown::default() }
    }

    /// Runs to an outcome. Dropping the future stops the work on both sides.
    pub(in crate::verify) async fn compare(&self) -> Result<Compared, RunError> {
        let _stop = self.context.cancel.clone().on_drop();
        let (local, listed) = tokio::try_join!(self.walk(self.context.clone()), self.source_listing())?;
        let local = Arc::new(local);
        let (mut findings, Askable { files, unaskable }, source) = self.compare_metadata(listed, &local).await?;
        settle_unlisted(&mut findings);
        for (url, problem) in &source.unsteady {
            let unverified = Unverified::at(Side::Source, problem.clone());
            findings.absorb(Findings::unverified_directory(url.clone(), unverified));
        }
        *self.counters() = findings.counters;
        if self.task.request.keep_going || findings.counters.metadata_summary() == MetadataSummary::Same {
            findings.absorb(unaskable);
            findings.content_not_compared = 0;
            *self.counters() = findings.counters;
            let digests = Digests::new(files, self.task, self.input, &self.context, &self.shown);
            findings.absorb(digests.compare(&local).await?);
            self.look_again(&mut findings, &source, &local).await?;
            *self.counters() = findings.counters;
        }
        let (source, local) = (&source.manifest, &local.manifest);
        let source = Described { identity: &source.identity, tables: &source.tables(), listed: true };
        let destination = Described { identity: &local.identity, tables: &local.tables(), listed: false };
        let roots = source.tables.iter().chain(destination.tables).map(|(id, _)| *id);
        let scope = scope_of_one_side(destination.identity, roots);
        let mut notes = notes(source, destination);
        notes.push(rules_unknown_note());
        notes.extend(fetched_note(self.input.peer.fetched()));
        // The second look may take back what was found before, so all of it is held until here, as both listings are.
        let (mut found, id) = (self.input.nothing_found(), self.task.status().id);
        let total = blocking(move || {
            found.take(findings);
            found.total(id)
        });
        let total = total.await?;
        let outcome = Outcome::new(scope, total.tally, notes);
        let from = Some(self.context.progress.provenance());
        Ok(Compared::new(outcome, total, (source, None), (destination, from), self.task.request.keep_going))
    }

    async fn compare_metadata(
        &self,
        listed: SourceListing,
        local: &Arc<Look>,
    ) -> Result<(Findings, Askable, Arc<Look>), RunError> {
        for file in listed.roots.values().flatten().flat_map(|directory| &directory.files) {
            self.shown.source_files.fetch_add(1, Relaxed);
            self.shown.source_bytes.fetch_add(file.size(), Relaxed);
        }
        let source = self.looked_at(listed, local).await?;
        let (source_too, local) = (Arc::clone(&source), Arc::clone(local));
        let peer = self.input.peer.address().clone();
        let compared = in_pool(self.input.threads, move || {
            let (source, local) = (&source_too.manifest, &local.manifest);
            // Manifests in memory are always readable.
            let found = findings(source, local, Depth::Metadata);
            let found = found.map_err(|error| BuildFailure::Failed(error.to_string()))?;
            let refusal = |file: &FileUrl| FileRequest::new(&peer, file).err();
            Ok::<_, BuildFailure>((found, askable(matching_files(source, local), refusal)))
        });
        let (found, askable) = compared.await.map_err(BuildFailure::from)??;
        Ok((found, askable, source))
    }

    /// Takes both sides' second looks, once the last digest is there, and makes unverified what changed since the first.
    async fn look_again(&self, findings: &mut Findings, source: &Arc<Look>, local: &Arc<Look>) -> Result<(), RunError> {
        // What it finds was counted by the first one.
        let mut context = self.context.clone();
        context.progress = Arc::default();
        let unsteady = self.unsteady(local, context.clone()).await?;
        let (listed, here) = tokio::try_join!(self.source_listing(), self.walk(context))?;
        let here = Arc::new(Look { unsteady, ..here });
        let there = self.looked_at(listed, local).await?;
        for (side, first, second) in [(Side::Source, source, there), (Side::Destination, local, here)] {
            let first = Arc::clone(first);
            let changes = in_pool(self.input.threads, move || changes(&first, &second)).await;
            let changes = changes.map_err(BuildFailure::from)?;
            settle(findings, side, changes.map_err(|error| BuildFailure::Failed(error.to_string()))?);
        }
        Ok(())
    }

    /// How far the work is, and what is proven so far.
    pub(in crate::verify) fn look(&self) -> (Progress, Counters) {
        (self.progress(), *self.counters())
    }

    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.shown.counters.lock()
    }

    pub(in crate::verify) fn progress(&self) -> Progress {
        let here = self.context.progress.snapshot();
        Progress {
            source_requests: self.input.peer.requests(),
            files_total: here.files_total,
            files_hashed: here.files_hashed,
            bytes_total: here.bytes_total,
            bytes_hashed: here.bytes_hashed,
            source_files_total: self.shown.source_files.load(Relaxed),
            source_bytes_total: self.shown.source_bytes.load(Relaxed),
            source_files_hashed: self.shown.source_files_hashed.load(Relaxed),
            source_bytes_hashed: self.shown.source_bytes_hashed.load(Relaxed),
        }
    }
}
