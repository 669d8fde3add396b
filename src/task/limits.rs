//! How many tasks are remembered, and for how long. Pure.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::kind::{Kind, Status as _};
use super::stored::StoredTask;
use crate::protocol::TaskState;

/// The most that ended tasks may take in memory, in bytes, reports left out. A thousand ordinary ones take a tenth of it; those of a
/// client that names thousands of tables in each would take everything.
pub(super) const MOST_BYTES: u64 = 64 << 20;

/// How much is remembered. Both hold for ended tasks; one that is not over is never dropped, and neither is the latest of an
/// instance, whose status clients ask for without its id.
#[derive(Debug, Clone, Copy)]
pub struct HistoryLimits {
    /// At most so many tasks.
    pub max_tasks: usize,
    /// At most so long after their end.
    pub max_age: Duration,
}

/// What decides how long a task is remembered.
#[derive(Debug, Clone)]
pub(super) struct Life {
    id: String,
    instance: u64,
    state: TaskState,
    started_at: i64,
    ended_at: Option<i64>,
    /// What it takes in memory.
    bytes: u64,
}

impl Life {
    pub(super) fn of<K: Kind>(task: &StoredTask<K>, bytes: u64) -> Self {
        let status = &task.status;
        let (state, started_at, ended_at) = (status.state(), status.started_at(), status.ended_at());
        Self { id: status.id().to_owned(), instance: task.instance, state, started_at, ended_at, bytes }
    }
}

/// The ids of the tasks to drop: those beyond the limits, but for the latest of each instance. Pure.
pub(super) fn to_drop(tasks: &[Life], limits: HistoryLimits, now_ms: i64) -> HashSet<String> {
    let mut doomed = beyond(tasks, limits, now_ms);
    let mut latest: HashMap<u64, &Life> = HashMap::new();
    // Of those that started at once, the one that the limits leave.
    let rank = |task: &Life| (!task.state.is_final(), task.started_at, !doomed.contains(&task.id));
    for task in tasks {
        let known = latest.entry(task.instance).or_insert(task);
        if rank(task) > rank(known) {
            *known = task;
        }
    }
    for task in latest.into_values() {
        doomed.remove(&task.id);
    }
    doomed
}

/// The ids of the tasks that the limits do not allow any more.
fn beyond(tasks: &[Life], limits: HistoryLimits, now_ms: i64) -> HashSet<String> {
    let mut ended: Vec<&Life> = tasks.iter().filter(|task| task.state.is_final()).collect();
    ended.sort_by_key(|task| std::cmp::Reverse(task.started_at));
    let unfinished = tasks.len() - ended.len();
    let room = limits.max_tasks.max(1).saturating_sub(unfinished);
    let oldest = now_ms.saturating_sub(i64::try_from(limits.max_age.as_millis()).unwrap_or(i64::MAX));
    let is_old = |task: &Life| task.ended_at.is_some_and(|ended| ended < oldest);
    let mut bytes = 0;
    let doomed = ended.iter().enumerate().filter(|(position, task)| {
        bytes += task.bytes;
        *position >= room || is_old(task) || bytes > MOST_BYTES
    });
    doomed.map(|(_, task)| task.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str, started_at: i64, ended_at: Option<i64>) -> Life {
        let state = if ended_at.is_some() { TaskState::Failed } else { TaskState::InProgress };
        Life { id: id.to_owned(), instance: 1, state, started_at, ended_at, bytes: MOST_BYTES / 4 }
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

    #[test]
    fn tasks_that_take_much_are_remembered_for_less_long() {
        let large = |task| Life { bytes: MOST_BYTES / 2, ..task };
        let ended = |id, at| task(id, at, Some(at));
        let tasks = [large(ended("a", 1)), large(ended("b", 2)), ended("c", 3), large(task("u", 0, None))];
        let limits = HistoryLimits { max_tasks: 9, max_age: Duration::from_secs(9) };
        assert_eq!(beyond(&tasks, limits, 9), HashSet::from(["a".to_owned()]));
    }

    #[test]
    fn the_latest_task_of_each_instance_stays() {
        let on = |instance, task| Life { instance, ..task };
        let tasks = [
            on(1, task("a", 10, Some(20))),
            on(1, task("b", 30, Some(40))),
            on(2, task("c", 50, Some(60))),
            on(3, task("d", 70, Some(80))),
            on(3, task("u", 1, None)),
        ];
        let dropped = |max_tasks, max_age_ms| {
            let limits = HistoryLimits { max_tasks, max_age: Duration::from_millis(max_age_ms) };
            let mut ids: Vec<String> = to_drop(&tasks, limits, 1000).into_iter().collect();
            ids.sort();
            ids.concat()
        };
        assert_eq!(dropped(1, 10_000), "ad");
        assert_eq!(dropped(9, 1), "ad", "however old the latest is");
        assert_eq!(dropped(9, 10_000), "");
    }
}
