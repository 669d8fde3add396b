//! What a comparison came to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::manifest::RollupState;
use crate::model::{Counters, Verdict};
use crate::protocol::{ReportBody, TaskState};

/// How a comparison ended. The order is that of a reader's interest, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// At least one entry is missing or other.
    Different,
    /// The service was not reached, or did not answer, as long as it was tried.
    Unreachable,
    /// No difference was found, but something could not be checked.
    Unverified,
    /// There was not a single file to compare.
    NothingCompared,
    /// Somebody cancelled the task at its destination.
    Cancelled,
    /// Every entry was compared and is the same.
    Equal,
}

impl Ending {
    /// All of them, the worst first.
    pub const ALL: [Self; 6] =
        [Self::Different, Self::Unreachable, Self::Unverified, Self::NothingCompared, Self::Cancelled, Self::Equal];

    /// The name in every output, as serde writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Different => "different",
            Self::Unreachable => "unreachable",
            Self::Unverified => "unverified",
            Self::NothingCompared => "nothing-compared",
            Self::Cancelled => "cancelled",
            Self::Equal => "equal",
        }
    }

    /// In a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Self::NothingCompared => "with nothing to compare",
            other => other.name(),
        }
    }

    /// Whether nothing is known of what was to be compared, neither equality nor a difference.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Equal | Self::Different)
    }

    /// Of a task that has ended. One that failed without a difference could not check something.
    pub fn of_task(state: TaskState, counters: &Counters) -> Self {
        match (state, Verdict::of(counters)) {
            (TaskState::Cancelled, _) => Self::Cancelled,
            (TaskState::Completed, verdict) => verdict.into(),
            (_, Verdict::Different) => Self::Different,
            _ => Self::Unverified,
        }
    }
}

impl From<Verdict> for Ending {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Equal => Self::Equal,
            Verdict::NothingCompared => Self::NothingCompared,
            Verdict::Different => Self::Different,
            Verdict::Unverified => Self::Unverified,
        }
    }
}

/// A comparison that has ended: what every output says of it, and what the state file keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// Its name in the plan.
    pub name: String,
    /// What was compared in which way; see [`super::Comparison::fingerprint`].
    pub fingerprint: String,
    /// How it ended.
    pub outcome: Ending,
    /// The headline of its result, or why there is none.
    pub message: String,
    /// Epoch milliseconds of its first try.
    pub began_at: i64,
    /// Epoch milliseconds.
    pub ended_at: i64,
    /// How long it was worked on, waits between tries left out, in milliseconds.
    pub worked_ms: u64,
    /// How often it was tried.
    pub tries: u32,
    /// The task at its destination, where it has one.
    pub task: Option<String>,
    /// Where its whole report stands, below the directory of reports.
    pub page: Option<String>,
    /// What its keyspaces came to; roots without keyspaces stand under the kind of root in parentheses.
    pub keyspaces: BTreeMap<String, RollupState>,
    /// Keyspaces and tables in which not everything is equal, beyond those that stand in the result.
    pub rollups_left_out: u64,
    /// Its result with the first of its differences, and with the sums of keyspaces and tables in which not everything is equal; null where
    /// there is none.
    pub result: Option<Box<ReportBody>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_serde_and_the_worst_comes_first() {
        for ending in Ending::ALL {
            assert_eq!(serde_json::to_value(ending).unwrap(), ending.name());
        }
        assert!(Ending::ALL.is_sorted());
    }

    #[test]
    fn a_failed_task_without_a_difference_is_unverified_and_nothing_is_not_equal() {
        let matched = Counters { files_matched: 3, metadata_matched: 3, ..Counters::default() };
        let differing = Counters { digest_mismatches: 1, digest_verification_failures: 2, ..matched };
        let of = Ending::of_task;
        assert_eq!(of(TaskState::Completed, &matched), Ending::Equal);
        assert_eq!(of(TaskState::Completed, &Counters::default()), Ending::NothingCompared);
        assert_eq!(of(TaskState::Failed, &matched), Ending::Unverified);
        assert_eq!(of(TaskState::Failed, &differing), Ending::Different);
        assert_eq!(of(TaskState::Cancelled, &differing), Ending::Cancelled);
        assert_eq!(of(TaskState::InProgress, &matched), Ending::Unverified, "not over is not equal");
    }
}
