//! Many comparisons in one run: the plan that names them, which of them may start now, what they came to, and the state file by which
//! an interrupted run goes on. How one comparison is made is given by whoever runs the plan.

mod claims;
mod condense;
mod destinations;
mod ending;
mod hosts;
mod journal;
mod keyspaces;
mod plan;
mod read;
mod run;
mod schedule;
mod start;
mod state;
mod summary;
mod tally;

pub use claims::Claims;
pub use condense::{MAX_LISTED, condense};
pub use ending::{Ended, Ending};
pub use hosts::Hosts;
pub use journal::{Journal, JournalError, JournalFault};
pub use keyspaces::{KeyspacePattern, KeyspacePatterns, Unmatched};
pub use plan::{Comparison, MAX_PARALLEL, PARALLEL, Plan, Retry, Settings, What};
pub use run::{Conclusion, Event, Execute, Job, Setback, run};
pub use schedule::{rounds, startable};
pub use start::{Only, Start, start};
pub use state::{Begun, Entry, State};
pub use summary::Summary;
pub use tally::Tally;
