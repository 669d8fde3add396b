//! A task with one page of what it found, whether it is at hand or in the history.

use super::kind::Kind;
use super::live::Task;

/// A task with one page of what it found.
#[derive(Debug)]
pub struct TaskReport<K: Kind> {
    /// Where it stands.
    pub status: K::Status,
    /// What its report says besides.
    pub summary: K::Summary,
    /// How many findings there are in all; none while it is under way.
    pub findings_total: u64,
    /// The page.
    pub findings: Vec<K::Finding>,
}

impl<K: Kind> TaskReport<K> {
    /// The report of a task at hand: at most `limit` findings from the position `offset` on.
    pub(super) fn of(task: &Task<K>, (offset, limit): (u64, u64)) -> Self {
        // First the status: findings are there before it is final.
        let status = task.status();
        let findings = task.findings();
        let page = findings.iter().skip(usize::try_from(offset).unwrap_or(usize::MAX));
        Self {
            status,
            summary: task.summary(),
            findings_total: findings.len() as u64,
            findings: page.take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect(),
        }
    }
}
