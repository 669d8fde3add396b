//! The run of a task by the Sidecar's per-file protocol.

mod digests;
mod names;
mod own_digests;
mod pairs;
mod run;
mod second_look;
mod shown;
mod sides;

pub use own_digests::hash_files;
pub use pairs::{Answer, Position};
pub(super) use run::PerFileRun;
