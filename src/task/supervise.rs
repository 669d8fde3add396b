//! Driving one task to its end, and into the history, whatever happens on the way.

use std::sync::Arc;

use parking_lot::Mutex;
use tracing::Instrument as _;

use super::counts::TaskCounts;
use super::history::{Findings, History, HistoryError};
use super::job::Job;
use super::kind::{Kind, Status as _};
use super::live::Task;
use super::state::Event;
use crate::work::{Died, blocking};

/// Whatever happens in there, a task must not stay under way for ever: its instance would take no other.
pub(super) async fn supervise<K: Job>(
    task: Arc<Task<K>>,
    input: K::Input,
    history: Option<Arc<History<K>>>,
    counts: Arc<Mutex<TaskCounts<K::Totals>>>,
) {
    // The task's log lines carry its id.
    let span = tracing::info_span!("task", task = %task.status().id(), instance = task.instance);
    let run = run_and_keep(Arc::clone(&task), input, history.clone()).instrument(span);
    if let Err(died) = tokio::spawn(run).await {
        task.end(Event::Failed, Some(format!("internal error: {died}")));
        // Without it the next service would take up again what clients saw fail.
        let kept = keep(&task, history).await;
        task.settle(kept);
    }
    counts.lock().add(&task);
}

/// A history that cannot be written is said in the log: the verdict itself is not lost, the service still answers for it.
async fn run_and_keep<K: Job>(task: Arc<Task<K>>, input: K::Input, history: Option<Arc<History<K>>>) {
    let _ = keep(&task, history.clone()).await;
    task.record();
    tracing::info!("a {} begins", K::NAME);
    K::run(Arc::clone(&task), input).await;
    let status = task.status();
    tracing::info!(state = %status.state(), message = status.message().unwrap_or_default(), "a {} ended", K::NAME);
    let kept = keep(&task, history).await;
    task.settle(kept);
}

/// Whether the history has the task as it is now.
async fn keep<K: Kind>(task: &Arc<Task<K>>, history: Option<Arc<History<K>>>) -> bool {
    let Some(history) = history else { return false };
    let task = Arc::clone(task);
    let kept = blocking(move || {
        let stored = task.stored();
        let (summary, findings) = (task.summary(), task.findings());
        let findings = Findings { summary: &summary, findings: &findings };
        history.keep(&stored, stored.status.state().is_final().then_some(findings))
    });
    log_failure(kept.await)
}

/// True where there was none.
pub(super) fn log_failure(kept: Result<Result<(), HistoryError>, Died>) -> bool {
    match kept {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::error!(%error, "the task was not written to the history"),
        Err(error) => tracing::error!(%error, "the task was not written to the history"),
    }
    false
}
