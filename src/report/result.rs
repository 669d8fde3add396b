//! The one JSON object that a command with `--json` prints.

use serde::{Deserialize, Serialize};

use crate::model::{Counters, Outcome, Verdict};
use crate::protocol::{DifferenceBody, ReadBody, ReportBody, TaskState};

/// State, the seven counters under the Sidecar's names, and the differences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultBody {
    /// As a task would end.
    pub state: TaskState,
    /// The seven counters.
    #[serde(flatten)]
    pub counters: Counters,
    /// Why it failed or was cancelled; null otherwise.
    pub message: Option<String>,
    /// Facts that change no counter and no state.
    pub notes: Vec<String>,
    /// Every difference.
    pub differences: Vec<DifferenceBody>,
    /// What was read on both sides, where that is known. Not part of the JSON.
    #[serde(skip)]
    pub read: ReadBody,
}

impl From<&Outcome> for ResultBody {
    fn from(outcome: &Outcome) -> Self {
        let state = match outcome.verdict() {
            Verdict::Equal | Verdict::NothingCompared => TaskState::Completed,
            Verdict::Different | Verdict::Unverified => TaskState::Failed,
        };
        Self {
            state,
            counters: outcome.counters,
            message: outcome.summary(),
            notes: outcome.notes.clone(),
            differences: outcome.differences.iter().map(DifferenceBody::from).collect(),
            read: ReadBody::default(),
        }
    }
}

impl From<ReportBody> for ResultBody {
    fn from(report: ReportBody) -> Self {
        Self {
            state: report.status.state,
            counters: report.status.counters,
            message: report.status.message,
            read: report.summary.read,
            notes: report.summary.notes,
            differences: report.differences,
        }
    }
}
