//! The destination's own second reads of files whose leaves differ, running beside the source's.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::sides::Sides;
use crate::manifest::{DirectoryPair, PairSide, SecondRead, differing_leaves, read_again};
use crate::model::{DigestAlgorithm, FileEntry, Name, Problem, RootId};
use crate::protocol::BranchRequest;
use crate::scan::{Context, FileDigests};
use crate::work::BuildFailure;
use crate::work::in_readers;

/// The destination's own second reads, running beside the source's.
#[derive(Default)]
pub(super) struct SecondReads {
    job: Mutex<Option<Job>>,
}

/// A file of a request: the position of its directory, and its name.
type Key = (usize, Name);

/// What came of reading files a second time.
pub(super) type Reads = HashMap<Key, Result<FileDigests, Problem>>;

/// The files that both sides read a second time.
fn wanted(
    sides: &Sides,
    pairs: &[(RootId, DirectoryPair)],
    request: &BranchRequest,
    files: &[Vec<FileEntry>],
) -> (Vec<Key>, Vec<SecondRead>) {
    let (mut keys, mut targets) = (Vec::new(), Vec::new());
    for (position, ((id, pair), files)) in pairs.iter().zip(files).enumerate() {
        // Without leaves the source reads nothing a second time, and one digest alone is no evidence.
        if request.directories[position].leaves.is_none() {
            continue;
        }
        let PairSide::Directory(index) = pair.destination else { continue };
        let local = sides.local_files(*id, pair.destination);
        for (_, d) in differing_leaves(files, &local) {
            targets.extend(SecondRead::new(*id, index, &local[d]));
            keys.push((position, local[d].name.clone()));
        }
    }
    (keys, targets)
}

struct Job {
    context: Context,
    result: tokio::task::JoinHandle<Result<Reads, BuildFailure>>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.context.cancel.cancel();
    }
}

impl SecondReads {
    /// Starts once: an answer that has to be fetched again names the same files.
    pub(super) fn start(
        &self,
        sides: &Sides,
        pairs: &Arc<[(RootId, DirectoryPair)]>,
        request: &Arc<BranchRequest>,
        files: &Arc<Vec<Vec<FileEntry>>>,
        algorithm: DigestAlgorithm,
    ) {
        let mut job = self.job.lock();
        if job.is_some() {
            return;
        }
        let context = Context::of(&sides.engine);
        let (sides, work, threads) = (sides.clone(), context.clone(), sides.threads);
        let (pairs, request, files) = (Arc::clone(pairs), Arc::clone(request), Arc::clone(files));
        let result = tokio::spawn(async move {
            let reads = in_readers(threads, move || {
                let (keys, targets) = wanted(&sides, &pairs, &request, &files);
                let reads = Mutex::new(Reads::new());
                read_again(&sides.local, &targets, algorithm, &work, &|at, outcome| {
                    reads.lock().insert(keys[at].clone(), outcome);
                })
                .map(|()| reads.into_inner())
            });
            reads.await?.map_err(|_| BuildFailure::Cancelled)
        });
        *job = Some(Job { context, result });
    }

    pub(super) async fn finish(self) -> Result<Reads, BuildFailure> {
        let job = self.job.into_inner();
        let Some(mut job) = job else { return Ok(Reads::new()) };
        (&mut job.result).await.map_err(|error| BuildFailure::Failed(error.to_string()))?
    }
}
