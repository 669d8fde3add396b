//! One verification by the exchange of manifests: walk and hash here, exchange manifests with the source, open what
//! differs, and come to an outcome. Decisions are the pure functions of `manifest/` and `evidence.rs`.

use std::pin::Pin;
use std::sync::Arc;

use parking_lot::Mutex;

use super::open::{Assembled, assemble};
use super::proven::Proven;
use super::sides::Sides;
use crate::manifest::{Comparand as _, Depth, Described, Manifest, begun_again_note, notes, scope};
use crate::model::{Counters, MetadataSummary, Outcome, Selection};
use crate::peer::{Contents, Exchange, PeerError, RemoteManifest};
use crate::protocol::{ManifestRequest, Progress, Protocol, SPOKEN_VERSIONS};
use crate::task::Task;
use crate::verify::compared::Compared;
use crate::verify::error::RunError;
use crate::verify::found::Found;
use crate::verify::input::RunInput;
use crate::verify::kind::{Passed, Verification};
use crate::work::{Build, blocking};

/// How the manifest stream ended; `None` as long as it goes on.
type Streamed = Option<Result<(), PeerError>>;

/// Why a task uses this protocol.
const MANIFESTS_SERVED: &str = "the source serves manifests";

/// A run by the exchange of manifests. Dropping it stops the work here.
pub(in crate::verify) struct ManifestRun<'a> {
    task: &'a Task<Verification>,
    input: &'a RunInput,
    build: Build,
    exchange: Exchange,
    proven: Mutex<Proven>,
}

impl<'a> ManifestRun<'a> {
    /// Starts walking here; the source is asked once the comparison is polled.
    pub(in crate::verify) fn start(task: &'a Task<Verification>, input: &'a RunInput) -> Self {
        let build = Build::start(input.job.clone());
        let request = ManifestRequest {
            lowest_version: SPOKEN_VERSIONS.0,
            highest_version: SPOKEN_VERSIONS.1,
            roots: None,
            rules_fingerprint: Some(build.identity().rules_fingerprint().to_string()),
            keyspaces: input.selection.as_ref().map(Selection::names),
            max_concurrency: task.request.max_concurrency,
            task: task.status().id.parse().ok(),
            resume: None,
        };
        let exchange = Exchange::new(input.peer.clone(), request);
        Self { task, input, build, exchange, proven: Mutex::default() }
    }

    /// Whether the error says that this source has no manifests at all, so that nothing was exchanged yet.
    pub(in crate::verify) fn is_not_served(&self, error: &RunError) -> bool {
        matches!(error, RunError::Source(PeerError::NotTwintree { .. })) && self.exchange.manifest_id().is_none()
    }

    /// Stops the work here, and at the source where the run came to no outcome.
    pub(in crate::verify) async fn stop(&self, result: &Result<Compared, RunError>) {
        self.build.cancel();
        if result.is_err()
            && let Some(id) = self.exchange.manifest_id()
        {
            self.input.peer.release(id).await;
        }
    }

    /// How far the work is, and what is proven so far.
    pub(in crate::verify) fn look(&self) -> (Progress, Counters) {
        if self.exchange.manifest_id().is_some() {
            self.task.uses(Protocol::Manifest, MANIFESTS_SERVED);
        }
        let mut proven = self.proven.lock();
        if proven.tables_agree
            && let (Some(local), Some(remote)) = (self.build.manifest(), self.exchange.metadata_now())
        {
            proven.update(&local, &remote, self.exchange.take_fresh());
        }
        (self.progress(), proven.counters)
    }

    /// Both sides work at the same time from the first moment; the metadata of both decides whether content matters.
    pub(in crate::verify) async fn compare(&self) -> Result<Compared, RunError> {
        let mut exchange = std::pin::pin!(self.exchange.run());
        let mut streamed = None;
        let (remote, local) = self.metadata_of_both(exchange.as_mut(), &mut streamed).await?;
        if !self.task.request.keep_going
            && let Some(different) = self.metadata_differs(&remote, &local, exchange.as_mut(), &mut streamed).await?
        {
            return Ok(different);
        }
        // Whichever side fails first ends the wait: the other one may have hours to go.
        let rest = async {
            match streamed {
                Some(done) => done?,
                None => exchange.await?,
            }
            self.task.passed(Passed::SourceHashed);
            Ok(())
        };
        let ((), local) = tokio::try_join!(rest, self.hashed())?;
        // A source that restarted in the meantime holds the same tables under another name.
        let remote = self.exchange.metadata().await;
        let sides = self.sides(&remote, &local, Some(self.exchange.contents()));
        let Assembled { found, .. } = assemble(&sides, self.input.algorithm, self.input.nothing_found()).await?;
        self.compared(found, remote, local).await
    }

    async fn metadata_of_both(
        &self,
        mut exchange: Pin<&mut impl Future<Output = Result<(), PeerError>>>,
        streamed: &mut Streamed,
    ) -> Result<(Arc<RemoteManifest>, Arc<Manifest>), RunError> {
        let metadata = async { tokio::try_join!(self.source_walked(), self.walked()) };
        let mut metadata = std::pin::pin!(metadata);
        let (remote, local) = loop {
            tokio::select! {
                biased;
                both = &mut metadata => break both?,
                done = &mut exchange, if streamed.is_none() => {
                    done?;
                    *streamed = Some(Ok(()));
                }
            }
        };
        // One that ignores what it was asked would have everything else look extra.
        if remote.identity.selection != local.identity.selection {
            return Err(RunError::NotRestricted(self.input.peer.address().clone()));
        }
        // Before hours are spent on content, and before anything counts as proven.
        let sides = self.sides(&remote, &local, None);
        blocking(move || sides.plan().map(drop)).await??;
        self.proven.lock().tables_agree = true;
        Ok((remote, local))
    }

    /// The whole result, where metadata alone decides.
    async fn metadata_differs(
        &self,
        remote: &Arc<RemoteManifest>,
        local: &Arc<Manifest>,
        mut exchange: Pin<&mut impl Future<Output = Result<(), PeerError>>>,
        streamed: &mut Streamed,
    ) -> Result<Option<Compared>, RunError> {
        let sides = self.sides(remote, local, None);
        let mut assembled = std::pin::pin!(assemble(&sides, self.input.algorithm, self.input.nothing_found()));
        let Assembled { found, released } = loop {
            tokio::select! {
                biased;
                assembled = &mut assembled => break assembled?,
                // Read on meanwhile, or the source would wait and the connection time out. How it ends matters only where
                // the metadata does not decide: a source that need not go on ends its stream with an error.
                done = &mut exchange, if streamed.is_none() => *streamed = Some(done),
            }
        };
        if found.tally().counters.metadata_summary() == MetadataSummary::Same {
            return Ok(None);
        }
        if streamed.is_none() && !released {
            self.input.peer.release(remote.id).await;
        }
        self.compared(found, Arc::clone(remote), Arc::clone(local)).await.map(Some)
    }

    /// Without the source's content hashes the comparison is one of metadata.
    fn sides(&self, remote: &Arc<RemoteManifest>, local: &Arc<Manifest>, contents: Option<Arc<Contents>>) -> Sides {
        let RunInput { peer, threads, job, .. } = self.input;
        Sides {
            peer: peer.clone(),
            remote: Arc::clone(remote),
            depth: if contents.is_some() { Depth::Content } else { Depth::Metadata },
            contents,
            local: Arc::clone(local),
            threads: *threads,
            engine: Arc::clone(&job.engine),
            stream_unwanted: self.exchange.unwanted().clone(),
        }
    }

    async fn source_walked(&self) -> Result<Arc<RemoteManifest>, RunError> {
        let metadata = self.exchange.metadata().await;
        self.task.passed(Passed::SourceWalked);
        Ok(metadata)
    }

    async fn walked(&self) -> Result<Arc<Manifest>, RunError> {
        let manifest = self.build.walked().await?;
        self.task.passed(Passed::Walked);
        Ok(manifest)
    }

    async fn hashed(&self) -> Result<Arc<Manifest>, RunError> {
        let manifest = self.build.done().await?;
        self.task.passed(Passed::Hashed);
        Ok(manifest)
    }

    async fn compared(
        &self,
        found: Found,
        remote: Arc<RemoteManifest>,
        local: Arc<Manifest>,
    ) -> Result<Compared, RunError> {
        let begun_again = begun_again_note(self.exchange.begun_again());
        let from = (self.exchange.provenance(), Some(self.build.provenance()));
        let (id, keep_going) = (self.task.status().id, self.task.request.keep_going);
        let compared = blocking(move || {
            let source = Described { identity: &remote.identity, tables: &remote.tables(), listed: false };
            let destination = Described { identity: &local.identity, tables: &local.tables(), listed: false };
            let (total, mut notes) = (found.total(id), notes(source, destination));
            notes.extend(begun_again);
            let outcome = Outcome::new(scope(source, destination), total.tally, notes);
            Compared::new(outcome, total, (source, from.0), (destination, from.1), keep_going)
        });
        Ok(compared.await?)
    }

    pub(in crate::verify) fn progress(&self) -> Progress {
        let (here, there) = (self.build.progress(), self.exchange.progress());
        Progress {
            source_requests: self.input.peer.requests(),
            files_total: here.files_total,
            files_hashed: here.files_hashed,
            bytes_total: here.bytes_total,
            bytes_hashed: here.bytes_hashed,
            source_files_total: there.files_total,
            source_bytes_total: there.bytes_total,
            source_files_hashed: there.files_hashed,
            source_bytes_hashed: there.bytes_hashed,
        }
    }
}
