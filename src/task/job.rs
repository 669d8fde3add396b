//! How the tasks of a kind are done.

use std::fmt::Debug;
use std::sync::Arc;

use super::kind::Kind;
use super::live::Task;

/// A kind of task that can be run.
pub trait Job: Kind {
    /// What a task needs to run.
    type Input: Send + 'static;

    /// Sums over all tasks of this kind that have ended, for those who watch the service.
    type Totals: Debug + Clone + Default + Send;

    /// Does the work, and leaves in the task how it ended.
    fn run(task: Arc<Task<Self>>, input: Self::Input) -> impl Future<Output = ()> + Send;

    /// Adds a task that has ended.
    fn count(totals: &mut Self::Totals, task: &Task<Self>);
}
