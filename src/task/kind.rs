//! What makes one kind of task different from another.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::protocol::TaskState;

/// One kind of task, such as a verification: what is asked for, what its status shows, what it leaves behind. How it is done
/// says [`super::Job`]; everything else about a task is the same for all kinds.
pub trait Kind: Debug + Send + Sync + Sized + 'static {
    /// Its name in logs.
    const NAME: &'static str;

    /// The folder of the history that holds tasks of this kind; different for each kind.
    const FOLDER: &'static str;

    /// What was asked for.
    type Request: Debug + Clone + Serialize + DeserializeOwned + Send + Sync;

    /// Where a task stands. Moves while it runs.
    type Status: Status;

    /// What a report says besides status and findings.
    type Summary: Debug + Clone + Default + Serialize + DeserializeOwned + Send + Sync;

    /// One of the things a task found; a report has them page by page.
    type Finding: Debug + Clone + Serialize + DeserializeOwned + Send + Sync;

    /// Puts into the summary that the task began again after its service had stopped.
    fn began_again(summary: &mut Self::Summary, note: String);

    /// Puts into the summary how long the task took, in milliseconds.
    fn took(summary: &mut Self::Summary, total_ms: u64);
}

/// What the status of any task has.
pub trait Status: Debug + Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The task's id.
    fn id(&self) -> &str;

    /// Where it stands.
    fn state(&self) -> TaskState;

    /// Why it ended, where it was not done as asked.
    fn message(&self) -> Option<&str>;

    /// When it was accepted, in milliseconds since the epoch.
    fn started_at(&self) -> i64;

    /// When it ended, in milliseconds since the epoch.
    fn ended_at(&self) -> Option<i64>;

    /// Puts it into another state.
    fn enter(&mut self, state: TaskState);

    /// Notes when it ended, and why where it was not done as asked.
    fn end(&mut self, at_ms: i64, message: Option<String>);

    /// Brings up to date what follows from the rest; called after every change.
    fn refresh(&mut self);

    /// Says that the history does not hold the task as it is, and why; `None` where it does. It is said when the status is shown,
    /// and never kept.
    fn not_safe(&mut self, cause: Option<String>);

    /// Forgets what was done so far: the task begins again.
    fn restart(&mut self);
}
