//! The one bridge from async code to threads that may block or compute for long: the rayon pools, single pieces of
//! blocking work, and a manifest that is built in the background.

mod build;
mod clock;
mod pool;
mod warm;

pub use build::{Build, BuildFailure, BuildJob, Phase};
pub use clock::now_ms;
pub use pool::{Died, Threads, blocking, in_pool};
pub use warm::warm;
