//! The verification task, and what a source does for one: state machine, run, registry, history.
//!
//! The one bridge from async to the rayon pools is `blocking.rs`.

mod blocking;
mod build;
mod by_manifest;
mod compared;
mod counts;
mod error;
mod history;
mod live;
mod per_file;
mod read_anew;
mod registry;
mod run;
mod serving;
mod state;
mod supervise;
mod unfinished;
mod warming;

pub use blocking::Threads;
pub use build::{Build, BuildFailure, BuildJob};
pub use counts::TaskCounts;
pub use error::{RunError, ServeError};
pub use history::{History, HistoryError, HistoryLimits, StoredTask};
pub use live::Task;
pub use registry::{InstanceBusy, StartError, TaskReport, Tasks};
pub use run::RunInput;
pub use serving::{
    BranchError, Busy, Completion, CompletionError, Listing, Offer, Offers, answer_branches, digest_of, listing,
    manifest_stream, open_served,
};
pub use unfinished::{MAX_RESTARTS, Unfinished};
pub use warming::warm;

/// Milliseconds since the epoch.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
