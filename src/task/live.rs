//! One task as others see it: its status moves while it runs, and stays once it is done.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::kind::{Kind, Status as _};
use super::left_behind::LeftBehind;
use super::slots::Slot;
use super::state::{Event, next};
use super::stored::StoredTask;
use super::unfinished::SERVICE_STOPPED;
use super::weight::weight;
use crate::store::Pages;
use crate::work::now_ms;

/// Why a task ended that somebody cancelled.
pub(super) const CANCELLED: &str = "cancelled on request";

/// A task of this process.
#[derive(Debug)]
pub struct Task<K: Kind> {
    /// The instance it is about.
    pub instance: u64,
    /// What was asked for.
    pub request: K::Request,
    /// Asks the task to stop.
    pub cancel: CancellationToken,
    /// The service stops, and the task with it.
    pub stop: CancellationToken,
    /// Held as long as the task has not ended, so that no other begins on its instance.
    slot: Mutex<Option<Slot>>,
    /// Where the service stops, the next one takes the task up again: it is not over then.
    resumable: bool,
    /// How often it was taken up again after its service had died.
    restarts: u32,
    begun: Instant,
    status: Mutex<K::Status>,
    found: Mutex<Found<K>>,
    /// Whether it was tried to write the begun task to the history.
    recorded: watch::Sender<bool>,
    /// Whether the history holds the ended task; `None` as long as that is not known.
    settled: watch::Sender<Option<bool>>,
}

/// What a report says besides the status.
#[derive(Debug)]
struct Found<K: Kind> {
    summary: K::Summary,
    /// Until the history holds them.
    findings: Arc<Pages>,
}

impl<K: Kind> Task<K> {
    pub(super) fn new(stored: StoredTask<K>, slot: Slot, resumable: bool) -> Self {
        let StoredTask { instance, status, request, restarts } = stored;
        Self {
            instance,
            request,
            cancel: CancellationToken::new(),
            stop: CancellationToken::new(),
            slot: Mutex::new(Some(slot)),
            resumable,
            restarts,
            begun: Instant::now(),
            status: Mutex::new(status),
            found: Mutex::new(Found { summary: K::Summary::default(), findings: Arc::default() }),
            recorded: watch::Sender::new(false),
            settled: watch::Sender::new(None),
        }
    }

    /// The task of an earlier service, which begins again under its id.
    pub(super) fn again(mut stored: StoredTask<K>, slot: Slot, resumable: bool) -> Self {
        stored.status.restart();
        stored.status.refresh();
        stored.restarts += 1;
        let task = Self::new(stored, slot, resumable);
        let now = jiff::Timestamp::from_millisecond(now_ms()).unwrap_or_default();
        K::began_again(&mut task.found().summary, format!("{SERVICE_STOPPED}; it began again at {now:.0}"));
        task
    }

    /// The status now.
    pub fn status(&self) -> K::Status {
        self.status.lock().clone()
    }

    /// The task as the history keeps it. A service that stops in order is no reason to suspect the task: only deaths count.
    pub(super) fn stored(&self) -> StoredTask<K> {
        let restarts = if self.stop.is_cancelled() { 0 } else { self.restarts };
        StoredTask { instance: self.instance, status: self.status(), request: self.request.clone(), restarts }
    }

    /// What it left behind.
    pub(super) fn left_behind(&self) -> LeftBehind<K> {
        let found = self.found();
        LeftBehind { summary: found.summary.clone(), findings: Arc::clone(&found.findings) }
    }

    /// What its report says besides status and findings.
    pub fn summary(&self) -> K::Summary {
        self.found().summary.clone()
    }

    /// What it takes in memory, its findings left out.
    pub(super) fn weight(&self) -> u64 {
        weight(&*self.status.lock()) + weight(&self.request) + weight(&self.found().summary)
    }

    /// How long it has been under way, in milliseconds.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Changes what the status shows; nothing happens once the task has ended.
    pub fn show(&self, change: impl FnOnce(&mut K::Status)) {
        let mut status = self.status.lock();
        if !status.state().is_final() {
            change(&mut status);
            status.refresh();
        }
    }

    /// Changes what the report says besides status and findings.
    pub fn summarise(&self, change: impl FnOnce(&mut K::Summary)) {
        change(&mut self.found().summary);
    }

    /// Leaves what was found. To be called before the task ends: who sees it ended must see all of it.
    pub fn leave(&self, findings: Pages) {
        self.found().findings = Arc::new(findings);
    }

    /// Work begins.
    pub fn begin(&self) {
        let mut status = self.status.lock();
        let state = next(status.state(), Event::Begin);
        status.enter(state);
        status.refresh();
    }

    /// The end of the task. What the status shows stays as it was shown last.
    pub fn end(&self, event: Event, message: Option<String>) {
        K::took(&mut self.found().summary, self.elapsed_ms());
        let mut status = self.status.lock();
        if status.state().is_final() {
            return;
        }
        let state = next(status.state(), event);
        // Before anybody can see that it is over, the instance is free for the next one.
        drop(self.slot.lock().take());
        status.end(now_ms(), message);
        status.enter(state);
        status.refresh();
    }

    /// Somebody cancelled it, and the work has stopped.
    pub fn end_cancelled(&self) {
        self.end(Event::Cancelled, Some(CANCELLED.to_owned()));
    }

    /// The service stops: the end of the task, unless the next service takes it up again.
    pub fn end_with_service(&self) {
        if !self.resumable {
            self.end(Event::ServiceStopped, Some(SERVICE_STOPPED.to_owned()));
        }
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

    /// Whether nothing about the task will change any more, here or in the history.
    pub(super) fn is_settled(&self) -> bool {
        self.settled.borrow().is_some()
    }

    /// Nothing about the task will change any more, here or in the history; what that holds is not held here.
    pub(super) fn settle(&self, in_history: bool) {
        self.settled.send_replace(Some(in_history));
        if in_history {
            self.found().findings = Arc::default();
        }
    }

    fn found(&self) -> MutexGuard<'_, Found<K>> {
        self.found.lock()
    }
}
