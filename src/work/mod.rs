//! The one bridge from async code to threads that may block or compute for long: the rayon pools, single pieces of
//! blocking work, and a manifest that is built in the background. And what bounds the work of a service: its budget of
//! memory, slots that its clients share, and turns.

mod budget;
mod build;
mod client;
mod clock;
mod fair_share;
mod fair_slots;
mod pool;
mod turns;
mod warm;

pub use budget::{Holder, MemoryBudget, MemoryPermit, OverBudget};
pub use build::{Build, BuildFailure, BuildJob, Phase};
pub use client::Client;
pub use clock::now_ms;
pub use fair_slots::{Busy, FairSlot, FairSlots};
pub use pool::{Died, blocking, in_pool, in_readers};
pub use turns::Turns;
pub use warm::warm;
