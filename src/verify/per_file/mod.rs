//! The run of a task by the Sidecar's per-file protocol.

mod digests;
mod names;
mod run;
mod shown;

pub(super) use run::PerFileRun;
