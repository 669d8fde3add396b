//! Tasks on disk, so that an old id still answers after a restart and an unfinished task can be taken up again.

use std::collections::HashSet;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::kind::{Kind, Status as _};
use super::stored::StoredTask;
use crate::protocol::TaskState;
use crate::work::now_ms;

/// From task id to a [`StoredTask`], or to a [`StoredSummary`], as JSON.
type ById<'a> = TableDefinition<'a, &'static str, &'static [u8]>;
/// From task id and position to a finding as JSON: a page of a report reads no more than the page.
type ByPosition<'a> = TableDefinition<'a, (&'static str, u64), &'static [u8]>;

/// The history cannot be kept. Names the file.
#[derive(Debug, thiserror::Error)]
#[error("task history {}: {cause}", path.display())]
pub struct HistoryError {
    /// The database file.
    pub path: PathBuf,
    /// What went wrong.
    pub cause: String,
}

/// How much is remembered. Both hold for ended tasks; one that is not over is never dropped.
#[derive(Debug, Clone, Copy)]
pub struct HistoryLimits {
    /// At most so many tasks.
    pub max_tasks: usize,
    /// At most so long after their end.
    pub max_age: Duration,
}

/// What a task found, but for the findings themselves.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct StoredSummary<K: Kind> {
    pub summary: K::Summary,
    #[serde(rename = "differences")]
    pub findings: u64,
}

impl<K: Kind> Default for StoredSummary<K> {
    fn default() -> Self {
        Self { summary: K::Summary::default(), findings: 0 }
    }
}

/// What an ended task found.
pub(super) struct Findings<'a, K: Kind> {
    pub summary: &'a K::Summary,
    /// In the order in which a report has them.
    pub findings: &'a [K::Finding],
}

/// The embedded store of the tasks of one kind. All calls block.
#[derive(Debug)]
pub struct History<K: Kind> {
    path: PathBuf,
    database: Database,
    limits: HistoryLimits,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> History<K> {
    const TASKS: ById<'static> = TableDefinition::new(K::TABLES.tasks);
    const SUMMARIES: ById<'static> = TableDefinition::new(K::TABLES.summaries);
    const FINDINGS: ByPosition<'static> = TableDefinition::new(K::TABLES.findings);

    /// Opens or makes the store in `state_dir`, and drops what is beyond the limits.
    pub fn open(state_dir: &Path, limits: HistoryLimits) -> Result<Self, HistoryError> {
        let path = state_dir.join("tasks.redb");
        let failed = |cause: String| HistoryError { path: path.clone(), cause };
        std::fs::create_dir_all(state_dir).map_err(|error| failed(error.to_string()))?;
        let database = Database::create(&path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => failed("another twintree is using this state directory".to_owned()),
            error => failed(error.to_string()),
        })?;
        let history = Self { path: path.clone(), database, limits, kind: PhantomData };
        history.transact(|transaction| {
            transaction.open_table(Self::TASKS)?;
            transaction.open_table(Self::SUMMARIES)?;
            transaction.open_table(Self::FINDINGS)?;
            Ok(())
        })?;
        history.prune()?;
        Ok(history)
    }

    /// The database file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A task.
    pub(super) fn task(&self, id: &str) -> Result<Option<StoredTask<K>>, HistoryError> {
        self.get(Self::TASKS, id)
    }

    /// What a task found.
    pub(super) fn summary(&self, id: &str) -> Result<Option<StoredSummary<K>>, HistoryError> {
        self.get(Self::SUMMARIES, id)
    }

    /// Some of the findings of a task, from the position `offset` on.
    pub(super) fn findings(&self, id: &str, offset: u64, limit: u64) -> Result<Vec<K::Finding>, HistoryError> {
        let read = || -> Result<Vec<Vec<u8>>, redb::Error> {
            let table = self.database.begin_read()?.open_table(Self::FINDINGS)?;
            let page = table.range((id, offset)..(id, offset.saturating_add(limit)))?;
            page.map(|entry| Ok(entry?.1.value().to_vec())).collect()
        };
        let page = read().map_err(|error| self.failed(&error))?;
        page.iter().map(|bytes| serde_json::from_slice(bytes).map_err(|error| self.malformed(id, &error))).collect()
    }

    /// Keeps a task, and what it found once it has ended; what is beyond the limits is dropped.
    pub(super) fn keep(&self, task: &StoredTask<K>, found: Option<Findings<'_, K>>) -> Result<(), HistoryError> {
        let id = task.status.id();
        self.transact(|transaction| {
            // Our own values always serialise.
            let bytes = serde_json::to_vec(task).unwrap_or_default();
            transaction.open_table(Self::TASKS)?.insert(id, bytes.as_slice())?;
            let Some(Findings { summary, findings }) = found else { return Ok(()) };
            let stored = StoredSummary::<K> { summary: summary.clone(), findings: findings.len() as u64 };
            let bytes = serde_json::to_vec(&stored).unwrap_or_default();
            transaction.open_table(Self::SUMMARIES)?.insert(id, bytes.as_slice())?;
            let mut table = transaction.open_table(Self::FINDINGS)?;
            for (position, finding) in (0..).zip(findings) {
                let bytes = serde_json::to_vec(finding).unwrap_or_default();
                table.insert((id, position), bytes.as_slice())?;
            }
            Ok(())
        })?;
        self.prune()
    }

    /// Every task, in no order.
    pub(super) fn all(&self) -> Result<Vec<StoredTask<K>>, HistoryError> {
        let read = || -> Result<Vec<StoredTask<K>>, redb::Error> {
            let table = self.database.begin_read()?.open_table(Self::TASKS)?;
            let mut tasks = Vec::new();
            for entry in table.iter()? {
                let (id, bytes) = entry?;
                match serde_json::from_slice(bytes.value()) {
                    Ok(task) => tasks.push(task),
                    Err(error) => tracing::warn!(task = id.value(), %error, "a task of the history is not readable"),
                }
            }
            Ok(tasks)
        };
        read().map_err(|error| self.failed(&error))
    }

    fn prune(&self) -> Result<(), HistoryError> {
        let lives: Vec<Life> = self.all()?.iter().map(Life::of).collect();
        let doomed = beyond(&lives, self.limits, now_ms());
        if doomed.is_empty() {
            return Ok(());
        }
        self.transact(|transaction| {
            let mut tasks = transaction.open_table(Self::TASKS)?;
            let mut summaries = transaction.open_table(Self::SUMMARIES)?;
            let mut findings = transaction.open_table(Self::FINDINGS)?;
            for id in doomed.iter().map(String::as_str) {
                tasks.remove(id)?;
                summaries.remove(id)?;
                findings.retain_in((id, 0)..=(id, u64::MAX), |_, _| false)?;
            }
            Ok(())
        })
    }

    fn get<T: DeserializeOwned>(&self, table: ById<'_>, id: &str) -> Result<Option<T>, HistoryError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = self.database.begin_read()?.open_table(table)?;
            Ok(table.get(id)?.map(|bytes| bytes.value().to_vec()))
        };
        let bytes = read().map_err(|error| self.failed(&error))?;
        bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose().map_err(|error| self.malformed(id, &error))
    }

    fn transact(
        &self,
        change: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), HistoryError> {
        let write = || -> Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            change(&transaction)?;
            transaction.commit()?;
            Ok(())
        };
        write().map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &redb::Error) -> HistoryError {
        HistoryError { path: self.path.clone(), cause: error.to_string() }
    }

    fn malformed(&self, id: &str, error: &serde_json::Error) -> HistoryError {
        HistoryError { path: self.path.clone(), cause: format!("task {id}: {error}") }
    }
}

/// What decides how long a task is remembered.
#[derive(Debug, Clone)]
struct Life {
    id: String,
    state: TaskState,
    started_at: i64,
    ended_at: Option<i64>,
}

impl Life {
    fn of<K: Kind>(task: &StoredTask<K>) -> Self {
        let status = &task.status;
        let (state, started_at, ended_at) = (status.state(), status.started_at(), status.ended_at());
        Self { id: status.id().to_owned(), state, started_at, ended_at }
    }
}

/// The ids of the tasks that the limits do not allow any more. Pure.
fn beyond(tasks: &[Life], limits: HistoryLimits, now_ms: i64) -> HashSet<String> {
    let mut ended: Vec<&Life> = tasks.iter().filter(|task| task.state.is_final()).collect();
    ended.sort_by_key(|task| std::cmp::Reverse(task.started_at));
    let unfinished = tasks.len() - ended.len();
    let room = limits.max_tasks.max(1).saturating_sub(unfinished);
    let oldest = now_ms.saturating_sub(i64::try_from(limits.max_age.as_millis()).unwrap_or(i64::MAX));
    let is_old = |task: &Life| task.ended_at.is_some_and(|ended| ended < oldest);
    let doomed = ended.iter().enumerate().filter(|(position, task)| *position >= room || is_old(task));
    doomed.map(|(_, task)| task.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str, started_at: i64, ended_at: Option<i64>) -> Life {
        let state = if ended_at.is_some() { TaskState::Failed } else { TaskState::InProgress };
        Life { id: id.to_owned(), state, started_at, ended_at }
    }

    #[test]
    fn old_and_surplus_tasks_go_and_unfinished_ones_stay() {
        let tasks = [task("a", 10, Some(20)), task("b", 30, Some(40)), task("c", 50, Some(60)), task("u", 1, None)];
        let beyond = |max_tasks, max_age_ms, now| {
            let limits = HistoryLimits { max_tasks, max_age: Duration::from_millis(max_age_ms) };
            let mut ids: Vec<String> = beyond(&tasks, limits, now).into_iter().collect();
            ids.sort();
            ids.concat()
        };
        assert_eq!(beyond(4, 1000, 100), "");
        assert_eq!(beyond(3, 1000, 100), "a");
        assert_eq!(beyond(1, 1000, 100), "abc", "the one that is not over takes the only place");
        assert_eq!(beyond(9, 50, 100), "ab");
        assert_eq!(beyond(9, 60, 100), "a");
        assert_eq!(beyond(9, 0, 100), "abc");
    }
}
