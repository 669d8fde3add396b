//! The verification task, and what a source does for one: state machine, run, registry, history.
//!
//! The one bridge from async to the rayon pools is `blocking.rs`.

mod blocking;
mod branch_answer;
mod build;
mod compared;
mod completion;
mod counts;
mod error;
mod evidence;
mod history;
mod listing;
mod live;
mod manifest_run;
mod offers;
mod open;
mod per_file;
mod proven;
mod read_anew;
mod registry;
mod run;
mod second_reads;
mod served_digest;
mod sides;
mod state;
mod stream;
mod unfinished;

pub use blocking::Threads;
pub use branch_answer::{BranchError, answer_branches};
pub use build::{Build, BuildFailure, BuildJob};
pub use completion::{Completion, CompletionError};
pub use counts::TaskCounts;
pub use error::{RunError, ServeError};
pub use history::{History, HistoryError, HistoryLimits, StoredTask};
pub use listing::{Listing, listing};
pub use live::Task;
pub use offers::{Busy, Offer, Offers};
pub use registry::{InstanceBusy, StartError, TaskReport, Tasks};
pub use run::RunInput;
pub use served_digest::{digest_of, open_served};
pub use stream::manifest_stream;
pub use unfinished::{MAX_RESTARTS, Unfinished};

/// Milliseconds since the epoch.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
