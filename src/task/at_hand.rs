//! The tasks of one kind that are at hand: the latest of each instance, those that wait to be taken up again, and older ones that
//! no history holds.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::kind::{Kind, Status as _};
use super::limits::MOST_BYTES;
use super::live::{CANCELLED, Task};
use super::slots::{Slot, Slots};
use super::state::{Event, next};
use super::stored::StoredTask;
use crate::work::now_ms;

/// How many older tasks are kept in memory that no history will hold, as long as they take no more than tasks of a history may.
const MAX_OLDER: usize = 100;

/// Why a task was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Another one, of whatever kind, is under way on the instance.
    #[error("another task is under way on instance {0}")]
    Busy(u64),
    /// The service stops.
    #[error("the service is stopping, please try again later")]
    Stopping,
}

/// The tasks of one kind that are at hand, under one lock.
#[derive(Debug)]
pub(super) struct Live<K: Kind> {
    /// The latest task this process started on each instance.
    pub(super) latest: HashMap<u64, Arc<Task<K>>>,
    /// The latest task of earlier processes.
    pub(super) before: HashMap<u64, StoredTask<K>>,
    /// Those of them, and of others before them, that nobody has taken up yet.
    pub(super) unfinished: Vec<StoredTask<K>>,
    /// The slots of those that wait to be taken up: they are under way, too.
    pub(super) waiting: HashMap<u64, Slot>,
    /// Older tasks that no history holds: there is none, or it is not written yet, or cannot be; oldest first.
    pub(super) older: Vec<Arc<Task<K>>>,
    /// Those of `unfinished` that were cancelled before anybody took them up.
    pub(super) cancelled: HashSet<String>,
    /// No task is started any more.
    pub(super) stopping: bool,
}

/// Where an unfinished task stands that is to be taken up again.
pub(super) enum Waiting {
    /// It still waits; this is its slot.
    Slot(Slot),
    /// A later task took its place.
    Replaced,
    /// Somebody cancelled it.
    Cancelled,
}

impl<K: Kind> Live<K> {
    /// What is at hand after earlier processes that left these tasks. Those that have not ended hold the slots of their instances.
    pub(super) fn after(tasks: Vec<StoredTask<K>>, slots: &Slots) -> Self {
        let waits = |task: &&StoredTask<K>| !task.status.state().is_final();
        let unfinished = tasks.iter().filter(waits).cloned().collect();
        let before = latest(tasks);
        let waiting = before.iter().filter(|(_, task)| waits(task));
        let waiting = waiting.filter_map(|(instance, _)| Some((*instance, slots.take(*instance)?))).collect();
        Self {
            latest: HashMap::new(),
            before,
            unfinished,
            waiting,
            older: Vec::new(),
            cancelled: HashSet::new(),
            stopping: false,
        }
    }

    /// Gives a waiting task's slot to whoever takes it up.
    pub(super) fn hand_over(&mut self, task: &StoredTask<K>) -> Waiting {
        // A later task on the instance removes the cancelled one from `before`; its end still stands.
        if self.cancelled.contains(task.status.id()) {
            return Waiting::Cancelled;
        }
        match self.latest_before(task.instance, task.status.id()) {
            Some(_) => self.waiting.remove(&task.instance).map_or(Waiting::Replaced, Waiting::Slot),
            None => Waiting::Replaced,
        }
    }

    /// Cancels a waiting task, unless somebody is taking it up already.
    pub(super) fn end_waiting(&mut self, instance: u64, id: &str) -> Option<StoredTask<K>> {
        self.latest_before(instance, id).filter(|before| !before.status.state().is_final())?;
        self.waiting.remove(&instance)?;
        let before = self.latest_before(instance, id)?;
        end(before, Event::Cancelled, CANCELLED.to_owned());
        let ended = before.clone();
        self.cancelled.insert(id.to_owned());
        Some(ended)
    }

    /// A task of this process.
    pub(super) fn task(&self, instance: u64, id: &str) -> Option<Arc<Task<K>>> {
        let mut known = self.latest.values().chain(&self.older);
        known.find(|task| task.instance == instance && task.status().id() == id).cloned()
    }

    /// The latest task of earlier processes on an instance, if it has this id.
    pub(super) fn latest_before(&mut self, instance: u64, id: &str) -> Option<&mut StoredTask<K>> {
        self.before.get_mut(&instance).filter(|before| before.status.id() == id)
    }

    /// Takes a task in as the latest of its instance.
    pub(super) fn admit(&mut self, task: &Arc<Task<K>>) -> Result<(), StartError> {
        if self.stopping {
            return Err(StartError::Stopping);
        }
        self.before.remove(&task.instance);
        if let Some(replaced) = self.latest.insert(task.instance, Arc::clone(task)) {
            self.older.push(replaced);
            self.forget_older();
        }
        Ok(())
    }

    /// One that is still on its way into the history stays: who stops the service waits for it.
    fn forget_older(&mut self) {
        self.older.retain(|task| !task.in_history());
        let (mut kept, mut bytes) = (0, 0);
        self.older.reverse();
        self.older.retain(|task| {
            let settled = task.is_settled();
            if settled {
                (kept, bytes) = (kept + 1, bytes + task.weight());
            }
            !settled || kept <= MAX_OLDER && bytes <= MOST_BYTES
        });
        self.older.reverse();
    }
}

/// Ends a task that does not run.
pub(super) fn end<K: Kind>(task: &mut StoredTask<K>, event: Event, reason: String) {
    let state = next(task.status.state(), event);
    task.status.end(now_ms(), Some(reason));
    task.status.enter(state);
    task.status.refresh();
}

/// The task last started on each instance.
fn latest<K: Kind>(tasks: Vec<StoredTask<K>>) -> HashMap<u64, StoredTask<K>> {
    let mut latest: HashMap<u64, StoredTask<K>> = HashMap::new();
    for task in tasks {
        let known = latest.get(&task.instance);
        if known.is_none_or(|known| known.status.started_at() <= task.status.started_at()) {
            latest.insert(task.instance, task);
        }
    }
    latest
}
