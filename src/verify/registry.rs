//! All tasks of a service: at most one under way on each instance, the latest at hand, older ones in the history.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;

use super::blocking::blocking;
use super::counts::TaskCounts;
use super::history::{History, HistoryError, StoredTask};
use super::live::{CANCELLED, Task};
use super::now_ms;
use super::run::RunInput;
use super::state::{Event, next};
use super::supervise::{log_failure, supervise};
use super::unfinished::{Unfinished, becomes};
use crate::protocol::{DifferenceBody, ReportSummary, TaskRequest, TaskStatus};

/// A task is under way on the instance already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Another files digest verification is in progress for instance={0}")]
pub struct InstanceBusy(pub u64);

/// Why a task was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Another one is under way.
    #[error(transparent)]
    Busy(#[from] InstanceBusy),
    /// The service stops.
    #[error("the service is stopping, please try again later")]
    Stopping,
}

/// A task with one page of what it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskReport {
    /// Where it stands.
    pub status: TaskStatus,
    /// What its report says besides.
    pub summary: ReportSummary,
    /// How many differences there are in all; none while it is under way.
    pub differences_total: u64,
    /// The page.
    pub differences: Vec<DifferenceBody>,
}

/// The tasks of a service. Clones share them.
#[derive(Debug, Clone)]
pub struct Tasks {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    live: Mutex<Live>,
    history: Option<Arc<History>>,
    unfinished: Unfinished,
    counts: Arc<Mutex<TaskCounts>>,
}

#[derive(Debug, Default)]
struct Live {
    /// The latest task this process started on each instance.
    latest: HashMap<u64, Arc<Task>>,
    /// The latest task of earlier processes.
    before: HashMap<u64, StoredTask>,
    /// Those of them, and of others before them, that nobody has taken up yet.
    unfinished: Vec<StoredTask>,
    /// Older tasks that no history holds: there is none, or it is not written yet, or cannot be; oldest first.
    older: Vec<Arc<Task>>,
    /// No task is started any more.
    stopping: bool,
}

/// How many older tasks are kept in memory.
const MAX_OLDER: usize = 100;

impl Tasks {
    /// The tasks with the history, where the service keeps one.
    pub fn new(history: Option<History>, unfinished: Unfinished) -> Result<Self, HistoryError> {
        let all = history.as_ref().map(History::all).transpose()?.unwrap_or_default();
        let unfinished_tasks = all.iter().filter(|task| !task.status.state.is_final()).cloned().collect();
        let live = Mutex::new(Live { before: latest(all), unfinished: unfinished_tasks, ..Live::default() });
        Ok(Self { inner: Arc::new(Inner { live, history: history.map(Arc::new), unfinished, counts: Arc::default() }) })
    }

    /// Starts a task unless one is under way on the instance. Must be called within a tokio runtime.
    pub fn start(
        &self,
        instance: u64,
        request: TaskRequest,
        source: (String, u16),
        input: RunInput,
    ) -> Result<Arc<Task>, StartError> {
        let id = Uuid::now_v1(&node_id()).to_string();
        self.launch(Task::new(id, instance, request, source, self.resumable()), input)
    }

    /// The tasks that were under way when the last service stopped; each is handed out once, for [`Tasks::take_up`].
    pub fn unfinished(&self) -> Vec<StoredTask> {
        std::mem::take(&mut self.live().unfinished)
    }

    /// Begins an unfinished task anew under its id, or ends it with the reason. `input` is what it needs to run, or what
    /// stands in its way. Must be called within a tokio runtime.
    pub async fn take_up(&self, task: StoredTask, input: Result<RunInput, String>) {
        let (id, instance) = (task.status.id.clone(), task.instance);
        let before = self.live().before.get(&instance).filter(|latest| latest.status.id == id).cloned();
        if before.as_ref().is_some_and(|before| before.status.state.is_final()) {
            // Cancelled while it waited.
            return;
        }
        let is_latest = before.is_some();
        let obstacle = match (&input, is_latest) {
            (Err(obstacle), _) => Some(obstacle.as_str()),
            (Ok(_), false) => Some("a later task took its place"),
            (Ok(_), true) => None,
        };
        let reason = match (becomes(&task, self.inner.unfinished, obstacle), input) {
            (Ok(()), Ok(input)) => {
                tracing::info!(task = id, "an unfinished task is taken up again");
                match self.launch(Task::again(task.clone(), self.resumable()), input) {
                    // A service that stops already leaves it to the next one.
                    Ok(_) | Err(StartError::Stopping) => return,
                    Err(error) => error.to_string(),
                }
            }
            (Ok(()), Err(obstacle)) | (Err(obstacle), _) => obstacle,
        };
        tracing::warn!(task = id, reason, "an unfinished task has failed");
        self.close(task, Event::ServiceStopped, reason).await;
    }

    /// Cancels a task that was under way when the last service stopped and that nobody has taken up again yet.
    pub async fn cancel_waiting(&self, instance: u64, id: &str) -> Option<TaskStatus> {
        let waits = |task: &&StoredTask| task.status.id == id && !task.status.state.is_final();
        let task = self.live().before.get(&instance).filter(waits).cloned()?;
        Some(self.close(task, Event::Cancelled, CANCELLED.to_owned()).await)
    }

    async fn close(&self, mut task: StoredTask, event: Event, reason: String) -> TaskStatus {
        task.status.state = next(task.status.state, event);
        task.status.message = Some(reason);
        task.status.ended_at = Some(now_ms());
        {
            let mut live = self.live();
            if let Some(latest) =
                live.before.get_mut(&task.instance).filter(|latest| latest.status.id == task.status.id)
            {
                *latest = task.clone();
            }
        }
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

    fn launch(&self, task: Task, input: RunInput) -> Result<Arc<Task>, StartError> {
        let task = Arc::new(task);
        self.live().admit(&task)?;
        let counts = Arc::clone(&self.inner.counts);
        counts.lock().started += 1;
        counts.lock().under_way += 1;
        tokio::spawn(supervise(Arc::clone(&task), input, self.inner.history.clone(), counts));
        Ok(task)
    }

    /// What all tasks came to since the service started.
    pub fn counts(&self) -> TaskCounts {
        self.inner.counts.lock().clone()
    }

    /// The status of the latest task of an instance.
    pub fn latest(&self, instance: u64) -> Option<TaskStatus> {
        let live = self.live();
        let status = live.latest.get(&instance).map(|task| task.status());
        status.or_else(|| live.before.get(&instance).map(|task| task.status.clone()))
    }

    /// The statuses of all tasks of an instance that are still known, newest first.
    pub async fn all(&self, instance: u64) -> Result<Vec<TaskStatus>, HistoryError> {
        let stored = self.in_history(|history| history.all().map(Some)).await?.unwrap_or_default();
        let stored = stored.into_iter().filter(|task| task.instance == instance).map(|task| task.status);
        let mut statuses: HashMap<String, TaskStatus> = stored.map(|status| (status.id.clone(), status)).collect();
        {
            let live = self.live();
            let before = live.before.get(&instance).map(|task| task.status.clone());
            let known = live.latest.values().chain(&live.older).filter(|task| task.instance == instance);
            statuses.extend(before.into_iter().chain(known.map(|task| task.status())).map(|s| (s.id.clone(), s)));
        }
        let mut statuses: Vec<TaskStatus> = statuses.into_values().collect();
        statuses.sort_by(|a, b| (b.started_at, &b.id).cmp(&(a.started_at, &a.id)));
        Ok(statuses)
    }

    /// The status of any task of an instance.
    pub async fn status(&self, instance: u64, id: &str) -> Result<Option<TaskStatus>, HistoryError> {
        if let Some(task) = self.task(instance, id) {
            return Ok(Some(task.status()));
        }
        if let Some(before) = self.live().before.get(&instance).filter(|task| task.status.id == id) {
            return Ok(Some(before.status.clone()));
        }
        let id = id.to_owned();
        let stored = self.in_history(move |history| history.task(&id)).await?;
        Ok(stored.filter(|task| task.instance == instance).map(|task| task.status))
    }

    /// A task of an instance with some of its differences, from the position `offset` on.
    pub async fn report(
        &self,
        instance: u64,
        id: &str,
        (offset, limit): (u64, u64),
    ) -> Result<Option<TaskReport>, HistoryError> {
        if let Some(task) = self.task(instance, id) {
            return Ok(Some(live_report(&task, offset, limit)));
        }
        let Some(status) = self.status(instance, id).await? else { return Ok(None) };
        let id = id.to_owned();
        self.in_history(move |history| {
            let stored = history.summary(&id)?.unwrap_or_default();
            let differences = history.differences(&id, offset, limit)?;
            let (summary, differences_total) = (stored.summary, stored.differences);
            Ok(Some(TaskReport { status, summary, differences_total, differences }))
        })
        .await
    }

    /// A task of this process.
    pub fn task(&self, instance: u64, id: &str) -> Option<Arc<Task>> {
        let live = self.live();
        let mut known = live.latest.values().chain(&live.older);
        known.find(|task| task.instance == instance && task.status().id == id).cloned()
    }

    /// Ends every task under way, because the service stops, and waits until they have ended and stand in the history.
    pub async fn stop_all(&self) {
        let running: Vec<Arc<Task>> = {
            let mut live = self.live();
            live.stopping = true;
            live.latest.values().cloned().collect()
        };
        running.iter().for_each(|task| task.stop.cancel());
        for task in running {
            task.settled().await;
        }
    }

    async fn in_history<T: Send + 'static>(
        &self,
        read: impl FnOnce(&History) -> Result<Option<T>, HistoryError> + Send + 'static,
    ) -> Result<Option<T>, HistoryError> {
        let Some(history) = self.inner.history.clone() else { return Ok(None) };
        let path = history.path().to_owned();
        blocking(move || read(&history))
            .await
            .unwrap_or_else(|died| Err(HistoryError { path, cause: died.to_string() }))
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.inner.live.lock()
    }
}

impl Live {
    /// Takes a task in as the latest of its instance.
    fn admit(&mut self, task: &Arc<Task>) -> Result<(), StartError> {
        let instance = task.instance;
        if self.stopping {
            return Err(StartError::Stopping);
        }
        let running = self.latest.get(&instance).is_some_and(|task| !task.status().state.is_final());
        // One that waits to be taken up again is under way, too, unless this is it.
        let id = task.status().id;
        let waits = |before: &StoredTask| !before.status.state.is_final() && before.status.id != id;
        if running || self.before.get(&instance).is_some_and(waits) {
            return Err(InstanceBusy(instance).into());
        }
        self.before.remove(&instance);
        if let Some(replaced) = self.latest.insert(instance, Arc::clone(task)) {
            self.older.push(replaced);
            self.older.retain(|task| !task.in_history());
            let surplus = self.older.len().saturating_sub(MAX_OLDER);
            self.older.drain(..surplus);
        }
        Ok(())
    }
}

/// The task last started on each instance.
fn latest(tasks: Vec<StoredTask>) -> HashMap<u64, StoredTask> {
    let mut latest: HashMap<u64, StoredTask> = HashMap::new();
    for task in tasks {
        let known = latest.get(&task.instance);
        if known.is_none_or(|known| known.status.started_at <= task.status.started_at) {
            latest.insert(task.instance, task);
        }
    }
    latest
}

fn live_report(task: &Task, offset: u64, limit: u64) -> TaskReport {
    let outcome = task.outcome();
    let differences = outcome.as_ref().map_or(&[][..], |outcome| &outcome.differences);
    let page = differences.iter().skip(offset as usize).take(limit as usize);
    TaskReport {
        status: task.status(),
        summary: task.summary(),
        differences_total: differences.len() as u64,
        differences: page.map(DifferenceBody::from).collect(),
    }
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
