//! All tasks of one kind of a service: at most one under way on each instance, the latest at hand, older ones in the history.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;

use super::counts::TaskCounts;
use super::history::{History, HistoryError};
use super::job::Job;
use super::kind::{Kind, Status as _};
use super::live::{CANCELLED, Task};
use super::report::TaskReport;
use super::slots::{Slot, Slots};
use super::state::{Event, next};
use super::stored::StoredTask;
use super::supervise::{log_failure, supervise};
use super::unfinished::{Unfinished, becomes};
use crate::work::{blocking, now_ms};

/// Why a task was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Another one, of whatever kind, is under way on the instance.
    #[error("another task is under way on instance {0}")]
    Busy(u64),
    /// The service stops.
    #[error("the service is stopping, please try again later")]
    Stopping,
}

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

#[derive(Debug)]
struct Live<K: Kind> {
    /// The latest task this process started on each instance.
    latest: HashMap<u64, Arc<Task<K>>>,
    /// The latest task of earlier processes.
    before: HashMap<u64, StoredTask<K>>,
    /// Those of them, and of others before them, that nobody has taken up yet.
    unfinished: Vec<StoredTask<K>>,
    /// The slots of those that wait to be taken up: they are under way, too.
    waiting: HashMap<u64, Slot>,
    /// Older tasks that no history holds: there is none, or it is not written yet, or cannot be; oldest first.
    older: Vec<Arc<Task<K>>>,
    /// Those of `unfinished` that were cancelled before anybody took them up.
    cancelled: HashSet<String>,
    /// No task is started any more.
    stopping: bool,
}

/// How many older tasks are kept in memory that no history will hold.
const MAX_OLDER: usize = 100;

impl<K: Job> Tasks<K> {
    /// The tasks with the history, where the service keeps one. `slots` are those of all kinds of tasks.
    pub fn new(history: Option<History<K>>, unfinished: Unfinished, slots: Slots) -> Result<Self, HistoryError> {
        let all = history.as_ref().map(History::all).transpose()?.unwrap_or_default();
        let waits = |task: &&StoredTask<K>| !task.status.state().is_final();
        let unfinished_tasks = all.iter().filter(waits).cloned().collect();
        let before = latest(all);
        let waiting = before.iter().filter(|(_, task)| waits(task));
        let waiting = waiting.filter_map(|(instance, _)| Some((*instance, slots.take(*instance)?))).collect();
        let live = Mutex::new(Live {
            latest: HashMap::new(),
            before,
            unfinished: unfinished_tasks,
            waiting,
            older: Vec::new(),
            cancelled: HashSet::new(),
            stopping: false,
        });
        let (history, counts) = (history.map(Arc::new), Arc::default());
        Ok(Self { inner: Arc::new(Inner { live, slots, history, unfinished, counts }) })
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
        let status = status(Uuid::now_v1(&node_id()).to_string());
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

    /// Cancels a task that was under way when the last service stopped and that nobody has taken up again yet.
    pub async fn cancel_waiting(&self, instance: u64, id: &str) -> Option<K::Status> {
        let task = self.live().end_waiting(instance, id)?;
        Some(self.keep(task).await)
    }

    async fn keep(&self, task: StoredTask<K>) -> K::Status {
        let status = task.status.clone();
        if let Some(history) = self.inner.history.clone() {
            let kept = blocking(move || history.keep(&task, None)).await;
            log_failure(kept);
        }
        status
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
    pub fn latest(&self, instance: u64) -> Option<K::Status> {
        let live = self.live();
        let status = live.latest.get(&instance).map(|task| task.status());
        status.or_else(|| live.before.get(&instance).map(|task| task.status.clone()))
    }

    /// The statuses of all tasks of an instance that are still known, newest first.
    pub async fn all(&self, instance: u64) -> Result<Vec<K::Status>, HistoryError> {
        let stored = self.in_history(|history| history.all().map(Some)).await?.unwrap_or_default();
        let stored = stored.into_iter().filter(|task| task.instance == instance).map(|task| task.status);
        let mut statuses: HashMap<String, K::Status> = stored.map(|status| (status.id().to_owned(), status)).collect();
        {
            let live = self.live();
            let before = live.before.get(&instance).map(|task| task.status.clone());
            let known = live.latest.values().chain(&live.older).filter(|task| task.instance == instance);
            let known = before.into_iter().chain(known.map(|task| task.status()));
            statuses.extend(known.map(|status| (status.id().to_owned(), status)));
        }
        let mut statuses: Vec<K::Status> = statuses.into_values().collect();
        statuses.sort_by(|a, b| (b.started_at(), b.id()).cmp(&(a.started_at(), a.id())));
        Ok(statuses)
    }

    /// The status of any task of an instance.
    pub async fn status(&self, instance: u64, id: &str) -> Result<Option<K::Status>, HistoryError> {
        if let Some(task) = self.task(instance, id) {
            return Ok(Some(task.status()));
        }
        if let Some(before) = self.live().before.get(&instance).filter(|task| task.status.id() == id) {
            return Ok(Some(before.status.clone()));
        }
        let id = id.to_owned();
        let stored = self.in_history(move |history| history.task(&id)).await?;
        Ok(stored.filter(|task| task.instance == instance).map(|task| task.status))
    }

    /// A task of an instance with at most `limit` of its findings, from the position `offset` on.
    pub async fn report(
        &self,
        instance: u64,
        id: &str,
        (offset, limit): (u64, u64),
    ) -> Result<Option<TaskReport<K>>, HistoryError> {
        if let Some(task) = self.task(instance, id) {
            return Ok(Some(TaskReport::of(&task, (offset, limit))));
        }
        let Some(status) = self.status(instance, id).await? else { return Ok(None) };
        let id = id.to_owned();
        self.in_history(move |history| {
            let stored = history.summary(&id)?.unwrap_or_default();
            let findings = history.findings(&id, offset, limit)?;
            Ok(Some(TaskReport { status, summary: stored.summary, findings_total: stored.findings, findings }))
        })
        .await
    }

    /// A task of this process.
    pub fn task(&self, instance: u64, id: &str) -> Option<Arc<Task<K>>> {
        let live = self.live();
        let mut known = live.latest.values().chain(&live.older);
        known.find(|task| task.instance == instance && task.status().id() == id).cloned()
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
    }

    async fn in_history<T: Send + 'static>(
        &self,
        read: impl FnOnce(&History<K>) -> Result<Option<T>, HistoryError> + Send + 'static,
    ) -> Result<Option<T>, HistoryError> {
        let Some(history) = self.inner.history.clone() else { return Ok(None) };
        let path = history.path().to_owned();
        blocking(move || read(&history))
            .await
            .unwrap_or_else(|died| Err(HistoryError { path, cause: died.to_string() }))
    }

    fn live(&self) -> MutexGuard<'_, Live<K>> {
        self.inner.live.lock()
    }
}

/// What has become of an unfinished task that waits to be taken up again.
enum Waiting {
    /// It still waits; this is its slot.
    Slot(Slot),
    /// A later task took its place.
    Replaced,
    /// Somebody cancelled it.
    Cancelled,
}

impl<K: Kind> Live<K> {
    /// Gives a waiting task's slot to whoever takes it up.
    fn hand_over(&mut self, task: &StoredTask<K>) -> Waiting {
        // A later task on the instance removes the cancelled one from `before`; its end still stands.
        if self.cancelled.contains(task.status.id()) {
            return Waiting::Cancelled;
        }
        match self.latest_before(task.instance, task.status.id()) {
            Some(_) => self.waiting.remove(&task.instance).map_or(Waiting::Replaced, Waiting::Slot),
            None => Waiting::Replaced,
        }
    }

    /// Cancels a waiting task, unless somebody is taking it up already.
    fn end_waiting(&mut self, instance: u64, id: &str) -> Option<StoredTask<K>> {
        self.latest_before(instance, id).filter(|before| !before.status.state().is_final())?;
        self.waiting.remove(&instance)?;
        let before = self.latest_before(instance, id)?;
        end(before, Event::Cancelled, CANCELLED.to_owned());
        let ended = before.clone();
        self.cancelled.insert(id.to_owned());
        Some(ended)
    }

    /// The latest task of earlier processes on an instance, if it has this id.
    fn latest_before(&mut self, instance: u64, id: &str) -> Option<&mut StoredTask<K>> {
        self.before.get_mut(&instance).filter(|before| before.status.id() == id)
    }

    /// Takes a task in as the latest of its instance.
    fn admit(&mut self, task: &Arc<Task<K>>) -> Result<(), StartError> {
        if self.stopping {
            return Err(StartError::Stopping);
        }
        self.before.remove(&task.instance);
        if let Some(replaced) = self.latest.insert(task.instance, Arc::clone(task)) {
            self.older.push(replaced);
            self.forget_older();
        }
        Ok(())
    }

    /// One that is still on its way into the history stays: who stops the service waits for it.
    fn forget_older(&mut self) {
        self.older.retain(|task| !task.in_history());
        let mut surplus = self.older.iter().filter(|task| task.is_settled()).count().saturating_sub(MAX_OLDER);
        self.older.retain(|task| {
            let forgotten = surplus > 0 && task.is_settled();
            surplus -= usize::from(forgotten);
            !forgotten
        });
    }
}

fn end<K: Kind>(task: &mut StoredTask<K>, event: Event, reason: String) {
    let state = next(task.status.state(), event);
    task.status.end(now_ms(), Some(reason));
    task.status.enter(state);
    task.status.refresh();
}

/// The task last started on each instance.
fn latest<K: Kind>(tasks: Vec<StoredTask<K>>) -> HashMap<u64, StoredTask<K>> {
    let mut latest: HashMap<u64, StoredTask<K>> = HashMap::new();
    for task in tasks {
        let known = latest.get(&task.instance);
        if known.is_none_or(|known| known.status.started_at() <= task.status.started_at()) {
            latest.insert(task.instance, task);
        }
    }
    latest
}

/// Six bytes for version-1 UUIDs: random ones with the multicast bit set, as RFC 9562 (section 6.10) asks of a host
/// that does not give away its hardware address.
fn node_id() -> [u8; 6] {
    static NODE: std::sync::OnceLock<[u8; 6]> = std::sync::OnceLock::new();
    *NODE.get_or_init(|| {
        let random = Uuid::new_v4().into_bytes();
        [random[0] | 1, random[1], random[2], random[3], random[4], random[5]]
    })
}
