//! Opening the branches a plan names, on both sides, and putting the verdicts together.

use std::sync::Arc;

use bytes::Bytes;

use super::evidence::{TwoReads, settle};
use super::second_reads::{Reads, SecondReads};
use super::sides::Sides;
use crate::manifest::{Depth, DirectoryPair, PairSide, PlannedRoot, differing_leaves};
use crate::model::{Difference, DigestAlgorithm, Findings, Name, RootId, Sink as _};
use crate::peer::{OpenedBranches, fetch_branches};
use crate::protocol::{BRANCH_BATCH, BranchDirectory, BranchRequest};
use crate::verify::error::RunError;
use crate::verify::found::Found;
use crate::work::blocking;

/// The most that the leaves of one request may weigh, in bytes; directories beyond it are sent without leaves, and the
/// evidence for a difference in them is BLAKE3 alone. Keeps the number of requests a function of directories.
const MAX_LEAF_BYTES: usize = 32 << 20;

/// Compares: plans, opens in batches, compares, and gathers evidence for other content. What takes long is done on threads
/// that may take their time.
pub(super) async fn assemble(
    sides: &Sides,
    algorithm: DigestAlgorithm,
    mut found: Found,
) -> Result<Assembled, RunError> {
    let planning = sides.clone();
    let planned = blocking(move || planning.planned(&mut found).map(|planned| (planned, found))).await??;
    let (Planned { pairs, fails_fast }, mut found) = planned;
    let mut released = false;
    let mut batches = pairs.chunks(BRANCH_BATCH).peekable();
    while let Some(batch) = batches.next() {
        let second = (sides.depth == Depth::Content).then_some(algorithm);
        // Metadata that differs ends the task; the source need not go on hashing after the last batch.
        let release = fails_fast && batches.peek().is_none();
        if release {
            sides.stream_unwanted.cancel();
        }
        let batch = sides.batch(batch.into(), second, release).await?;
        let comparing = sides.clone();
        let taken = blocking(move || {
            batch.compare(&comparing, &mut found);
            found
        });
        found = taken.await?;
        released |= release;
    }
    let settling = sides.clone();
    let found = blocking(move || {
        found.take(settling.late_problems());
        found
    });
    Ok(Assembled { found: found.await?, released })
}

/// What a comparison came to.
pub(super) struct Assembled {
    pub found: Found,
    /// The source was told that nothing more will be asked for.
    pub released: bool,
}

/// What is to be opened at the source.
struct Planned {
    pairs: Vec<Pair>,
    /// Metadata differs for sure, which ends the task.
    fails_fast: bool,
}

type Pair = (RootId, DirectoryPair);

/// The answer to one batch: what was asked, the source's files, and the second reads of both sides.
struct Batch {
    pairs: Arc<[Pair]>,
    opened: OpenedBranches,
    /// By position in the batch and name.
    ours: Reads,
}

impl Sides {
    fn planned(&self, found: &mut Found) -> Result<Planned, RunError> {
        let mut pairs = Vec::new();
        let mut fails_fast = false;
        for PlannedRoot { id, plan } in self.plan()? {
            found.take(Findings {
                counters: plan.proven,
                differences: Vec::new(),
                content_not_compared: plan.content_not_compared,
            });
            fails_fast |= self.depth == Depth::Metadata
                && plan.metadata_surely_differs(self.remote_table(id), self.local_table(id));
            pairs.extend(plan.open.into_iter().map(|pair| (id, pair)));
        }
        // Directories the source need not open cost nothing.
        let (remote, local): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(id, pair)| self.needs_source(*id, pair));
        for (id, pair) in local {
            found.take(self.compare(id, pair, &[]));
        }
        Ok(Planned { pairs: remote, fails_fast })
    }

    async fn batch(&self, pairs: Arc<[Pair]>, second: Option<DigestAlgorithm>, last: bool) -> Result<Batch, RunError> {
        let (asking, asked) = (self.clone(), Arc::clone(&pairs));
        let request = Arc::new(blocking(move || asking.request(&asked, second, last)).await?);
        let reading = SecondReads::default();
        let (remote, contents) = (Arc::clone(&self.remote), self.contents.clone());
        let fetched = fetch_branches(&self.peer, remote, contents, Arc::clone(&request), |files| {
            if let Some(algorithm) = second {
                reading.start(self, &pairs, &request, files, algorithm);
            }
        });
        let opened = fetched.await?;
        Ok(Batch { pairs, opened, ours: reading.finish().await? })
    }

    fn request(&self, pairs: &[Pair], second: Option<DigestAlgorithm>, last: bool) -> BranchRequest {
        let mut weight = 0;
        let directories = pairs.iter().map(|(id, pair)| self.ask(*id, pair, second.is_some(), &mut weight)).collect();
        BranchRequest { directories, algorithm: second.map(|a| a.name().to_owned()), last }
    }

    fn ask(&self, id: RootId, pair: &DirectoryPair, with_leaves: bool, weight: &mut usize) -> BranchDirectory {
        let root = self.remote.root(id).map_or(u32::MAX, |(number, _)| number);
        let directory = match pair.source {
            PairSide::Directory(index) => index.0,
            PairSide::Missing | PairSide::Unlisted(_) => u32::MAX,
        };
        let leaves = with_leaves.then(|| self.local_block(id, pair.destination)).flatten().filter(|block| {
            *weight += block.len();
            *weight <= MAX_LEAF_BYTES
        });
        BranchDirectory { root, directory, leaves: leaves.map(Bytes::from_owner) }
    }
}

impl Batch {
    fn compare(self, sides: &Sides, found: &mut Found) {
        let mut theirs: Reads =
            self.opened.reads.into_iter().map(|read| ((read.directory, read.name), read.outcome)).collect();
        let mut ours = self.ours;
        for (position, ((id, pair), files)) in self.pairs.iter().zip(self.opened.files.iter()).enumerate() {
            let mut directory = sides.compare(*id, *pair, files);
            if sides.depth == Depth::Content {
                let local = sides.local_files(*id, pair.destination);
                for (s, d) in differing_leaves(files, &local) {
                    let (Some(source), Some(destination)) = (files[s].digest(), local[d].digest()) else { continue };
                    let key = (position, files[s].name.clone());
                    let source = TwoReads { first: source, second: theirs.remove(&key) };
                    let destination = TwoReads { first: destination, second: ours.remove(&key) };
                    settle_named(&mut directory, &key.1, &source, &destination);
                }
            }
            found.take(directory);
        }
    }
}

/// A directory's differences are in the order of its names, so the one of a file is found without a search through all.
fn settle_named(findings: &mut Findings, name: &Name, source: &TwoReads, destination: &TwoReads) {
    let named = |difference: &Difference| difference.url.path.names().last().cmp(&Some(name.as_bytes()));
    if let Ok(at) = findings.differences.binary_search_by(named) {
        settle(findings, at, source, destination);
    }
}
