//! Tasks on disk, so that an old id still answers after a restart and an unfinished task can be taken up again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde::{Deserialize, Serialize};

use super::now_ms;
use crate::model::Difference;
use crate::protocol::{DifferenceBody, ReportSummary, TaskRequest, TaskStatus};

/// From task id to a [`StoredTask`] as JSON.
const TASKS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("tasks");
/// From task id to a [`StoredSummary`] as JSON.
const SUMMARIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("summaries");
/// From task id and position to a [`DifferenceBody`] as JSON: a page of a report reads no more than the page.
const DIFFERENCES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("differences");

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

/// A task as the history keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTask {
    /// The instance it verifies.
    pub instance: u64,
    /// Where it stood when it was last written.
    pub status: TaskStatus,
    /// What was asked for.
    pub request: TaskRequest,
    /// How often it was taken up again after its service had died.
    pub restarts: u32,
}

/// What a task found, but for the differences.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct StoredSummary {
    pub summary: ReportSummary,
    pub differences: u64,
}

/// What an ended task found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Findings<'a> {
    pub summary: &'a ReportSummary,
    /// Ordered by root and path.
    pub differences: &'a [Difference],
}

/// The embedded store of tasks. All calls block.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    database: Database,
    limits: HistoryLimits,
}

impl History {
    /// Opens or makes the store in `state_dir`, and drops what is beyond the limits.
    pub fn open(state_dir: &Path, limits: HistoryLimits) -> Result<Self, HistoryError> {
        let path = state_dir.join("tasks.redb");
        let failed = |cause: String| HistoryError { path: path.clone(), cause };
        std::fs::create_dir_all(state_dir).map_err(|error| failed(error.to_string()))?;
        let database = Database::create(&path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => failed("another twintree is using this state directory".to_owned()),
            error => failed(error.to_string()),
        })?;
        let history = Self { path: path.clone(), database, limits };
        history.transact(|transaction| {
            transaction.open_table(TASKS)?;
            transaction.open_table(SUMMARIES)?;
            transaction.open_table(DIFFERENCES)?;
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
    pub(super) fn task(&self, id: &str) -> Result<Option<StoredTask>, HistoryError> {
        self.get(TASKS, id)
    }

    /// What a task found.
    pub(super) fn summary(&self, id: &str) -> Result<Option<StoredSummary>, HistoryError> {
        self.get(SUMMARIES, id)
    }

    /// Some of the differences a task found, from the position `offset` on.
    pub(super) fn differences(&self, id: &str, offset: u64, limit: u64) -> Result<Vec<DifferenceBody>, HistoryError> {
        let read = || -> Result<Vec<Vec<u8>>, redb::Error> {
            let table = self.database.begin_read()?.open_table(DIFFERENCES)?;
            let page = table.range((id, offset)..(id, offset.saturating_add(limit)))?;
            page.map(|entry| Ok(entry?.1.value().to_vec())).collect()
        };
        let page = read().map_err(|error| self.failed(&error))?;
        page.iter().map(|bytes| serde_json::from_slice(bytes).map_err(|error| self.malformed(id, &error))).collect()
    }

    /// Keeps a task, and what it found once it has ended; what is beyond the limits is dropped.
    pub(super) fn keep(&self, task: &StoredTask, findings: Option<Findings<'_>>) -> Result<(), HistoryError> {
        let id = task.status.id.as_str();
        self.transact(|transaction| {
            // Our own values always serialise.
            let bytes = serde_json::to_vec(task).unwrap_or_default();
            transaction.open_table(TASKS)?.insert(id, bytes.as_slice())?;
            let Some(Findings { summary, differences }) = findings else { return Ok(()) };
            let stored = StoredSummary { summary: summary.clone(), differences: differences.len() as u64 };
            let bytes = serde_json::to_vec(&stored).unwrap_or_default();
            transaction.open_table(SUMMARIES)?.insert(id, bytes.as_slice())?;
            let mut table = transaction.open_table(DIFFERENCES)?;
            for (position, difference) in (0..).zip(differences) {
                let bytes = serde_json::to_vec(&DifferenceBody::from(difference)).unwrap_or_default();
                table.insert((id, position), bytes.as_slice())?;
            }
            Ok(())
        })?;
        self.prune()
    }

    /// Every task, in no order.
    pub(super) fn all(&self) -> Result<Vec<StoredTask>, HistoryError> {
        let read = || -> Result<Vec<StoredTask>, redb::Error> {
            let table = self.database.begin_read()?.open_table(TASKS)?;
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
        let doomed = beyond(&self.all()?, self.limits, now_ms());
        if doomed.is_empty() {
            return Ok(());
        }
        self.transact(|transaction| {
            let mut tasks = transaction.open_table(TASKS)?;
            let mut summaries = transaction.open_table(SUMMARIES)?;
            let mut differences = transaction.open_table(DIFFERENCES)?;
            for id in doomed.iter().map(String::as_str) {
                tasks.remove(id)?;
                summaries.remove(id)?;
                differences.retain_in((id, 0)..=(id, u64::MAX), |_, _| false)?;
            }
            Ok(())
        })
    }

    fn get<T: serde::de::DeserializeOwned>(
        &self,
        table: TableDefinition<'_, &str, &[u8]>,
        id: &str,
    ) -> Result<Option<T>, HistoryError> {
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

/// The ids of the tasks that the limits do not allow any more. Pure.
fn beyond(tasks: &[StoredTask], limits: HistoryLimits, now_ms: i64) -> HashSet<String> {
    let mut ended: Vec<&StoredTask> = tasks.iter().filter(|task| task.status.state.is_final()).collect();
    ended.sort_by_key(|task| std::cmp::Reverse(task.status.started_at));
    let unfinished = tasks.len() - ended.len();
    let room = limits.max_tasks.max(1).saturating_sub(unfinished);
    let oldest = now_ms.saturating_sub(i64::try_from(limits.max_age.as_millis()).unwrap_or(i64::MAX));
    let is_old = |task: &StoredTask| task.status.ended_at.is_some_and(|ended| ended < oldest);
    let doomed = ended.iter().enumerate().filter(|(position, task)| *position >= room || is_old(task));
    doomed.map(|(_, task)| task.status.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Counters;
    use crate::protocol::{Progress, Protocol, TaskState};

    fn task(id: &str, started_at: i64, ended_at: Option<i64>) -> StoredTask {
        let state = if ended_at.is_some() { TaskState::Failed } else { TaskState::InProgress };
        let status = TaskStatus {
            id: id.to_owned(),
            digest_algorithm: "MD5".to_owned(),
            state,
            source: "s".to_owned(),
            port: 1,
            counters: Counters::default(),
            protocol: Protocol::Manifest,
            protocol_reason: None,
            progress: Progress::default(),
            started_at,
            ended_at,
            message: None,
        };
        let digest_algorithm = "MD5".to_owned();
        let request = TaskRequest { max_concurrency: 1, digest_algorithm, keep_going: false, keyspaces: None };
        StoredTask { instance: 1, status, request, restarts: 0 }
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
