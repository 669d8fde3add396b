//! All tasks of one kind of a service: at most one under way on each instance, the latest at hand, older ones in the history.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::at_hand::{Live, StartError, Waiting, end};
use super::counts::TaskCounts;
use super::history::History;
use super::id::new_id;
use super::job::Job;
use super::kind::Status as _;
use super::live::Task;
use super::slots::Slots;
use super::state::Event;
use super::stored::StoredTask;
use super::supervise::{keep, supervise};
use super::unfinished::{Unfinished, becomes};
use crate::work::{Turns, blocking};

/// The tasks of one kind. Clones share them.
#[derive(Debug)]
pub struct Tasks<K: Job> {
    pub(super) inner: Arc<Inner<K>>,
}

impl<K: Job> Clone for Tasks<K> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

#[derive(Debug)]
pub(super) struct Inner<K: Job> {
    live: Mutex<Live<K>>,
    slots: Slots,
    pub(super) history: Option<Arc<History<K>>>,
    unfinished: Unfinished,
    /// For reports.
    pub(super) turns: Turns,
    pub(super) counts: Arc<Mutex<TaskCounts<K::Totals>>>,
}

/// How long a cancelled task is waited for before its status is given as it is.
const CANCEL_WAIT: Duration = Duration::from_secs(5);

impl<K: Job> Tasks<K> {
    /// The tasks with the history, where the service keeps one. `slots` are those of all kinds of tasks.
    pub fn new(history: Option<History<K>>, unfinished: Unfinished, slots: Slots) -> Self {
        let before = history.as_ref().map(History::all).unwrap_or_default();
        let live = Mutex::new(Live::after(before, &slots));
        let (history, turns, counts) = (history.map(Arc::new), Turns::default(), Arc::default());
        Self { inner: Arc::new(Inner { live, slots, history, unfinished, turns, counts }) }
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

    pub(super) fn live(&self) -> MutexGuard<'_, Live<K>> {
        self.inner.live.lock()
    }
}
