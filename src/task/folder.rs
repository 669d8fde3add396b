//! The folder of a history: a file for each task, and one for what it found. Whatever happens to one of them happens to no
//! other.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::kind::{Kind, Status as _};
use super::record::{BrokenRecord, TaskRecord};
use super::stored::StoredTask;
use crate::store::{Fault, PageTable, Pages, Whole, put_out_of_the_way, sync_directory};
use crate::work::now_ms;

/// What the names of the files end with.
const TASK: &str = ".task";
const FINDINGS: &str = ".findings";

/// The most a task's own file may hold, in bytes. Sums by table are the largest part, some 300 bytes for each. A larger one is not
/// written, since it would not be read.
const MAX_TASK_BYTES: u64 = 1 << 30;

/// The history of earlier programs, which were never released.
const BEFORE: &str = "tasks.redb";

/// The history cannot be kept, or not be read. Names the folder.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// It cannot be used.
    #[error("task history {}: {cause}", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What went wrong.
        cause: String,
    },
    /// What is kept of a task is not what was written.
    #[error("task history {}: the record of task {id} cannot be served: {cause}", path.display())]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// The task.
        id: String,
        /// What is wrong with it.
        cause: String,
    },
    /// What a task found cannot be read back, before it came into the history.
    #[error("what task {id} found cannot be read: {cause}")]
    Unreadable {
        /// The task.
        id: String,
        /// What went wrong.
        cause: String,
    },
}

impl HistoryError {
    pub(super) fn unreadable(id: &str, cause: &dyn std::fmt::Display) -> Self {
        Self::Unreadable { id: id.to_owned(), cause: cause.to_string() }
    }
}

/// The folder of a kind of task. All calls block.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Locked as long as the history is open.
    _lock: File,
}

/// All tasks that a folder holds when it is opened, by id. Their reports stay on disk.
type AllKept<K> = Vec<(String, Result<StoredTask<K>, BrokenRecord>)>;

impl Folder {
    /// Opens or makes the folder in `state_dir` and reads what it holds, by id. One that cannot be used is put out of the way and
    /// begun again; one of a later program is refused.
    pub(super) fn open<K: Kind>(state_dir: &Path) -> Result<(Self, AllKept<K>), HistoryError> {
        let path = state_dir.join(K::FOLDER);
        let failed = |cause: String| HistoryError::Unusable { path: path.clone(), cause };
        let io_failed = |error: io::Error| failed(error.to_string());
        fs::create_dir_all(state_dir).map_err(io_failed)?;
        let lock = lock(&state_dir.join(format!("{}.lock", K::FOLDER))).map_err(failed)?;
        if state_dir.join(BEFORE).exists() {
            let kept = put_out_of_the_way(&state_dir.join(BEFORE), "old", now_ms()).map_err(io_failed)?;
            tracing::warn!(kept = %kept.display(), "a task history in the format of an earlier twintree is not read");
        }
        let folder = Self { path: path.clone(), _lock: lock };
        let kept = folder.begin().or_else(|error| {
            // The disk may be full, or not ours: then nothing is wrong with what stands there.
            let is_damaged = matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists)
                || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
            if !is_damaged {
                return Err(error);
            }
            let kept = put_out_of_the_way(&path, "damaged", now_ms())?;
            tracing::error!(%error, kept = %kept.display(), "the task history cannot be opened and begins again");
            folder.begin()
        });
        let ids = kept.map_err(io_failed)?;
        let kept = ids.into_iter().map(|id| {
            let kept = folder.read(&id).map(|record| record.task);
            (id, kept)
        });
        let kept: AllKept<K> = kept.collect();
        for (id, kept) in &kept {
            if let Err(BrokenRecord::Fault(fault @ Fault::Later(_))) = kept {
                return Err(failed(format!("task {id}: {fault}")));
            }
        }
        Ok((folder, kept))
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The record of a task.
    pub(super) fn read<K: Kind>(&self, id: &str) -> Result<TaskRecord<K>, BrokenRecord> {
        let mut bytes = Vec::new();
        File::open(self.file(id, TASK))?.take(MAX_TASK_BYTES).read_to_end(&mut bytes)?;
        TaskRecord::read(id, &bytes)
    }

    /// How long the record of a task is, in bytes; 0 where there is none.
    pub(super) fn record_bytes(&self, id: &str) -> u64 {
        fs::metadata(self.file(id, TASK)).map_or(0, |metadata| metadata.len())
    }

    /// The findings of a task, to be read page by page.
    pub(super) fn findings(&self, id: &str, table: PageTable) -> Result<Pages, HistoryError> {
        if table.items == 0 {
            return Ok(Pages::default());
        }
        let file = File::open(self.file(id, FINDINGS)).map_err(|error| self.damaged(id, &error))?;
        Ok(Pages::in_file(id.to_owned(), table, file))
    }

    /// Writes a task: first what it found, so that a record never speaks of findings that are not there.
    pub(super) fn write<K: Kind>(&self, record: &TaskRecord<K>, findings: Option<&Pages>) -> io::Result<()> {
        let id = record.task.status.id();
        let bytes = record.bytes()?;
        if bytes.len() as u64 > MAX_TASK_BYTES {
            return Err(io::Error::other(format!("the record has {} bytes, above {MAX_TASK_BYTES}", bytes.len())));
        }
        if let Some(findings) = findings.filter(|findings| findings.items() > 0) {
            let mut whole = Whole::begin(&self.path, &format!("{id}{FINDINGS}"))?;
            findings.copy_to(whole.file())?;
            whole.finish()?;
        }
        let mut whole = Whole::begin(&self.path, &format!("{id}{TASK}"))?;
        whole.file().write_all(&bytes)?;
        whole.finish()
    }

    /// Removes a task: first its record, which speaks of the findings.
    pub(super) fn remove(&self, id: &str) -> io::Result<()> {
        [TASK, FINDINGS].into_iter().try_for_each(|kind| match fs::remove_file(self.file(id, kind)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
    }

    /// When the record of a task was written, in milliseconds since the epoch, as far as the file system knows.
    pub(super) fn written_at(&self, id: &str) -> Option<i64> {
        let modified = fs::metadata(self.file(id, TASK)).ok()?.modified().ok()?;
        Some(jiff::Timestamp::try_from(modified).ok()?.as_millisecond())
    }

    pub(super) fn damaged(&self, id: &str, cause: &dyn std::fmt::Display) -> HistoryError {
        HistoryError::Damaged { path: self.path.clone(), id: id.to_owned(), cause: cause.to_string() }
    }

    /// The ids of the tasks in the folder. What a crash has left half done is removed.
    fn begin(&self) -> io::Result<Vec<String>> {
        if !self.path.is_dir() {
            fs::create_dir(&self.path)?;
            self.path.parent().map_or(Ok(()), sync_directory)?;
        }
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default()));
        let names: Vec<String> = names.collect::<io::Result<_>>()?;
        let of = |kind| names.iter().filter_map(move |name: &String| name.strip_suffix(kind));
        let tasks: BTreeSet<&str> = of(TASK).filter(|id| !id.is_empty()).collect();
        let unfinished = names.iter().filter(|name| Whole::is_unfinished(name)).map(|name| self.path.join(name));
        let ownerless = of(FINDINGS).filter(|id| !tasks.contains(id)).map(|id| self.file(id, FINDINGS));
        for path in unfinished.chain(ownerless) {
            tracing::info!(path = %path.display(), "what an earlier service left half written is removed");
            fs::remove_file(path)?;
        }
        Ok(tasks.into_iter().map(str::to_owned).collect())
    }

    fn file(&self, id: &str, kind: &str) -> PathBuf {
        self.path.join(format!("{id}{kind}"))
    }
}

fn lock(path: &Path) -> Result<File, String> {
    let lock = File::options().create(true).append(true).open(path).map_err(|error| error.to_string())?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err("another twintree is using this state directory".to_owned()),
        Err(TryLockError::Error(error)) => Err(error.to_string()),
    }
}
