//! All tasks of a service: at most one under way on each instance, the latest at hand, older ones in the history.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use uuid::Uuid;

use super::blocking::blocking;
use super::history::{History, HistoryError, StoredFindings, StoredTask};
use super::live::Task;
use super::run::{RunInput, run};
use crate::protocol::{DifferenceBody, TaskRequest, TaskStatus};

/// A task is under way on the instance already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Another files digest verification is in progress for instance={0}")]
pub struct InstanceBusy(pub u64);

/// The tasks of a service. Clones share them.
#[derive(Debug, Clone)]
pub struct Tasks {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    live: Mutex<Live>,
    history: Option<Arc<History>>,
}

#[derive(Debug, Default)]
struct Live {
    /// The latest task this process started on each instance.
    latest: HashMap<u64, Arc<Task>>,
    /// The latest task of earlier processes.
    before: HashMap<u64, StoredTask>,
    /// Older tasks that no history holds: there is none, or it is not written yet, or cannot be; oldest first.
    older: Vec<Arc<Task>>,
}

/// How many older tasks are kept in memory.
const MAX_OLDER: usize = 100;

impl Tasks {
    /// The tasks with the history, where the service keeps one.
    pub fn new(history: Option<History>) -> Result<Self, HistoryError> {
        let before = history.as_ref().map(History::latest).transpose()?.unwrap_or_default();
        let live = Mutex::new(Live { before, ..Live::default() });
        Ok(Self { inner: Arc::new(Inner { live, history: history.map(Arc::new) }) })
    }

    /// Starts a task unless one is under way on the instance. Must be called within a tokio runtime.
    pub fn start(
        &self,
        instance: u64,
        request: TaskRequest,
        source: (String, u16),
        input: RunInput,
    ) -> Result<Arc<Task>, InstanceBusy> {
        let id = Uuid::now_v1(&node_id()).to_string();
        let task = Arc::new(Task::new(id, instance, request, source.0, source.1));
        {
            let mut live = self.live();
            let running = live.latest.get(&instance).is_some_and(|task| !task.status().state.is_final());
            if running {
                return Err(InstanceBusy(instance));
            }
            if let Some(replaced) = live.latest.insert(instance, Arc::clone(&task)) {
                live.older.push(replaced);
                live.older.retain(|task| !task.in_history());
                let surplus = live.older.len().saturating_sub(MAX_OLDER);
                live.older.drain(..surplus);
            }
        }
        tokio::spawn(supervise(Arc::clone(&task), input, self.inner.history.clone()));
        Ok(task)
    }

    /// The status of the latest task of an instance.
    pub fn latest(&self, instance: u64) -> Option<TaskStatus> {
        let live = self.live();
        let status = live.latest.get(&instance).map(|task| task.status());
        status.or_else(|| live.before.get(&instance).map(|task| task.status.clone()))
    }

    /// The status of any task of an instance.
    pub async fn status(&self, instance: u64, id: &str) -> Result<Option<TaskStatus>, HistoryError> {
        if let Some(task) = self.task(instance, id) {
            return Ok(Some(task.status()));
        }
        let id = id.to_owned();
        let stored = self.in_history(move |history| history.task(&id)).await?;
        Ok(stored.filter(|task| task.instance == instance).map(|task| task.status))
    }

    /// What a task of an instance found; empty while it is under way and where it broke.
    pub async fn findings(&self, instance: u64, id: &str) -> Result<Option<StoredFindings>, HistoryError> {
        if let Some(task) = self.task(instance, id) {
            return Ok(Some(findings(&task).unwrap_or_default()));
        }
        let id = id.to_owned();
        self.in_history(move |history| match history.task(&id)?.is_some_and(|task| task.instance == instance) {
            true => Ok(Some(history.findings(&id)?.unwrap_or_default())),
            false => Ok(None),
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
        let running: Vec<Arc<Task>> = self.live().latest.values().cloned().collect();
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
        self.inner.live.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Whatever happens in there, a verification must not stay under way for ever: its instance would take no other.
async fn supervise(task: Arc<Task>, input: RunInput, history: Option<Arc<History>>) {
    if let Err(died) = tokio::spawn(run_and_keep(Arc::clone(&task), input, history)).await {
        task.fail(format!("internal error: {died}"), task.status().progress);
        task.settle(false);
    }
}

/// The task's log lines carry its id. A history that cannot be written is said in the log: the verdict itself is not
/// lost, the service still answers for it.
async fn run_and_keep(task: Arc<Task>, input: RunInput, history: Option<Arc<History>>) {
    use tracing::Instrument as _;
    let id = task.status().id;
    let span = tracing::info_span!("task", task = %id, instance = task.instance);
    async {
        let _ = keep(&task, None, history.clone()).await;
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
        let kept = keep(&task, findings(&task), history).await;
        task.settle(kept);
    }
    .instrument(span)
    .await;
}

/// Whether the history has the task now.
async fn keep(task: &Task, findings: Option<StoredFindings>, history: Option<Arc<History>>) -> bool {
    let Some(history) = history else { return false };
    let stored = StoredTask { instance: task.instance, status: task.status() };
    match blocking(move || history.keep(&stored, findings.as_ref())).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::error!(%error, "the task was not written to the history"),
        Err(error) => tracing::error!(%error, "the task was not written to the history"),
    }
    false
}

fn findings(task: &Task) -> Option<StoredFindings> {
    let outcome = task.outcome()?;
    let differences = outcome.differences.iter().map(DifferenceBody::from).collect();
    Some(StoredFindings { notes: outcome.notes.clone(), differences })
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
