//! One task as others see it: its status moves while it runs, and stays once it is done.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use super::compared::Compared;
use super::history::StoredTask;
use super::now_ms;
use super::state::{Event, next};
use super::unfinished::SERVICE_STOPPED;
use crate::model::{Counters, Outcome};
use crate::protocol::{Progress, Protocol, ReportSummary, RollupBody, TaskRequest, TaskState, TaskStatus};

/// Why a task ended that somebody cancelled.
pub(super) const CANCELLED: &str = "cancelled on request";

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
    /// Where the service stops, the next one takes the task up again: it is not over then.
    resumable: bool,
    /// How often it was taken up again after its service had died.
    restarts: u32,
    begun: Instant,
    status: Mutex<TaskStatus>,
    found: Mutex<Found>,
    /// Whether it was tried to write the begun task to the history.
    recorded: tokio::sync::watch::Sender<bool>,
    /// Whether the history holds the ended task; `None` as long as that is not known.
    settled: tokio::sync::watch::Sender<Option<bool>>,
}

/// What a report says besides the status.
#[derive(Debug, Default)]
struct Found {
    summary: ReportSummary,
    outcome: Option<Arc<Outcome>>,
}

/// A phase of the work that is over.
#[derive(Debug, Clone, Copy)]
pub(super) enum Passed {
    Walked,
    SourceWalked,
    Hashed,
    SourceHashed,
}

impl Task {
    pub(super) fn new(
        id: String,
        instance: u64,
        request: TaskRequest,
        (source, port): (String, u16),
        resumable: bool,
    ) -> Self {
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
        Self::with(StoredTask { instance, status, request, restarts: 0 }, resumable)
    }

    /// The task of an earlier service, which begins anew under its id.
    pub(super) fn again(stored: StoredTask, resumable: bool) -> Self {
        let StoredTask { instance, status, request, restarts } = stored;
        let status = TaskStatus {
            state: TaskState::NotStarted,
            counters: Counters::default(),
            protocol_reason: None,
            progress: Progress::default(),
            ..status
        };
        let task = Self::with(StoredTask { instance, status, request, restarts: restarts + 1 }, resumable);
        let now = jiff::Timestamp::from_millisecond(now_ms()).unwrap_or_default();
        task.found().summary.notes.push(format!("{SERVICE_STOPPED}; it began anew at {now:.0}"));
        task
    }

    fn with(StoredTask { instance, status, request, restarts }: StoredTask, resumable: bool) -> Self {
        Self {
            instance,
            request,
            cancel: CancellationToken::new(),
            stop: CancellationToken::new(),
            resumable,
            restarts,
            begun: Instant::now(),
            status: Mutex::new(status),
            found: Mutex::default(),
            recorded: tokio::sync::watch::Sender::new(false),
            settled: tokio::sync::watch::Sender::new(None),
        }
    }

    /// The status now.
    pub fn status(&self) -> TaskStatus {
        self.lock().clone()
    }

    /// The task as the history keeps it. A service that stops in order is no reason to suspect the task: only deaths count.
    pub(super) fn stored(&self) -> StoredTask {
        let restarts = if self.stop.is_cancelled() { 0 } else { self.restarts };
        StoredTask { instance: self.instance, status: self.status(), request: self.request.clone(), restarts }
    }

    /// What was found; `None` while the task is under way, and where it broke.
    pub fn outcome(&self) -> Option<Arc<Outcome>> {
        self.found().outcome.clone()
    }

    /// What its report says besides status and differences.
    pub fn summary(&self) -> ReportSummary {
        self.found().summary.clone()
    }

    /// Completes once it was tried to write the begun task to the history: from then on a crash does not lose it.
    pub async fn recorded(&self) {
        let mut recorded = self.recorded.subscribe();
        tokio::select! {
            // The sender lives in `self`, so waiting cannot fail.
            _ = recorded.wait_for(|recorded| *recorded) => {}
            () = self.settled() => {}
        }
    }

    pub(super) fn record(&self) {
        self.recorded.send_replace(true);
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

    /// Notes that a phase is over; what was noted before stays.
    pub(super) fn passed(&self, phase: Passed) {
        let now = self.elapsed_ms();
        let mut found = self.found();
        let timings = &mut found.summary.timings;
        let timing = match phase {
            Passed::Walked => &mut timings.walked_ms,
            Passed::SourceWalked => &mut timings.source_walked_ms,
            Passed::Hashed => &mut timings.hashed_ms,
            Passed::SourceHashed => &mut timings.source_hashed_ms,
        };
        timing.get_or_insert(now);
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Shows how far the work is. Ignored once the task has ended.
    pub(super) fn show(&self, progress: Progress, counters: Counters) {
        let mut status = self.lock();
        if !status.state.is_final() {
            status.progress = progress;
            status.counters = counters;
        }
    }

    pub(super) fn finish(&self, compared: Compared, progress: Progress) {
        let Compared { outcome, rollups, read } = compared;
        let (text, counters, verdict) = (outcome.summary(), outcome.counters, outcome.verdict());
        {
            let mut found = self.found();
            found.summary.notes.extend(outcome.notes.iter().cloned());
            found.summary.rollups = rollups.into_iter().map(RollupBody::from).collect();
            found.summary.read = read;
            found.outcome = Some(Arc::new(outcome));
        }
        self.end(Event::Compared(verdict), text, (counters, progress));
    }

    /// The work broke off. Counters of matches that were shown on the way stay: each of them was proven.
    pub(super) fn fail(&self, text: String, progress: Progress) {
        let counters = self.lock().counters;
        self.end(Event::Broke, Some(text), (counters, progress));
    }

    pub(super) fn cancelled(&self, progress: Progress) {
        let counters = self.lock().counters;
        self.end(Event::Cancelled, Some(CANCELLED.to_owned()), (counters, progress));
    }

    /// The service stops: the end of the task, unless the next service takes it up again.
    pub(super) fn stopped(&self, progress: Progress) {
        let counters = self.lock().counters;
        match self.resumable {
            true => self.show(progress, counters),
            false => self.end(Event::ServiceStopped, Some(SERVICE_STOPPED.to_owned()), (counters, progress)),
        }
    }

    fn end(&self, event: Event, text: Option<String>, last: (Counters, Progress)) {
        let elapsed = self.elapsed_ms();
        self.found().summary.timings.total_ms.get_or_insert(elapsed);
        let mut status = self.lock();
        if status.state.is_final() {
            return;
        }
        status.state = next(status.state, event);
        status.message = text;
        status.ended_at = Some(now_ms());
        (status.counters, status.progress) = last;
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock()
    }

    fn lock(&self) -> MutexGuard<'_, TaskStatus> {
        self.status.lock()
    }
}
