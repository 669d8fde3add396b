//! Driving one task to its end, and into the history, whatever becomes of it on the way.

use std::sync::Arc;

use parking_lot::Mutex;

use super::blocking::{PoolError, blocking};
use super::counts::TaskCounts;
use super::history::{Findings, History, HistoryError};
use super::live::Task;
use super::run::{RunInput, run};

/// Whatever happens in there, a verification must not stay under way for ever: its instance would take no other.
pub(super) async fn supervise(
    task: Arc<Task>,
    input: RunInput,
    history: Option<Arc<History>>,
    counts: Arc<Mutex<TaskCounts>>,
) {
    if let Err(died) = tokio::spawn(run_and_keep(Arc::clone(&task), input, history)).await {
        task.fail(format!("internal error: {died}"), task.status().progress);
        task.settle(false);
    }
    let mut counts = counts.lock();
    counts.under_way -= 1;
    counts.add(&task);
}

/// The task's log lines carry its id. A history that cannot be written is said in the log: the verdict itself is not
/// lost, the service still answers for it.
async fn run_and_keep(task: Arc<Task>, input: RunInput, history: Option<Arc<History>>) {
    use tracing::Instrument as _;
    let id = task.status().id;
    let span = tracing::info_span!("task", task = %id, instance = task.instance);
    async {
        let _ = keep(&task, history.clone()).await;
        task.record();
        tracing::info!(source = %input.peer.address(), "a verification begins");
        run(Arc::clone(&task), input).await;
        let status = task.status();
        tracing::info!(
            state = %status.state,
            source_requests = status.progress.source_requests,
            files_hashed = status.progress.files_hashed,
            bytes_hashed = status.progress.bytes_hashed,
            message = status.message.as_deref().unwrap_or(""),
            "a verification ended"
        );
        let kept = keep(&task, history).await;
        task.settle(kept);
    }
    .instrument(span)
    .await;
}

/// Whether the history has the task as it is now.
async fn keep(task: &Arc<Task>, history: Option<Arc<History>>) -> bool {
    let Some(history) = history else { return false };
    let task = Arc::clone(task);
    let kept = blocking(move || {
        let stored = task.stored();
        let (summary, outcome) = (task.summary(), task.outcome());
        let differences = outcome.as_ref().map_or(&[][..], |outcome| &outcome.differences);
        let findings = Findings { summary: &summary, differences };
        history.keep(&stored, stored.status.state.is_final().then_some(findings))
    });
    log_failure(kept.await)
}

/// True where there was none.
pub(super) fn log_failure(kept: Result<Result<(), HistoryError>, PoolError>) -> bool {
    match kept {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::error!(%error, "the task was not written to the history"),
        Err(error) => tracing::error!(%error, "the task was not written to the history"),
    }
    false
}
