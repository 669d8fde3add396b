//! What the tasks of a service came to, all together, since it started.

use super::job::Job;
use super::kind::Status as _;
use super::live::Task;
use crate::protocol::TaskState;

/// Sums over all tasks of one kind since the service started.
#[derive(Debug, Clone, Default)]
pub struct TaskCounts<T> {
    /// Tasks started, or taken up again.
    pub started: u64,
    /// Tasks that have not ended.
    pub under_way: u64,
    /// Tasks that ended, by state.
    pub ended: Vec<(TaskState, u64)>,
    /// What the kind sums up of those that ended.
    pub totals: T,
}

impl<T> TaskCounts<T> {
    /// Counts a task that is no longer under way.
    pub(super) fn add<K: Job<Totals = T>>(&mut self, task: &Task<K>) {
        self.under_way -= 1;
        let state = task.status().state();
        if !state.is_final() {
            // The service stops, and the next one takes the task up again.
            return;
        }
        match self.ended.iter_mut().find(|(known, _)| *known == state) {
            Some((_, count)) => *count += 1,
            None => self.ended.push((state, 1)),
        }
        K::count(&mut self.totals, task);
    }
}
