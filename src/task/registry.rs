//! All tasks of one kind of a service: at most one under way on each instance, the latest at hand, older ones in the history.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::at_hand::{Live, StartError, Waiting, end};
use super::counts::TaskCounts;
use super::folder::HistoryError;
use super::history::History;
use super::id::new_id;
use super::job::Job;
use super::kind::{Kind, Status as _};
use super::live::Task;
use super::report::{LeftBehind, TaskReport};
use super::slots::Slots;
use super::state::Event;
use super::stored::StoredTask;
use super::supervise::{keep, supervise};
use super::unfinished::{Unfinished, becomes};
use crate::work::blocking;

/// The tasks of one kind. Clones share them.
#[derive(Debug)]
pub struct Tasks<K: Job> {
    inner: Arc<Inner<K>>,
}

impl<K: Job> Clone for Tasks<K> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

#[derive(Debug)]
struct Inner<K: Job> {
    live: Mutex<Live<K>>,
    slots: Slots,
    history: Option<Arc<History<K>>>,
    unfinished: Unfinished,
    counts: Arc<Mutex<TaskCounts<K::Totals>>>,
}

/// How long a status that has just become final waits until it is on disk.
const SETTLE_WAIT: Duration = Duration::from_secs(5);

/// How long a cancelled task is waited for before its status is given as it is.
const CANCEL_WAIT: Duration = Duration::from_secs(5);

impl<K: Job> Tasks<K> {
    /// The tasks with the history, where the service keeps one. `slots` are those of all kinds of tasks.
    pub fn new(history: Option<History<K>>, unfinished: Unfinished, slots: Slots) -> Self {
        let before = history.as_ref().map(History::all).unwrap_or_default();
        let live = Mutex::new(Live::after(before, &slots));
        let (history, counts) = (history.map(Arc::new), Arc::default());
        Self { inner: Arc::new(Inner { live, slots, history, unfinished, counts }) }
    }

    /// Starts a task unless one is under way on the instance; `status` makes the first status of the id it is given. Must be
    /// called within a tokio runtime.
    pub fn start(
        &self,
        instance: u64,
        request: K::Request,
        status: impl FnOnce(String) -> K::Status,
        input: K::Input,
    ) -> Result<Arc<Task<K>>, StartError> {
        let slot = self.inner.slots.take(instance).ok_or(StartError::Busy(instance))?;
        let status = status(new_id());
        let stored = StoredTask { instance, status, request, restarts: 0 };
        self.launch(Task::new(stored, slot, self.resumable()), input)
    }

    /// The tasks that were under way when the last service stopped; each is handed out once, for [`Tasks::take_up`].
    pub fn unfinished(&self) -> Vec<StoredTask<K>> {
        std::mem::take(&mut self.live().unfinished)
    }

    /// Begins an unfinished task again under its id, or ends it with the reason. `input` is what it needs to run, or what
    /// stands in its way. Must be called within a tokio runtime.
    pub async fn take_up(&self, task: StoredTask<K>, input: Result<K::Input, String>) {
        if let Some(ended) = self.begin_again(task, input) {
            let (id, reason) = (ended.status.id(), ended.status.message().unwrap_or_default());
            tracing::warn!(task = id, reason, "an unfinished task has failed");
            self.keep(ended).await;
        }
    }

    /// The task as it ended where it does not begin again. What becomes of it is decided under one lock, so that a cancel
    /// finds it either waiting, or under way, or ended.
    fn begin_again(&self, mut task: StoredTask<K>, input: Result<K::Input, String>) -> Option<StoredTask<K>> {
        let mut live = self.live();
        let slot = match live.hand_over(&task) {
            Waiting::Cancelled => return None,
            Waiting::Replaced => Err("a later task took its place".to_owned()),
            Waiting::Slot(slot) => Ok(slot),
        };
        let ready = input.and_then(|input| Ok((input, slot?)));
        let obstacle = ready.as_ref().err().map(String::as_str);
        let reason = match (becomes(task.restarts, self.inner.unfinished, obstacle), ready) {
            (Ok(()), Ok((input, slot))) => {
                tracing::info!(task = task.status.id(), "an unfinished task is taken up again");
                let task = Arc::new(Task::again(task, slot, self.resumable()));
                // A service that stops already leaves it to the next one.
                if live.admit(&task).is_ok() {
                    drop(live);
                    self.spawn(&task, input);
                }
                return None;
            }
            (Err(reason), _) | (Ok(()), Err(reason)) => reason,
        };
        end(&mut task, Event::ServiceStopped, reason);
        if let Some(before) = live.latest_before(task.instance, task.status.id()) {
            *before = task.clone();
        }
        Some(task)
    }

    /// Cancels a task, whether it is under way or waits to be taken up again, and waits for its end, for some seconds at most. One
    /// that has ended stays as it is.
    pub async fn cancel(&self, instance: u64, id: &str) {
        // Under one lock: between two looks a waiting task could begin again, and be found by neither.
        let (ended, task) = {
            let mut live = self.live();
            (live.end_waiting(instance, id), live.task(instance, id))
        };
        if let Some(task) = ended {
            self.keep(task).await;
        }
        if let Some(task) = task {
            task.cancel.cancel();
            let _ = tokio::time::timeout(CANCEL_WAIT, task.settled()).await;
        }
    }

    async fn keep(&self, task: StoredTask<K>) {
        if let Some(history) = self.inner.history.clone() {
            keep(history, move |history| history.keep(&task, None)).await;
        }
    }

    fn resumable(&self) -> bool {
        self.inner.history.is_some() && self.inner.unfinished == Unfinished::Resume
    }

    fn launch(&self, task: Task<K>, input: K::Input) -> Result<Arc<Task<K>>, StartError> {
        let task = Arc::new(task);
        self.live().admit(&task)?;
        self.spawn(&task, input);
        Ok(task)
    }

    fn spawn(&self, task: &Arc<Task<K>>, input: K::Input) {
        let counts = Arc::clone(&self.inner.counts);
        {
            let mut counts = counts.lock();
            counts.started += 1;
            counts.under_way += 1;
        }
        tokio::spawn(supervise(Arc::clone(task), input, self.inner.history.clone(), counts));
    }

    /// What all tasks came to since the service started.
    pub fn counts(&self) -> TaskCounts<K::Totals> {
        self.inner.counts.lock().clone()
    }

    /// The status of the latest task of an instance.
    pub async fn latest(&self, instance: u64) -> Option<K::Status> {
        let (latest, before) = {
            let live = self.live();
            (live.latest.get(&instance).cloned(), live.before.get(&instance).map(|task| task.status.clone()))
        };
        match latest {
            Some(task) => Some(self.safe(&task).await),
            None => before.map(|status| self.shown(status)),
        }
    }

    /// The status of a task of this process. That it has ended is shown once that is on disk, so that no death takes it back;
    /// where that lasts, the status says so.
    async fn safe(&self, task: &Task<K>) -> K::Status {
        if self.inner.history.is_some() && task.status().state().is_final() {
            let _ = tokio::time::timeout(SETTLE_WAIT, task.settled()).await;
        }
        self.shown_now(task)
    }

    /// The same without waiting.
    fn shown_now(&self, task: &Task<K>) -> K::Status {
        // Before the status: what is not settled yet may be a moment later.
        let is_settled = task.is_settled();
        let mut status = self.shown(task.status());
        if self.inner.history.is_some() && status.state().is_final() && !is_settled {
            status.not_safe(Some("its end is still being written".to_owned()));
        }
        status
    }

    /// The status as it is shown: it says where the history does not hold it.
    fn shown(&self, mut status: K::Status) -> K::Status {
        status.not_safe(self.inner.history.as_ref().and_then(|history| history.trouble_of(status.id())));
        status
    }

    /// How many tasks the history does not hold on disk yet, and why one of them; `None` where it holds all.
    pub fn not_safe(&self) -> Option<(usize, String)> {
        self.inner.history.as_ref()?.trouble()
    }

    /// How many records of tasks are damaged.
    pub fn damaged(&self) -> usize {
        self.inner.history.as_ref().map_or(0, |history| history.damaged().len())
    }

    /// The statuses of all tasks of an instance that are still known, newest first, and what is damaged, of whatever instance.
    pub async fn all(&self, instance: u64) -> Listed<K> {
        self.latest(instance).await;
        let history = self.inner.history.as_ref();
        let stored = history.map(|history| history.all()).unwrap_or_default();
        let (before, at_hand) = {
            let live = self.live();
            let at_hand = live.latest.values().chain(&live.older).filter(|task| task.instance == instance);
            (live.before.get(&instance).cloned(), at_hand.cloned().collect::<Vec<_>>())
        };
        let stored = stored.into_iter().filter(|task| task.instance == instance).chain(before);
        let stored = stored.map(|task| self.shown(task.status));
        // What is at hand is newer than what the history has.
        let shown = stored.chain(at_hand.iter().map(|task| self.shown_now(task)));
        let statuses: HashMap<String, K::Status> = shown.map(|status| (status.id().to_owned(), status)).collect();
        let mut statuses: Vec<K::Status> = statuses.into_values().collect();
        statuses.sort_by(|a, b| (b.started_at(), b.id()).cmp(&(a.started_at(), a.id())));
        let mut damaged = history.map(|history| history.damaged()).unwrap_or_default();
        damaged.sort();
        Listed { statuses, damaged }
    }

    /// The status of any task of an instance.
    pub async fn status(&self, instance: u64, id: &str) -> Result<Option<K::Status>, HistoryError> {
        if let Some(task) = self.task(instance, id) {
            return Ok(Some(self.safe(&task).await));
        }
        if let Some(before) = self.live().before.get(&instance).filter(|task| task.status.id() == id) {
            return Ok(Some(self.shown(before.status.clone())));
        }
        let Some(history) = &self.inner.history else { return Ok(None) };
        let stored = history.task(id)?.filter(|task| task.instance == instance);
        Ok(stored.map(|task| self.shown(task.status)))
    }

    /// A task of an instance with what it found. One that is not over shows none of that: half of it must not look like all.
    pub async fn report(&self, instance: u64, id: &str) -> Result<Option<TaskReport<K>>, HistoryError> {
        let task = self.task(instance, id);
        let Some(status) = self.status(instance, id).await? else { return Ok(None) };
        let (asked, history) = (id.to_owned(), self.inner.history.clone());
        let read = move || {
            // What it left behind is dropped here only after the history has it.
            let at_hand = task.as_ref().map(|task| task.left_behind());
            let kept = history.filter(|_| task.is_none_or(|task| task.in_history()));
            let report = kept.as_ref().map(|history| history.report(&asked)).transpose()?;
            Ok((report.unwrap_or(at_hand), kept))
        };
        let (left, history) = blocking(read).await.unwrap_or_else(|died| Err(HistoryError::unreadable(id, &died)))?;
        let LeftBehind { summary, findings } = left.unwrap_or_default();
        let findings = if status.state().is_final() { findings } else { Arc::default() };
        Ok(Some(TaskReport { status, summary, findings, history }))
    }

    /// A task of this process.
    pub fn task(&self, instance: u64, id: &str) -> Option<Arc<Task<K>>> {
        self.live().task(instance, id)
    }

    /// Ends every task under way, because the service stops, and waits until they have ended and stand in the history.
    pub async fn stop_all(&self) {
        let running: Vec<Arc<Task<K>>> = {
            let mut live = self.live();
            live.stopping = true;
            // One that a later task has replaced may still be on its way into the history.
            live.latest.values().chain(&live.older).cloned().collect()
        };
        running.iter().for_each(|task| task.stop.cancel());
        for task in running {
            task.settled().await;
        }
        if let Some(history) = self.inner.history.clone() {
            self.write_the_last(history).await;
        }
    }

    async fn write_the_last(&self, history: Arc<History<K>>) {
        let writing = Arc::clone(&history);
        let written = blocking(move || writing.write()).await;
        if let Some((tasks, cause)) = history.trouble() {
            tracing::error!(
                tasks,
                cause,
                died = written.is_err(),
                "tasks were never written to the history and are lost"
            );
        }
    }

    fn live(&self) -> MutexGuard<'_, Live<K>> {
        self.inner.live.lock()
    }
}

/// The tasks of an instance.
#[derive(Debug)]
pub struct Listed<K: Kind> {
    /// Those that can be read, newest first.
    pub statuses: Vec<K::Status>,
    /// The ids of those whose records are damaged.
    pub damaged: Vec<String>,
}
