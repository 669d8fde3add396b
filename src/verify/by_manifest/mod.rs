//! The run of a task by the exchange of manifests.

mod evidence;
mod open;
mod proven;
mod run;
mod second_reads;
mod sides;

pub(super) use run::ManifestRun;
