//! What others see of the tasks of a kind: statuses, lists, reports.

use std::sync::Arc;
use std::time::Duration;

use super::counts::TaskCounts;
use super::folder::HistoryError;
use super::job::Job;
use super::kind::Status as _;
use super::left_behind::LeftBehind;
use super::live::Task;
use super::registry::Tasks;
use super::report::TaskReport;

/// How long a status that has just become final waits until it is on disk.
const SETTLE_WAIT: Duration = Duration::from_secs(5);

impl<K: Job> Tasks<K> {
    /// What all tasks came to since the service started.
    pub fn counts(&self) -> TaskCounts<K::Totals> {
        self.inner.counts.lock().clone()
    }

    /// The status of the latest task of an instance.
    pub async fn latest(&self, instance: u64) -> Option<K::Status> {
        let (latest, before) = {
            let live = self.live();
            (live.latest.get(&instance).cloned(), live.before.get(&instance).map(|task| task.status.clone()))
        };
        match latest {
            Some(task) => Some(self.safe(&task).await),
            None => before.map(|status| self.shown(status)),
        }
    }

    /// The status of a task of this process. That it has ended is shown once that is on disk, so that no death takes it back;
    /// where that lasts, the status says so.
    async fn safe(&self, task: &Task<K>) -> K::Status {
        if self.inner.history.is_some() && task.status().state().is_final() {
            let _ = tokio::time::timeout(SETTLE_WAIT, task.settled()).await;
        }
        self.shown_now(task)
    }

    /// The same without waiting.
    fn shown_now(&self, task: &Task<K>) -> K::Status {
        // Before the status: what is not settled yet may be a moment later.
        let is_settled = task.is_settled();
        let mut status = self.shown(task.status());
        if self.inner.history.is_some() && status.state().is_final() && !is_settled {
            status.not_safe(Some("its end is still being written".to_owned()));
        }
        status
    }

    /// The status as it is shown: it says where the history does not hold it.
    fn shown(&self, mut status: K::Status) -> K::Status {
        status.not_safe(self.inner.history.as_ref().and_then(|history| history.trouble_of(status.id())));
        status
    }

    /// How many tasks the history does not hold on disk yet, and why one of them; `None` where it holds all.
    pub fn not_safe(&self) -> Option<(usize, String)> {
        self.inner.history.as_ref()?.trouble()
    }

    /// How many records of tasks are damaged.
    pub fn damaged(&self) -> usize {
        self.inner.history.as_ref().map_or(0, |history| history.damaged().len())
    }

    /// All tasks of an instance that are still known, newest first, and what is damaged, of whatever instance.
    pub async fn all(&self, instance: u64) -> Listed {
        self.latest(instance).await;
        let history = self.inner.history.as_ref();
        let mut known = history.map(|history| history.of_instance(instance)).unwrap_or_default();
        {
            let live = self.live();
            let at_hand = live.latest.values().chain(&live.older).filter(|task| task.instance == instance);
            let before = live.before.get(&instance).map(|task| task.status.clone());
            let statuses = at_hand.map(|task| task.status()).chain(before);
            known.extend(statuses.map(|status| (status.started_at(), status.id().to_owned())));
        }
        known.sort_by(|a, b| b.cmp(a));
        known.dedup();
        let mut damaged = history.map(|history| history.damaged()).unwrap_or_default();
        damaged.sort();
        Listed { ids: known.into_iter().map(|(_, id)| id).collect(), damaged }
    }

    /// The status of a task of an instance as it can be shown now: what is not on disk yet is not waited for, but said. `None` where it
    /// is not known, or its record is damaged.
    pub fn status_now(&self, instance: u64, id: &str) -> Option<K::Status> {
        // What is at hand is newer than what the history has.
        if let Some(task) = self.task(instance, id) {
            return Some(self.shown_now(&task));
        }
        let before = self.live().latest_before(instance, id).cloned();
        let kept = || self.inner.history.as_ref()?.task(id).ok()?.filter(|task| task.instance == instance);
        before.or_else(kept).map(|task| self.shown(task.status))
    }

    /// The status of any task of an instance.
    pub async fn status(&self, instance: u64, id: &str) -> Result<Option<K::Status>, HistoryError> {
        if let Some(task) = self.task(instance, id) {
            return Ok(Some(self.safe(&task).await));
        }
        let status = self.status_now(instance, id);
        if let Some(history) = self.inner.history.as_ref().filter(|_| status.is_none()) {
            // Says so where the record is damaged.
            history.task(id)?;
        }
        Ok(status)
    }

    /// About how many bytes the report of a task takes in memory while it is made, its findings left out; nothing where it is not
    /// known.
    pub async fn report_bytes(&self, instance: u64, id: &str) -> u64 {
        let (task, asked, history) = (self.task(instance, id), id.to_owned(), self.inner.history.clone());
        let weigh = move || match history.filter(|_| task.as_ref().is_none_or(|task| task.in_history())) {
            Some(history) => history.report_bytes(&asked),
            None => task.map_or(0, |task| task.weight()),
        };
        self.inner.turns.take(weigh).await.unwrap_or_default()
    }

    /// A task of an instance with what it found. One that is not over shows none of that: half of it must not look like all.
    pub async fn report(&self, instance: u64, id: &str) -> Result<Option<TaskReport<K>>, HistoryError> {
        let task = self.task(instance, id);
        let Some(status) = self.status(instance, id).await? else { return Ok(None) };
        let (asked, history) = (id.to_owned(), self.inner.history.clone());
        let read = move || {
            // What it left behind is dropped here only after the history has it.
            let at_hand = task.as_ref().map(|task| task.left_behind());
            let kept = history.filter(|_| task.is_none_or(|task| task.in_history()));
            let report = kept.as_ref().map(|history| history.report(&asked)).transpose()?;
            Ok((report.unwrap_or(at_hand), kept))
        };
        let turns = self.inner.turns.clone();
        let (left, history) = turns.take(read).await.unwrap_or_else(|died| Err(HistoryError::unreadable(id, &died)))?;
        let LeftBehind { summary, findings } = left.unwrap_or_default();
        let findings = if status.state().is_final() { findings } else { Arc::default() };
        Ok(Some(TaskReport { status, summary, findings, history, turns }))
    }
}

/// The ids of the tasks of an instance.
#[derive(Debug)]
pub struct Listed {
    /// Those that can be read, newest first.
    pub ids: Vec<String>,
    /// Those whose records are damaged.
    pub damaged: Vec<String>,
}
