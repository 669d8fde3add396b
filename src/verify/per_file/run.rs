//! One verification by the Sidecar's per-file protocol, against a source that serves no manifests: list both sides at once,
//! compare metadata, then ask the source for the digest of every file while hashing our own.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::StreamExt as _;
use parking_lot::MutexGuard;
use tokio_util::io::{StreamReader, SyncIoBridge};
use tokio_util::sync::CancellationToken;

use super::digests::Digests;
use super::names::{Askable, askable, settle_unlisted};
use super::shown::Shown;
use crate::manifest::{
    Comparand as _, Depth, Described, Identity, Manifest, fetched_note, findings, matching_files, notes,
    rules_unknown_note, scope_of_one_side,
};
use crate::model::{Counters, FileUrl, Findings, MetadataSummary, Outcome};
use crate::peer::{FileRequest, ListedRoots, ListingError, read_listing};
use crate::protocol::Progress;
use crate::scan::{Context, WalkedDirectory};
use crate::task::Task;
use crate::verify::compared::Compared;
use crate::verify::error::RunError;
use crate::verify::input::RunInput;
use crate::verify::kind::{Passed, Verification};
use crate::work::BuildFailure;
use crate::work::{blocking, in_pool};

/// A run by the per-file protocol.
pub(in crate::verify) struct PerFileRun<'a> {
    task: &'a Task<Verification>,
    input: &'a RunInput,
    context: Context,
    shown: Shown,
}

impl<'a> PerFileRun<'a> {
    pub(in crate::verify) fn new(task: &'a Task<Verification>, input: &'a RunInput) -> Self {
        Self { task, input, context: Context::of(&input.job.engine), shown: Shown::default() }
    }

    /// Runs to an outcome. Dropping the future stops the work on both sides.
    pub(in crate::verify) async fn compare(&self) -> Result<Compared, RunError> {
        let _stop = self.context.cancel.clone().on_drop();
        let (local, listed) = tokio::try_join!(self.walk(), self.source_listing())?;
        let local = Arc::new(local);
        let (mut findings, Askable { files, unaskable }, source) = self.compare_metadata(listed, &local).await?;
        settle_unlisted(&mut findings);
        *self.counters() = findings.counters;
        if self.task.request.keep_going || findings.counters.metadata_summary() == MetadataSummary::Same {
            findings.absorb(unaskable);
            findings.content_not_compared = 0;
            *self.counters() = findings.counters;
            let digests = Digests::new(files, self.task, self.input, &self.context, &self.shown);
            findings.absorb(digests.compare(&local).await?);
            findings.sort();
        }
        let source = Described { identity: &source.identity, tables: &source.tables(), listed: true };
        let destination = Described { identity: &local.identity, tables: &local.tables(), listed: false };
        let roots = source.tables.iter().chain(destination.tables).map(|(id, _)| *id);
        let scope = scope_of_one_side(destination.identity, roots);
        let mut notes = notes(source, destination);
        notes.push(rules_unknown_note());
        notes.extend(fetched_note(self.input.peer.fetched()));
        let outcome = Outcome::new(scope, findings, notes);
        let from = Some(self.context.progress.provenance());
        Ok(Compared::new(outcome, (source, None), (destination, from), self.task.request.keep_going))
    }

    async fn walk(&self) -> Result<Manifest, RunError> {
        let (job, context) = (self.input.job.clone(), self.context.clone());
        let walked = in_pool(job.threads, move || Manifest::walk(job.identity, &job.roots, &context)).await;
        let walked = walked.map_err(BuildFailure::from)?.map_err(BuildFailure::from)?;
        self.task.passed(Passed::Walked);
        Ok(walked)
    }

    async fn source_listing(&self) -> Result<ListedRoots, RunError> {
        let stop = CancellationToken::new();
        let _stop = stop.clone().drop_guard();
        let listed = self.input.peer.listing(|chunks| {
            // The thread that parses must not outlive the task because a source goes on sending.
            let chunks = chunks.take_until(stop.clone().cancelled_owned());
            let reader = SyncIoBridge::new(StreamReader::new(Box::pin(chunks)));
            async {
                let parsed = blocking(move || read_listing(reader)).await;
                parsed.unwrap_or_else(|died| Err(ListingError::Interrupted(died.to_string())))
            }
        });
        let listed = listed.await?;
        self.task.passed(Passed::SourceWalked);
        Ok(listed)
    }

    async fn compare_metadata(
        &self,
        listed: ListedRoots,
        local: &Arc<Manifest>,
    ) -> Result<(Findings, Askable, Manifest), RunError> {
        let listed = self.selected(listed);
        for file in listed.values().flatten().flat_map(|directory| &directory.files) {
            self.shown.source_files.fetch_add(1, Relaxed);
            self.shown.source_bytes.fetch_add(file.size(), Relaxed);
        }
        let (local, identity) = (Arc::clone(local), self.source_identity(local));
        let peer = self.input.peer.address().clone();
        let compared = in_pool(self.input.threads, move || {
            let source = Manifest::of_listed(identity, with_empty_roots(listed, &local))?;
            // Manifests in memory are always readable.
            let found = findings(&source, &*local, Depth::Metadata);
            let found = found.map_err(|error| BuildFailure::Failed(error.to_string()))?;
            let refusal = |file: &FileUrl| FileRequest::new(&peer, file).err();
            let askable = askable(matching_files(&source, &local), refusal);
            Ok::<_, BuildFailure>((found, askable, source))
        });
        Ok(compared.await.map_err(BuildFailure::from)??)
    }

    /// A source of this protocol lists everything, whatever the task is restricted to.
    fn selected(&self, mut listed: ListedRoots) -> ListedRoots {
        let Some(selection) = &self.input.selection else { return listed };
        for (root, directories) in &mut listed {
            directories.retain(|directory| selection.includes(*root, &directory.path, true));
            for WalkedDirectory { path, files, .. } in directories {
                // The walk of this side joins the same names.
                files.retain(|file| path.join(&file.name).is_ok_and(|path| selection.includes(*root, &path, false)));
            }
        }
        listed.retain(|_, directories| !directories.is_empty());
        listed
    }

    /// Its rules are taken for ours, so that no note says they differ.
    fn source_identity(&self, local: &Manifest) -> Identity {
        let address = self.input.peer.address().to_string();
        Identity { host: address.clone(), instance: address, program: "per-file".to_owned(), ..local.identity.clone() }
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

/// A listing does not tell an empty root from an absent one; one that is here is taken for empty there.
fn with_empty_roots(mut listed: ListedRoots, local: &Manifest) -> ListedRoots {
    for root in local.roots().iter().filter(|root| root.tree.is_some()) {
        listed.entry(root.id).or_insert_with(|| vec![WalkedDirectory::empty_root()]);
    }
    listed
}
