//! Finished tasks on disk, so that an old id still answers after a restart.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde::{Deserialize, Serialize};

use super::live::SERVICE_STOPPED;
use super::now_ms;
use super::state::{Event, next};
use crate::protocol::{DifferenceBody, TaskStatus};

/// From task id to a [`StoredTask`] as JSON.
const TASKS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("tasks");
/// From task id to a [`StoredFindings`] as JSON.
const FINDINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("findings");

/// The history cannot be kept. Names the file.
#[derive(Debug, thiserror::Error)]
#[error("task history {}: {cause}", path.display())]
pub struct HistoryError {
    /// The database file.
    pub path: PathBuf,
    /// What went wrong.
    pub cause: String,
}

/// A task as the history keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredTask {
    pub instance: u64,
    pub status: TaskStatus,
}

/// What a task found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StoredFindings {
    /// Facts that change no counter and no state.
    pub notes: Vec<String>,
    /// Every difference, ordered by root and path.
    pub differences: Vec<DifferenceBody>,
}

/// The embedded store of tasks. All calls block.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    database: Database,
    max_tasks: usize,
}

impl History {
    /// Opens or makes the store in `state_dir`. Tasks that were under way when the service stopped are marked FAILED.
    pub fn open(state_dir: &Path, max_tasks: usize) -> Result<Self, HistoryError> {
        let path = state_dir.join("tasks.redb");
        let failed = |cause: String| HistoryError { path: path.clone(), cause };
        std::fs::create_dir_all(state_dir).map_err(|error| failed(error.to_string()))?;
        let database = Database::create(&path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => failed("another twintree is using this state directory".to_owned()),
            error => failed(error.to_string()),
        })?;
        let history = Self { path: path.clone(), database, max_tasks };
        history.transact(|transaction| {
            transaction.open_table(TASKS)?;
            transaction.open_table(FINDINGS)?;
            Ok(())
        })?;
        history.close_unfinished()?;
        Ok(history)
    }

    /// The database file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The task last started on each instance.
    pub(super) fn latest(&self) -> Result<HashMap<u64, StoredTask>, HistoryError> {
        let mut latest: HashMap<u64, StoredTask> = HashMap::new();
        for task in self.all()? {
            let newest =
                latest.get(&task.instance).is_none_or(|known| known.status.started_at <= task.status.started_at);
            if newest {
                latest.insert(task.instance, task);
            }
        }
        Ok(latest)
    }

    /// A task.
    pub(super) fn task(&self, id: &str) -> Result<Option<StoredTask>, HistoryError> {
        self.get(TASKS, id)
    }

    /// What a task found.
    pub(super) fn findings(&self, id: &str) -> Result<Option<StoredFindings>, HistoryError> {
        self.get(FINDINGS, id)
    }

    /// Keeps a task, and what it found once it has ended; the oldest ones beyond the limit are dropped.
    pub(super) fn keep(&self, task: &StoredTask, findings: Option<&StoredFindings>) -> Result<(), HistoryError> {
        let mut tasks = self.all()?;
        tasks.retain(|known| known.status.id != task.status.id);
        tasks.sort_by_key(|known| known.status.started_at);
        let surplus = (tasks.len() + 1).saturating_sub(self.max_tasks.max(1));
        self.transact(|transaction| {
            let mut statuses = transaction.open_table(TASKS)?;
            let mut all_findings = transaction.open_table(FINDINGS)?;
            for old in &tasks[..surplus] {
                statuses.remove(old.status.id.as_str())?;
                all_findings.remove(old.status.id.as_str())?;
            }
            // Our own values always serialise.
            let bytes = serde_json::to_vec(task).unwrap_or_default();
            statuses.insert(task.status.id.as_str(), bytes.as_slice())?;
            if let Some(findings) = findings {
                let bytes = serde_json::to_vec(findings).unwrap_or_default();
                all_findings.insert(task.status.id.as_str(), bytes.as_slice())?;
            }
            Ok(())
        })
    }

    fn close_unfinished(&self) -> Result<(), HistoryError> {
        for mut task in self.all()? {
            if !task.status.state.is_final() {
                task.status.state = next(task.status.state, Event::ServiceStopped);
                task.status.message = Some(SERVICE_STOPPED.to_owned());
                task.status.ended_at = Some(now_ms());
                self.keep(&task, None)?;
            }
        }
        Ok(())
    }

    fn all(&self) -> Result<Vec<StoredTask>, HistoryError> {
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
        bytes
            .map(|bytes| serde_json::from_slice(&bytes))
            .transpose()
            .map_err(|error| HistoryError { path: self.path.clone(), cause: format!("task {id}: {error}") })
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
}
