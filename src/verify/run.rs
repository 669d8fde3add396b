//! One verification from the destination's side: by manifests where the source serves them, file by file where it does not.

use std::sync::Arc;
use std::time::Duration;

use super::by_manifest::ManifestRun;
use super::compared::Compared;
use super::error::RunError;
use super::input::RunInput;
use super::kind::{Verification, VerificationTotals};
use super::per_file::PerFileRun;
use crate::model::Counters;
use crate::peer::Peer;
use crate::protocol::{Progress, Protocol};
use crate::task::{Event, Job, Task};

/// How often the status is brought up to date.
const SHOW_INTERVAL: Duration = Duration::from_millis(200);

impl Job for Verification {
    type Input = RunInput;
    type Totals = VerificationTotals;

    async fn run(task: Arc<Task<Self>>, input: RunInput) {
        run(task, input).await;
    }

    fn count(totals: &mut VerificationTotals, task: &Task<Self>) {
        totals.source_requests += task.status().progress.source_requests;
        for (kind, count) in task.summary().rollups.iter().flat_map(|rollup| &rollup.differences) {
            *totals.differences.entry(*kind).or_default() += count;
        }
    }
}

/// Runs a task to its end and leaves the result in it. Where it broke off the counters are those of what was compared by then: by
/// manifests, what both sides proved and neither has withdrawn.
async fn run(task: Arc<Task<Verification>>, input: RunInput) {
    task.begin();
    let (result, (progress, counters)) = verify(&task, &input).await;
    let Progress { source_requests, files_hashed, bytes_hashed, .. } = progress;
    tracing::info!(source = %input.peer.address(), source_requests, files_hashed, bytes_hashed, "the work is over");
    match result {
        Ok(compared) => task.finish(compared, progress),
        Err(error) => {
            task.counted(progress, counters);
            match error {
                RunError::Cancelled => task.end_cancelled(),
                RunError::ServiceStopped => task.end_with_service(),
                error => task.end(Event::Failed, Some(error.to_string())),
            }
        }
    }
}

/// The result, and how far the work was then.
async fn verify(task: &Task<Verification>, input: &RunInput) -> (Result<Compared, RunError>, (Progress, Counters)) {
    let by_manifests = ManifestRun::start(task, input);
    let result = while_wanted(task, &input.peer, by_manifests.compare(), || by_manifests.look()).await;
    by_manifests.stop(&result).await;
    match result {
        Err(error) if by_manifests.is_not_served(&error) => {
            tracing::info!(reason = %error, "the verification goes on file by file");
            task.uses(Protocol::PerFile, &error.to_string());
        }
        result => return (result, by_manifests.look()),
    }
    drop(by_manifests);
    let by_files = PerFileRun::new(task, input);
    let result = while_wanted(task, &input.peer, by_files.compare(), || by_files.look()).await;
    (result, by_files.look())
}

/// Does the work until it is done or nobody wants it any more, and shows how far it is.
async fn while_wanted(
    task: &Task<Verification>,
    peer: &Peer,
    work: impl Future<Output = Result<Compared, RunError>>,
    look: impl Fn() -> (Progress, Counters),
) -> Result<Compared, RunError> {
    let mut work = std::pin::pin!(work);
    let mut ticks = tokio::time::interval(SHOW_INTERVAL);
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            () = task.cancel.cancelled() => break Err(RunError::Cancelled),
            () = task.stop.cancelled() => break Err(RunError::ServiceStopped),
            _ = ticks.tick() => {
                let (progress, counters) = look();
                task.counted(progress, counters);
                task.in_trouble(peer.trouble());
            }
        }
    };
    task.in_trouble(None);
    result
}
