//! Opening the branches a plan names, on both sides, and putting the verdicts together.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;

use super::blocking::{Threads, in_pool};
use super::build::BuildFailure;
use super::evidence::{TwoReads, settle};
use super::read_anew::{Target, read_anew};
use super::run::RunError;
use crate::manifest::{
    Comparand as _, Depth, DirectoryPair, DirectoryTable, FileRecords, Manifest, OpenedSide, PairSide, PlannedRoot,
    RootHashes, SubtreeHash, compare_directory, differing_leaves, plan_instance,
};
use crate::model::{Difference, DigestAlgorithm, FileEntry, Name, Outcome, Problem, RootId};
use crate::peer::{OpenedBranches, Peer, RemoteManifest, fetch_branches};
use crate::protocol::{BRANCH_BATCH, BranchDirectory, BranchRequest};
use crate::scan::{Context, FileDigests};

/// The most that the leaves of one request may weigh, in bytes; directories beyond it are sent without leaves, and the
/// evidence for a difference in them is BLAKE3 alone. Keeps the number of requests a function of directories.
const MAX_LEAF_BYTES: usize = 32 << 20;

/// What a leaf weighs besides its name: digest, state, size, time.
const LEAF_BYTES: usize = 32 + 1 + 9 + 9;

/// Both sides of a comparison.
pub(super) struct Opener<'a> {
    pub peer: &'a Peer,
    pub remote: &'a RemoteManifest,
    pub local: &'a Arc<Manifest>,
    pub threads: Threads,
}

/// Compares to the given depth: plans, opens in batches, compares, and gathers evidence for other content.
pub(super) async fn assemble(
    opener: &Opener<'_>,
    depth: Depth,
    contents: Option<&[Vec<SubtreeHash>]>,
    algorithm: DigestAlgorithm,
) -> Result<Assembled, RunError> {
    let mut outcome = Outcome::default();
    let mut released = false;
    let mut pairs = Vec::new();
    let mut fails_fast = false;
    for PlannedRoot { id, plan } in opener.plan(depth, contents) {
        outcome.counters.add(&plan.proven);
        fails_fast |=
            depth == Depth::Metadata && plan.metadata_surely_differs(opener.remote_table(id), opener.local_table(id));
        pairs.extend(plan.open.into_iter().map(|pair| (id, pair)));
    }
    // Directories the source need not open come first; they cost nothing.
    let (remote, local): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(id, pair)| opener.needs_source(*id, pair));
    for (id, pair) in local {
        outcome.absorb(opener.compare(id, pair, &[], depth));
    }
    let batches = remote.chunks(BRANCH_BATCH);
    let last = batches.len().saturating_sub(1);
    for (number, batch) in remote.chunks(BRANCH_BATCH).enumerate() {
        let anew = (depth == Depth::Content).then_some(algorithm);
        // Metadata that differs ends the task; the source need not go on hashing after the last batch.
        let release = fails_fast && number == last;
        let batch = opener.batch(batch, contents, anew, release).await?;
        outcome.absorb(batch.compare(opener, depth));
        released |= release;
    }
    outcome.differences.sort_by(|a, b| a.url.cmp(&b.url));
    Ok(Assembled { outcome, released })
}

/// What a comparison came to.
pub(super) struct Assembled {
    pub outcome: Outcome,
    /// The source was told that nothing more will be asked for.
    pub released: bool,
}

/// The answer to one batch: what was asked, the source's files, and the second reads of both sides.
struct Batch<'a> {
    pairs: &'a [(RootId, DirectoryPair)],
    opened: OpenedBranches,
    /// By position in the batch and name.
    ours: HashMap<(usize, Name), Result<FileDigests, Problem>>,
}

impl<'a> Opener<'a> {
    fn plan(&self, depth: Depth, contents: Option<&[Vec<SubtreeHash>]>) -> Vec<PlannedRoot> {
        let ours: Vec<Vec<SubtreeHash>> = self.local.roots().iter().map(|root| self.local.contents(root.id)).collect();
        let source: Vec<_> = self
            .remote
            .roots
            .iter()
            .enumerate()
            .map(|(number, (id, table))| {
                let content = contents.and_then(|contents| contents.get(number)).map_or(&[][..], Vec::as_slice);
                (*id, table.as_ref().map(|table| RootHashes { table, content }))
            })
            .collect();
        let destination: Vec<_> = self
            .local
            .tables()
            .into_iter()
            .zip(&ours)
            .map(|((id, table), content)| (id, table.map(|table| RootHashes { table, content })))
            .collect();
        plan_instance(&source, &destination, depth)
    }

    fn remote_table(&self, id: RootId) -> Option<&DirectoryTable> {
        self.remote.root(id).map(|(_, table)| table)
    }

    fn local_table(&self, id: RootId) -> Option<&DirectoryTable> {
        self.local.root(id).and_then(|root| root.tree.as_ref()).map(|tree| tree.table())
    }

    /// A directory in which the source has no files is known from its table, whose hash was checked.
    fn needs_source(&self, id: RootId, pair: &DirectoryPair) -> bool {
        match (pair.source, self.remote.root(id)) {
            (PairSide::Directory(index), Some((_, table))) => table.get(index).files > 0,
            _ => false,
        }
    }

    fn local_files(&self, id: RootId, side: PairSide) -> Vec<FileEntry> {
        let tree = self.local.root(id).and_then(|root| root.tree.as_ref());
        match (side, tree) {
            (PairSide::Directory(index), Some(tree)) => tree.files(index),
            _ => Vec::new(),
        }
    }

    fn compare(&self, id: RootId, pair: DirectoryPair, source_files: &[FileEntry], depth: Depth) -> Outcome {
        let files = self.local_files(id, pair.destination);
        let source = OpenedSide { table: self.remote_table(id), files: source_files };
        compare_directory(id, pair, source, OpenedSide { table: self.local_table(id), files: &files }, depth)
    }

    async fn batch<'p>(
        &self,
        pairs: &'p [(RootId, DirectoryPair)],
        contents: Option<&[Vec<SubtreeHash>]>,
        anew: Option<DigestAlgorithm>,
        last: bool,
    ) -> Result<Batch<'p>, RunError> {
        let mut weight = 0;
        let directories = pairs.iter().map(|(id, pair)| self.ask(*id, pair, anew.is_some(), &mut weight)).collect();
        let request = BranchRequest { directories, algorithm: anew.map(|a| a.name().to_owned()), last };
        let reading = Reading::default();
        let fetched = fetch_branches(self.peer, self.remote, contents, &request, |files| {
            if let Some(algorithm) = anew {
                reading.start(self, pairs, &request, files, algorithm);
            }
        });
        let opened = fetched.await?;
        Ok(Batch { pairs, opened, ours: reading.finish().await? })
    }

    fn ask(&self, id: RootId, pair: &DirectoryPair, with_leaves: bool, weight: &mut usize) -> BranchDirectory {
        let root = self.remote.root(id).map_or(u32::MAX, |(number, _)| number);
        let directory = match pair.source {
            PairSide::Directory(index) => index.0,
            PairSide::Missing | PairSide::Unlisted(_) => u32::MAX,
        };
        let leaves = with_leaves.then(|| self.local_files(id, pair.destination)).filter(|files| !files.is_empty());
        let leaves = leaves.filter(|files| {
            *weight += files.iter().map(|file| LEAF_BYTES + file.name.as_bytes().len()).sum::<usize>();
            *weight <= MAX_LEAF_BYTES
        });
        BranchDirectory { root, directory, leaves: leaves.map(|files| FileRecords::of(&files)) }
    }
}

impl Batch<'_> {
    fn compare(self, opener: &Opener<'_>, depth: Depth) -> Outcome {
        let mut theirs: HashMap<(usize, Name), Result<FileDigests, Problem>> =
            self.opened.reads.into_iter().map(|read| ((read.directory, read.name), read.outcome)).collect();
        let mut ours = self.ours;
        let mut outcome = Outcome::default();
        for (position, ((id, pair), files)) in self.pairs.iter().zip(&self.opened.files).enumerate() {
            let mut directory = opener.compare(*id, *pair, files, depth);
            if depth == Depth::Content {
                let local = opener.local_files(*id, pair.destination);
                for (s, d) in differing_leaves(files, &local) {
                    let (Some(source), Some(destination)) = (files[s].digest(), local[d].digest()) else { continue };
                    let key = (position, files[s].name.clone());
                    let source = TwoReads { first: source, second: theirs.remove(&key) };
                    let destination = TwoReads { first: destination, second: ours.remove(&key) };
                    settle_named(&mut directory, &key.1, &source, &destination);
                }
            }
            outcome.absorb(directory);
        }
        outcome
    }
}

/// A directory's differences are in the order of its names, so the one of a file is found without a search through all.
fn settle_named(outcome: &mut Outcome, name: &Name, source: &TwoReads, destination: &TwoReads) {
    let named = |difference: &Difference| difference.url.path.names().last().cmp(&Some(name.as_bytes()));
    if let Ok(at) = outcome.differences.binary_search_by(named) {
        settle(outcome, at, source, destination);
    }
}

/// The destination's own second reads, running beside the source's.
#[derive(Default)]
struct Reading {
    job: Mutex<Option<Job>>,
}

type Reads = HashMap<(usize, Name), Result<FileDigests, Problem>>;

struct Job {
    context: Context,
    result: tokio::task::JoinHandle<Result<Reads, BuildFailure>>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.context.cancel.cancel();
    }
}

impl Reading {
    /// Starts once: an answer that has to be fetched again names the same files.
    fn start(
        &self,
        opener: &Opener<'_>,
        pairs: &[(RootId, DirectoryPair)],
        request: &BranchRequest,
        files: &[Vec<FileEntry>],
        algorithm: DigestAlgorithm,
    ) {
        let mut job = self.job.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if job.is_some() {
            return;
        }
        let mut keys = Vec::new();
        let mut targets = Vec::new();
        for (position, ((id, pair), files)) in pairs.iter().zip(files).enumerate() {
            // Without leaves the source reads nothing anew, and one fresh digest alone is no evidence.
            if request.directories[position].leaves.is_none() {
                continue;
            }
            let PairSide::Directory(index) = pair.destination else { continue };
            let local = opener.local_files(*id, pair.destination);
            for (_, d) in differing_leaves(files, &local) {
                targets.extend(Target::new(*id, index, &local[d]));
                keys.push((position, local[d].name.clone()));
            }
        }
        let context = Context::default();
        let (manifest, work, threads) = (Arc::clone(opener.local), context.clone(), opener.threads);
        let result = tokio::spawn(async move {
            if targets.is_empty() {
                return Ok(Reads::new());
            }
            let reads = in_pool(threads, move || {
                let reads = Mutex::new(Reads::new());
                read_anew(&manifest, &targets, algorithm, &work, &|at, outcome| {
                    reads.lock().unwrap_or_else(|p| p.into_inner()).insert(keys[at].clone(), outcome);
                })
                .map(|()| reads.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()))
            });
            reads.await?.map_err(|_| BuildFailure::Cancelled)
        });
        *job = Some(Job { context, result });
    }

    async fn finish(self) -> Result<Reads, BuildFailure> {
        let job = self.job.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        let Some(mut job) = job else { return Ok(Reads::new()) };
        (&mut job.result).await.map_err(|error| BuildFailure::Failed(error.to_string()))?
    }
}
