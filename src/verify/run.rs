//! One verification from the destination's side: walk and hash here, exchange manifests with the source, open what
//! differs, and come to an outcome. Decisions are the pure functions of `manifest/` and `evidence.rs`.

use std::sync::Arc;
use std::time::Duration;

use super::blocking::Threads;
use super::build::{Build, BuildJob};
use super::error::RunError;
use super::live::Task;
use super::open::{Assembled, assemble};
use super::proven::Proven;
use super::sides::Sides;
use crate::manifest::{Comparand as _, Depth, Described, Manifest, notes};
use crate::model::{DigestAlgorithm, MetadataSummary, Outcome, Verdict};
use crate::peer::{Exchange, Peer, RemoteManifest};
use crate::protocol::{ManifestRequest, PROTOCOL_VERSION, Progress};

/// How often the status is brought up to date.
const SHOW_INTERVAL: Duration = Duration::from_millis(200);

/// What a run needs.
#[derive(Debug)]
pub struct RunInput {
    /// What to scan here.
    pub job: BuildJob,
    /// The source.
    pub peer: Peer,
    /// How many threads may read files anew.
    pub threads: Threads,
    /// The algorithm of the evidence.
    pub algorithm: DigestAlgorithm,
}

/// Runs a task to its end and leaves the result in it.
pub(super) async fn run(task: Arc<Task>, input: RunInput) {
    task.begin();
    let build = Build::start(input.job);
    let exchange = Exchange::new(input.peer.clone(), request(&task, &build));
    let run = Run {
        task: &task,
        peer: &input.peer,
        build: &build,
        exchange: &exchange,
        algorithm: input.algorithm,
        threads: input.threads,
    };
    let result = tokio::select! {
        result = run.compare_while_showing() => result,
        () = task.cancel.cancelled() => Err(RunError::Cancelled),
        () = task.stop.cancelled() => Err(RunError::ServiceStopped),
    };
    build.cancel();
    if result.is_err()
        && let Some(id) = exchange.manifest_id()
    {
        input.peer.release(id).await;
    }
    match result {
        Ok(outcome) => {
            task.finish(outcome, run.progress());
        }
        Err(RunError::Cancelled) => task.cancelled(run.progress()),
        Err(RunError::ServiceStopped) => task.stopped(run.progress()),
        Err(error) => task.fail(error.to_string(), run.progress()),
    }
}

fn request(task: &Task, build: &Build) -> ManifestRequest {
    ManifestRequest {
        protocol_version: PROTOCOL_VERSION,
        roots: None,
        rules_fingerprint: Some(build.identity().rules_fingerprint().to_string()),
        max_concurrency: task.request.max_concurrency,
        resume: None,
    }
}

struct Run<'a> {
    task: &'a Task,
    peer: &'a Peer,
    build: &'a Build,
    exchange: &'a Exchange,
    algorithm: DigestAlgorithm,
    threads: Threads,
}

impl Run<'_> {
    async fn compare_while_showing(&self) -> Result<Outcome, RunError> {
        let mut compare = std::pin::pin!(self.compare());
        let mut ticks = tokio::time::interval(SHOW_INTERVAL);
        let mut proven = Proven::default();
        loop {
            tokio::select! {
                outcome = &mut compare => return outcome,
                _ = ticks.tick() => {
                    proven.update(self.build, self.exchange);
                    self.task.show(self.progress(), proven.counters);
                }
            }
        }
    }

    /// Both sides work at the same time from the first moment; the metadata of both decides whether content matters.
    async fn compare(&self) -> Result<Outcome, RunError> {
        let mut exchange = std::pin::pin!(self.exchange.run());
        let mut streamed = false;
        let metadata = async { tokio::try_join!(async { Ok(self.exchange.metadata().await) }, self.build.walked()) };
        let mut metadata = std::pin::pin!(metadata);
        let (remote, local): (Arc<RemoteManifest>, Arc<Manifest>) = loop {
            tokio::select! {
                biased;
                both = &mut metadata => break both?,
                done = &mut exchange, if !streamed => {
                    done?;
                    streamed = true;
                }
            }
        };
        let sides = Sides { peer: self.peer, remote: &remote, local: &local, threads: self.threads };
        if !self.task.request.keep_going {
            let Assembled { outcome, released } = assemble(&sides, Depth::Metadata, None, self.algorithm).await?;
            if outcome.counters.metadata_summary() == MetadataSummary::Different {
                if !streamed && !released {
                    self.peer.release(remote.id).await;
                }
                return Ok(self.with_notes(outcome, &remote, &local));
            }
        }
        // Whichever side fails first ends the wait: the other one may have hours to go.
        let rest = async {
            match streamed {
                true => Ok(()),
                false => exchange.await.map_err(RunError::from),
            }
        };
        let ((), local) = tokio::try_join!(rest, async { Ok(self.build.done().await?) })?;
        // A source that restarted in the meantime holds the same tables under another name.
        let remote = self.exchange.metadata().await;
        let contents = self.exchange.contents();
        let sides = Sides { peer: self.peer, remote: &remote, local: &local, threads: self.threads };
        let Assembled { outcome, .. } = assemble(&sides, Depth::Content, Some(&contents), self.algorithm).await?;
        Ok(self.with_notes(outcome, &remote, &local))
    }

    fn with_notes(&self, mut outcome: Outcome, remote: &RemoteManifest, local: &Manifest) -> Outcome {
        let source = Described { identity: &remote.identity, tables: &remote.tables() };
        let destination = Described { identity: &local.identity, tables: &local.tables() };
        outcome.notes = notes(source, destination);
        if outcome.verdict() == Verdict::NothingCompared {
            outcome.notes.push("there was not a single file to compare on either side".to_owned());
        }
        outcome
    }

    fn progress(&self) -> Progress {
        let (here, there) = (self.build.progress(), self.exchange.progress());
        Progress {
            source_requests: self.peer.requests(),
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
