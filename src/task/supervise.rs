//! Driving one task to its end, and into the history, whatever happens on the way.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tracing::Instrument as _;

use super::counts::TaskCounts;
use super::folder::HistoryError;
use super::history::History;
use super::job::Job;
use super::kind::{Kind, Status as _};
use super::live::Task;
use super::state::Event;
use crate::work::{Died, blocking};

/// How long after a failed write the next one is tried.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

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
        let kept = keep_task(&task, history).await;
        task.settle(kept);
    }
    counts.lock().add(&task);
}

/// A history that cannot be written is said in the log, and holds the task in memory.
async fn run_and_keep<K: Job>(task: Arc<Task<K>>, input: K::Input, history: Option<Arc<History<K>>>) {
    let _ = keep_task(&task, history.clone()).await;
    task.record();
    tracing::info!("a {} begins", K::NAME);
    K::run(Arc::clone(&task), input).await;
    let status = task.status();
    tracing::info!(state = %status.state(), message = status.message().unwrap_or_default(), "a {} ended", K::NAME);
    let kept = keep_task(&task, history).await;
    task.settle(kept);
}

/// Whether there is a history that has the task as it is now, on disk or until it can be written.
async fn keep_task<K: Kind>(task: &Arc<Task<K>>, history: Option<Arc<History<K>>>) -> bool {
    let Some(history) = history else { return false };
    let task = Arc::clone(task);
    keep(history, move |history| {
        let stored = task.stored();
        let report = stored.status.state().is_final().then(|| task.left_behind());
        history.keep(&stored, report)
    })
    .await
}

/// Keeps something in the history, and has it written later where it cannot be now. Whether the history has it.
pub(super) async fn keep<K: Kind>(
    history: Arc<History<K>>,
    keep: impl FnOnce(&History<K>) -> Result<(), HistoryError> + Send + 'static,
) -> bool {
    let keeping = Arc::clone(&history);
    let kept: Result<Result<(), HistoryError>, Died> = blocking(move || keep(&keeping)).await;
    match kept {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::error!(%error, "the task is not safe on disk yet; it is held in memory and written when that is possible");
            if history.begin_writing_later() {
                tokio::spawn(write_later(Arc::downgrade(&history)));
            }
            true
        }
        Err(error) => {
            tracing::error!(%error, "the task was not written to the history");
            false
        }
    }
}

/// Tries again and again, as long as the service keeps the history.
async fn write_later<K: Kind>(history: Weak<History<K>>) {
    loop {
        tokio::time::sleep(WRITE_AGAIN).await;
        let Some(history) = history.upgrade() else { return };
        if !matches!(blocking(move || history.write_later()).await, Ok(false)) {
            return;
        }
    }
}
