//! How a task stands in its file: one record with its own check, bound to the task's id. Pure.

use serde::{Deserialize, Serialize};

use super::kind::{Kind, Status as _};
use super::stored::StoredTask;
use crate::store::{Fault, PageTable, Place, record, unpack};

/// What the record of a task says it is.
const TASK: u8 = 1;

/// A task and what it came to, as its file holds them.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct TaskRecord<K: Kind> {
    pub task: StoredTask<K>,
    /// Of a task that has ended and left a report.
    pub report: Option<ReportRecord<K>>,
}

/// What a report says besides the findings, and where those stand.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct ReportRecord<K: Kind> {
    pub summary: K::Summary,
    pub findings: PageTable,
}

/// Why a file holds no task of this id.
#[derive(Debug, thiserror::Error)]
pub(super) enum BrokenRecord {
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The medium, or the file system.
    #[error("it cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// Its check passes, so it is what was written, by a program that had other fields.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl<K: Kind> TaskRecord<K> {
    pub(super) fn bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        Ok(record(place(self.task.status.id()), &serde_json::to_vec(self)?))
    }

    pub(super) fn read(id: &str, bytes: &[u8]) -> Result<Self, BrokenRecord> {
        let (body, rest) = unpack(place(id), bytes)?;
        let record: Self = serde_json::from_slice(body)?;
        if rest.is_empty() && record.task.status.id() == id { Ok(record) } else { Err(Fault::Damaged.into()) }
    }
}

fn place(id: &str) -> Place<'_> {
    Place { owner: id, kind: TASK, position: 0 }
}
