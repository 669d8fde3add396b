//! The life of a task of any kind: its state, its progress as others see it, one at a time on each instance, its history, and
//! taking it up again after a restart. What a kind asks for, shows and does is handed in; see [`Kind`] and [`Job`].

mod at_hand;
mod counts;
mod folder;
mod history;
#[cfg(test)]
mod history_tests;
mod id;
mod job;
mod kind;
mod left_behind;
mod limits;
mod live;
mod record;
mod registry;
mod report;
mod shown;
mod slots;
mod state;
mod stored;
mod supervise;
#[cfg(test)]
mod tests;
mod unfinished;
mod weight;

pub use at_hand::StartError;
pub use counts::TaskCounts;
pub use folder::HistoryError;
pub use history::History;
pub use job::Job;
pub use kind::{Kind, Status};
pub use limits::HistoryLimits;
pub use live::Task;
pub use registry::Tasks;
pub use report::TaskReport;
pub use shown::Listed;
pub use slots::Slots;
pub use state::Event;
pub use stored::StoredTask;
pub use unfinished::{MAX_RESTARTS, Unfinished};
