//! Tasks on disk, so that an old id still answers after a restart and an unfinished task can be taken up again. What cannot be
//! written, as on a full disk, stays in memory and is written as soon as that is possible.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::folder::{Folder, HistoryError};
use super::kind::{Kind, Status as _};
use super::left_behind::LeftBehind;
use super::limits::{HistoryLimits, Life, to_drop};
use super::record::{ReportRecord, TaskRecord};
use super::stored::StoredTask;
use super::weight::{BYTES_FOR_EACH, weight};
use crate::store::Pages;
use crate::work::now_ms;

/// The store of the tasks of one kind. All calls but those for memory alone block.
#[derive(Debug)]
pub struct History<K: Kind> {
    folder: Folder,
    limits: HistoryLimits,
    state: Mutex<State<K>>,
    /// Held while files are written, so that an older record never replaces a newer one.
    writing: Mutex<()>,
}

#[derive(Debug)]
struct State<K: Kind> {
    tasks: HashMap<String, Known<K>>,
    /// By id: what is wrong with the record.
    damaged: HashMap<String, String>,
    unwritten: HashMap<String, Unwritten<K>>,
    /// How often a task was kept so far.
    kept: u64,
    /// Somebody tries again and again to write what is not written.
    written_later: bool,
}

/// A task that can be read.
#[derive(Debug)]
struct Known<K: Kind> {
    task: StoredTask<K>,
    /// What it takes in memory.
    bytes: u64,
}

impl<K: Kind> Known<K> {
    fn new(task: StoredTask<K>) -> Self {
        let bytes = weight(&task);
        Self { task, bytes }
    }
}

/// A task as it is to be written.
#[derive(Debug)]
struct Unwritten<K: Kind> {
    task: StoredTask<K>,
    report: Option<LeftBehind<K>>,
    /// Which of all that was kept this is.
    number: u64,
    /// Why it could not be written; `None` where it was not tried yet.
    cause: Option<String>,
}

impl<K: Kind> History<K> {
    /// Opens or makes the history in `state_dir`, tells what it found, and drops what is beyond the limits.
    pub fn open(state_dir: &Path, limits: HistoryLimits) -> Result<Self, HistoryError> {
        let (folder, kept) = Folder::open::<K>(state_dir)?;
        let mut state = State {
            tasks: HashMap::new(),
            damaged: HashMap::new(),
            unwritten: HashMap::new(),
            kept: 0,
            written_later: false,
        };
        for (id, kept) in kept {
            match kept {
                Ok(task) => drop(state.tasks.insert(id, Known::new(task))),
                Err(error) => {
                    tracing::error!(task = id, %error, folder = %folder.path().display(), "the record of a task is damaged");
                    state.damaged.insert(id, error.to_string());
                }
            }
        }
        let unfinished = state.tasks.values().filter(|known| !known.task.status.state().is_final()).count();
        let (tasks, damaged) = (state.tasks.len(), state.damaged.len());
        tracing::info!(folder = %folder.path().display(), tasks, unfinished, damaged, "the task history is open");
        let history = Self { folder, limits, state: Mutex::new(state), writing: Mutex::default() };
        history.prune();
        Ok(history)
    }

    /// The folder.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Every task that can be read, in no order.
    pub(super) fn all(&self) -> Vec<StoredTask<K>> {
        self.state().tasks.values().map(|known| known.task.clone()).collect()
    }

    /// When the tasks of an instance that can be read were started, and their ids.
    pub(super) fn of_instance(&self, instance: u64) -> Vec<(i64, String)> {
        let state = self.state();
        let known = state.tasks.values().map(|known| &known.task).filter(|task| task.instance == instance);
        known.map(|task| (task.status.started_at(), task.status.id().to_owned())).collect()
    }

    /// The ids of the tasks that cannot be read.
    pub(super) fn damaged(&self) -> Vec<String> {
        self.state().damaged.keys().cloned().collect()
    }

    /// A task.
    pub(super) fn task(&self, id: &str) -> Result<Option<StoredTask<K>>, HistoryError> {
        let state = self.state();
        match state.damaged.get(id) {
            Some(cause) => Err(self.folder.damaged(id, cause)),
            None => Ok(state.tasks.get(id).map(|known| known.task.clone())),
        }
    }

    /// About how many bytes the record of a task takes in memory when it is read.
    pub(super) fn report_bytes(&self, id: &str) -> u64 {
        let unwritten = self.state().unwritten.get(id).map(|unwritten| unwritten.report.clone());
        match unwritten {
            Some(report) => report.map_or(0, |report| weight(&report.summary)),
            None => self.folder.record_bytes(id).saturating_mul(BYTES_FOR_EACH),
        }
    }

    /// What a task left behind; `None` of one that left no report.
    pub(super) fn report(&self, id: &str) -> Result<Option<LeftBehind<K>>, HistoryError> {
        let unwritten = self.state().unwritten.get(id).map(|unwritten| unwritten.report.clone());
        match unwritten {
            Some(report) => Ok(report),
            None => self.written(id),
        }
    }

    /// The error of a task whose record, or findings, cannot be served.
    pub(super) fn unservable(&self, id: &str, cause: &dyn std::fmt::Display) -> HistoryError {
        self.folder.damaged(id, cause)
    }

    fn written(&self, id: &str) -> Result<Option<LeftBehind<K>>, HistoryError> {
        let record = self.folder.read::<K>(id).map_err(|error| self.folder.damaged(id, &error))?;
        let Some(ReportRecord { summary, findings }) = record.report else { return Ok(None) };
        let findings = Arc::new(self.folder.findings(id, findings)?);
        Ok(Some(LeftBehind { summary, findings }))
    }

    /// Keeps a task, and what it left behind once it has ended. Where it cannot be written it stays in memory, for
    /// [`History::write`]. What is beyond the limits is dropped.
    pub(super) fn keep(&self, task: &StoredTask<K>, report: Option<LeftBehind<K>>) -> Result<(), HistoryError> {
        let id = task.status.id().to_owned();
        {
            let mut state = self.state();
            state.tasks.insert(id.clone(), Known::new(task.clone()));
            state.kept += 1;
            let unwritten = Unwritten { task: task.clone(), report, number: state.kept, cause: None };
            state.unwritten.insert(id.clone(), unwritten);
        }
        self.write();
        self.prune();
        match self.trouble_of(&id) {
            Some(cause) => Err(HistoryError::Unusable { path: self.path(), cause }),
            None => Ok(()),
        }
    }

    /// Whether the caller is the one who calls [`History::write_later`] from now on.
    pub(super) fn begin_writing_later(&self) -> bool {
        !std::mem::replace(&mut self.state().written_later, true)
    }

    /// Writes what is not written yet; whether all of it is by now, and this need not be called again.
    pub(super) fn write_later(&self) -> bool {
        self.write();
        let mut state = self.state();
        state.written_later = !state.unwritten.is_empty();
        !state.written_later
    }

    /// Writes what is not written yet.
    pub(super) fn write(&self) {
        let _writing = self.writing.lock();
        let ids: Vec<String> = self.state().unwritten.keys().cloned().collect();
        for id in ids {
            let Some((number, record, findings)) = self.record(&id) else { continue };
            let written = self.folder.write(&record, findings.as_deref());
            self.note(&id, number, written);
        }
    }

    fn record(&self, id: &str) -> Option<(u64, TaskRecord<K>, Option<Arc<Pages>>)> {
        let state = self.state();
        let Unwritten { task, report, number, .. } = state.unwritten.get(id)?;
        let findings = report.as_ref().map(|report| Arc::clone(&report.findings));
        let report = report
            .as_ref()
            .map(|report| ReportRecord { summary: report.summary.clone(), findings: report.findings.table().clone() });
        Some((*number, TaskRecord { task: task.clone(), report }, findings))
    }

    /// What was kept of the task in the meantime is not written yet, whatever became of this.
    fn note(&self, id: &str, number: u64, written: std::io::Result<()>) {
        let mut state = self.state();
        let Some(unwritten) = state.unwritten.get_mut(id).filter(|unwritten| unwritten.number == number) else {
            return;
        };
        match written {
            Ok(()) => {
                if unwritten.cause.is_some() {
                    tracing::info!(task = id, "the task is written to the history by now");
                }
                state.unwritten.remove(id);
            }
            Err(error) => unwritten.cause = Some(error.to_string()),
        }
    }

    /// Why a task is not safe on disk yet; `None` where it is.
    pub(super) fn trouble_of(&self, id: &str) -> Option<String> {
        self.state().unwritten.get(id)?.cause.clone()
    }

    /// How many tasks are not safe on disk yet, and why one of them is not.
    pub(super) fn trouble(&self) -> Option<(usize, String)> {
        let state = self.state();
        let mut causes = state.unwritten.values().filter_map(|unwritten| unwritten.cause.clone());
        let first = causes.next()?;
        Some((1 + causes.count(), first))
    }

    fn prune(&self) {
        let now = now_ms();
        let lives: Vec<Life> = self.state().tasks.values().map(|known| Life::of(&known.task, known.bytes)).collect();
        let oldest = now.saturating_sub(i64::try_from(self.limits.max_age.as_millis()).unwrap_or(i64::MAX));
        let is_old = |id: &String| self.folder.written_at(id).is_some_and(|at| at < oldest);
        let doomed = to_drop(&lives, self.limits, now).into_iter().chain(self.damaged().into_iter().filter(is_old));
        let _writing = self.writing.lock();
        for id in doomed {
            if let Err(error) = self.folder.remove(&id) {
                tracing::warn!(task = id, %error, "a task cannot be dropped from the history");
            }
            let mut state = self.state();
            state.tasks.remove(&id);
            state.damaged.remove(&id);
            state.unwritten.remove(&id);
        }
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock()
    }
}
