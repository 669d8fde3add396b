//! What the tasks of a service came to, all together, since it started.

use std::collections::BTreeMap;

use crate::model::DifferenceKind;
use crate::protocol::TaskState;

use super::live::Task;

/// Sums over all tasks of a service since it started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskCounts {
    /// Tasks started, or taken up again.
    pub started: u64,
    /// Tasks that have not ended.
    pub under_way: u64,
    /// Tasks that ended, by state.
    pub ended: Vec<(TaskState, u64)>,
    /// Differences they found, by kind.
    pub differences: BTreeMap<DifferenceKind, u64>,
    /// Requests they sent to sources.
    pub source_requests: u64,
}

impl TaskCounts {
    /// Counts a task that has ended.
    pub(super) fn add(&mut self, task: &Task) {
        let status = task.status();
        if !status.state.is_final() {
            // The service stops, and the next one takes the task up again.
            return;
        }
        match self.ended.iter_mut().find(|(state, _)| *state == status.state) {
            Some((_, count)) => *count += 1,
            None => self.ended.push((status.state, 1)),
        }
        self.source_requests += status.progress.source_requests;
        for difference in task.outcome().iter().flat_map(|outcome| &outcome.differences) {
            *self.differences.entry(difference.kind).or_default() += 1;
        }
    }
}
