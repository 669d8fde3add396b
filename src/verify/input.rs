//! What a verification needs to run.

use std::path::PathBuf;

use super::found::Found;
use crate::model::{DigestAlgorithm, Selection};
use crate::peer::Peer;
use crate::scan::Threads;
use crate::work::BuildJob;

/// What a run needs.
#[derive(Debug)]
pub struct RunInput {
    /// What to scan here.
    pub job: BuildJob,
    /// The source.
    pub peer: Peer,
    /// How many threads may read files here.
    pub threads: Threads,
    /// How many requests may be under way at a time, where each is about one file; at least 1.
    pub max_concurrency: u32,
    /// The algorithm of the evidence, and of the per-file protocol.
    pub algorithm: DigestAlgorithm,
    /// What the task is restricted to; the job's rules know it already.
    pub selection: Option<Selection>,
    /// Where differences lie that are too many for memory; the system's directory for temporary files where `None`.
    pub scratch: Option<PathBuf>,
}

impl RunInput {
    /// Takes what the run finds.
    pub(super) fn nothing_found(&self) -> Found {
        Found::new(self.scratch.clone())
    }
}
