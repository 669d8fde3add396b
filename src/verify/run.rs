//! One verification from the destination's side: by manifests where the source serves them, file by file where it does not.

use std::sync::Arc;
use std::time::Duration;

use super::by_manifest::ManifestRun;
use super::compared::Compared;
use super::error::RunError;
use super::kind::Verification;
use super::per_file::PerFileRun;
use crate::model::{Counters, DigestAlgorithm, Selection};
use crate::peer::Peer;
use crate::protocol::{Progress, Protocol};
use crate::task::{Event, Task};
use crate::work::{BuildJob, Threads};

/// How often the status is brought up to date.
const SHOW_INTERVAL: Duration = Duration::from_millis(200);

/// What a run needs.
#[derive(Debug)]
pub struct RunInput {
    /// What to scan here.
    pub job: BuildJob,
    /// The source.
    pub peer: Peer,
    /// How many threads may read files here.
    pub threads: Threads,
    /// How many requests may be under way at a time, where each is about one file; at least 1.
    pub max_concurrency: u32,
    /// The algorithm of the evidence, and of the per-file protocol.
    pub algorithm: DigestAlgorithm,
    /// What the task is restricted to; the job's rules know it already.
    pub selection: Option<Selection>,
}

/// Runs a task to its end and leaves the result in it. Counters of matches that were shown on the way stay where it broke
/// off: each of them was proven.
pub(super) async fn run(task: Arc<Task<Verification>>, input: RunInput) {
    task.begin();
    let (result, progress) = verify(&task, &input).await;
    let Progress { source_requests, files_hashed, bytes_hashed, .. } = progress;
    tracing::info!(source = %input.peer.address(), source_requests, files_hashed, bytes_hashed, "the work is over");
    match result {
        Ok(compared) => task.finish(compared, progress),
        Err(error) => {
            task.progressed(progress);
            match error {
                RunError::Cancelled => task.end_cancelled(),
                RunError::ServiceStopped => task.end_with_service(),
                error => task.end(Event::Failed, Some(error.to_string())),
            }
        }
    }
}

async fn verify(task: &Task<Verification>, input: &RunInput) -> (Result<Compared, RunError>, Progress) {
    let by_manifests = ManifestRun::start(task, input);
    let result = while_wanted(task, by_manifests.compare(), || by_manifests.look()).await;
    by_manifests.look();
    by_manifests.stop(&result).await;
    match result {
        Err(error) if by_manifests.is_not_served(&error) => {
            tracing::info!(reason = %error, "the verification goes on file by file");
            task.uses(Protocol::PerFile, &error.to_string());
        }
        result => return (result, by_manifests.progress()),
    }
    drop(by_manifests);
    let by_files = PerFileRun::new(task, input);
    let result = while_wanted(task, by_files.compare(), || by_files.look()).await;
    (result, by_files.progress())
}

/// Does the work until it is done or nobody wants it any more, and shows how far it is.
async fn while_wanted(
    task: &Task<Verification>,
    work: impl Future<Output = Result<Compared, RunError>>,
    look: impl Fn() -> (Progress, Counters),
) -> Result<Compared, RunError> {
    let mut work = std::pin::pin!(work);
    let mut ticks = tokio::time::interval(SHOW_INTERVAL);
    loop {
        tokio::select! {
            result = &mut work => return result,
            () = task.cancel.cancelled() => return Err(RunError::Cancelled),
            () = task.stop.cancelled() => return Err(RunError::ServiceStopped),
            _ = ticks.tick() => {
                let (progress, counters) = look();
                task.counted(progress, counters);
            }
        }
    }
}
