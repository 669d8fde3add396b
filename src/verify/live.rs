//! One task as others see it: its status moves while it runs, and stays once it is done.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio_util::sync::CancellationToken;

use super::now_ms;
use super::state::{Event, next};
use crate::model::{Counters, Outcome};
use crate::protocol::{Progress, Protocol, TaskRequest, TaskState, TaskStatus};

/// Why a task ended that was under way when its service stopped.
pub(super) const SERVICE_STOPPED: &str = "the service stopped while the task was under way";

/// A verification task.
#[derive(Debug)]
pub struct Task {
    /// The instance it verifies.
    pub instance: u64,
    /// What was asked for.
    pub request: TaskRequest,
    /// Asks the task to stop.
    pub cancel: CancellationToken,
    /// The service stops, and the task with it.
    pub(super) stop: CancellationToken,
    status: Mutex<TaskStatus>,
    outcome: Mutex<Option<Arc<Outcome>>>,
    /// Whether the history holds the ended task; `None` as long as that is not known.
    settled: tokio::sync::watch::Sender<Option<bool>>,
}

impl Task {
    pub(super) fn new(id: String, instance: u64, request: TaskRequest, source: String, port: u16) -> Self {
        let status = TaskStatus {
            id,
            digest_algorithm: request.digest_algorithm.clone(),
            state: TaskState::NotStarted,
            source,
            port,
            counters: Counters::default(),
            protocol: Protocol::Manifest,
            protocol_reason: None,
            progress: Progress::default(),
            started_at: now_ms(),
            ended_at: None,
            message: None,
        };
        Self {
            instance,
            request,
            cancel: CancellationToken::new(),
            stop: CancellationToken::new(),
            status: Mutex::new(status),
            outcome: Mutex::new(None),
            settled: tokio::sync::watch::Sender::new(None),
        }
    }

    /// The status now.
    pub fn status(&self) -> TaskStatus {
        self.lock().clone()
    }

    /// What was found; `None` while the task is under way, and where it broke.
    pub fn outcome(&self) -> Option<Arc<Outcome>> {
        self.outcome.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Completes once the task has ended and it was tried to write it to the history.
    pub async fn settled(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.settled.subscribe().wait_for(Option::is_some).await;
    }

    /// Whether the history holds the task as it ended.
    pub(super) fn in_history(&self) -> bool {
        *self.settled.borrow() == Some(true)
    }

    /// Nothing about the task will change any more, here or in the history.
    pub(super) fn settle(&self, in_history: bool) {
        self.settled.send_replace(Some(in_history));
    }

    pub(super) fn begin(&self) {
        let mut status = self.lock();
        status.state = next(status.state, Event::Begin);
    }

    /// Says by which protocol the task is run, and why.
    pub(super) fn uses(&self, protocol: Protocol, reason: &str) {
        let mut status = self.lock();
        if status.protocol_reason.as_deref() != Some(reason) {
            (status.protocol, status.protocol_reason) = (protocol, Some(reason.to_owned()));
        }
    }

    /// Shows how far the work is. Ignored once the task has ended.
    pub(super) fn show(&self, progress: Progress, counters: Counters) {
        let mut status = self.lock();
        if !status.state.is_final() {
            status.progress = progress;
            status.counters = counters;
        }
    }

    pub(super) fn finish(&self, outcome: Outcome, progress: Progress) {
        let text = outcome.summary();
        let (counters, verdict) = (outcome.counters, outcome.verdict());
        *self.outcome.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(Arc::new(outcome));
        self.end(Event::Compared(verdict), text, (counters, progress));
    }

    /// The work broke off. Counters of matches that were shown on the way stay: each of them was proven.
    pub(super) fn fail(&self, text: String, progress: Progress) {
        let counters = self.lock().counters;
        self.end(Event::Broke, Some(text), (counters, progress));
    }

    pub(super) fn cancelled(&self, progress: Progress) {
        let counters = self.lock().counters;
        self.end(Event::Cancelled, Some("cancelled on request".to_owned()), (counters, progress));
    }

    pub(super) fn stopped(&self, progress: Progress) {
        let counters = self.lock().counters;
        self.end(Event::ServiceStopped, Some(SERVICE_STOPPED.to_owned()), (counters, progress));
    }

    fn end(&self, event: Event, text: Option<String>, last: (Counters, Progress)) {
        let mut status = self.lock();
        if status.state.is_final() {
            return;
        }
        status.state = next(status.state, event);
        status.message = text;
        status.ended_at = Some(now_ms());
        (status.counters, status.progress) = last;
    }

    fn lock(&self) -> MutexGuard<'_, TaskStatus> {
        self.status.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
