//! The source's answer to a branch request: files from the manifest, and files whose leaves differ read a second time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;

use super::offers::Listener;
use crate::manifest::{BlockError, DirectoryIndex, Manifest, SecondRead, Tree, differing_files, read_again};
use crate::model::{ContentDigest, DigestAlgorithm, Problem, RootId, UnknownAlgorithm};
use crate::protocol::{
    BranchDirectory, BranchFrame, BranchRequest, BranchRequestError, FileRead, MAX_SENT_BLOCK_BYTES, ReadOutcome,
    SourceFailure, encode_frame,
};
use crate::scan::{Context, FileDigests, Threads};
use crate::work::{MemoryPermit, OverBudget, Phase, Turns, in_readers};

/// How often the destination hears of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// How many files read a second time are held for a destination that does not take them; the reading waits beyond.
const READS_AHEAD: usize = 256;

/// What a file to be read a second time takes in memory besides its name, in bytes.
const SECOND_READ_BYTES: u64 = size_of::<(u32, SecondRead)>() as u64 + 32;

/// What an answer takes besides blocks and second reads, in bytes: what is written to the connection, and reads ahead.
pub const ANSWER_BYTES: u64 = 256 << 10;

/// Why a branch request is refused.
#[derive(Debug, thiserror::Error)]
pub enum BranchError {
    /// Not a branch request.
    #[error("not a branch request: {0}")]
    Body(#[from] BranchRequestError),
    /// Leaves that are none.
    #[error("not a branch request: {0}")]
    Leaves(#[from] BlockError),
    /// An algorithm this source does not know.
    #[error(transparent)]
    Algorithm(#[from] UnknownAlgorithm),
    /// The same directory more than once.
    #[error("root number {root}, directory {directory}: asked for more than once")]
    Twice {
        /// The root's number.
        root: u32,
        /// The directory's index.
        directory: u32,
    },
    /// A root or directory the manifest does not have.
    #[error("the manifest has no directory {directory} in root number {root}")]
    NoSuchDirectory {
        /// The root's number.
        root: u32,
        /// The directory's index.
        directory: u32,
    },
    /// The walk is not done, or content was asked for before it is known.
    #[error("the manifest is not ready for this request")]
    NotReady,
    /// The answer does not fit into what is left of the memory.
    #[error(transparent)]
    Memory(#[from] OverBudget),
    /// No thread could be had, or the work died.
    #[error("{0}")]
    Died(String),
}

/// A directory of a request, found in the manifest.
struct Asked {
    root: RootId,
    directory: DirectoryIndex,
    has_files: bool,
}

/// Checks a request and answers it as a stream of frames. `memory` is what the answer holds; it grows by what the request makes
/// it hold, and goes with the stream.
pub async fn answer_branches(
    offer: Listener,
    threads: Threads,
    turns: Turns,
    body: Bytes,
    memory: MemoryPermit,
) -> Result<impl Stream<Item = Bytes> + Send + use<>, BranchError> {
    let manifest = offer.build.manifest().ok_or(BranchError::NotReady)?;
    let (is_done, walked) = (offer.build.phase() == Phase::Done, Arc::clone(&manifest));
    // Directories are compared, which takes as long as they are large.
    let found = turns.take(move || {
        let request = BranchRequest::decode(&body)?;
        let algorithm = request.algorithm.as_deref().map(str::parse::<DigestAlgorithm>).transpose()?;
        if algorithm.is_some() && !is_done {
            return Err(BranchError::NotReady);
        }
        let last = request.last;
        let found = find(&walked, request.directories, memory)?;
        Ok((algorithm, last, found))
    });
    let (algorithm, last, found) = found.await.map_err(|died| BranchError::Died(died.to_string()))??;
    if last && offer.build.phase() != Phase::Done {
        // The destination found what it needs in the metadata: nobody will ask for the content.
        offer.build.cancel();
    }
    Ok(stream(offer, manifest, found, algorithm, (threads, turns)))
}

type SecondReads = Vec<(u32, SecondRead)>;

/// What a request asks for, and the memory it holds.
struct Found {
    asked: Vec<Asked>,
    targets: SecondReads,
    memory: MemoryPermit,
}

fn find(
    manifest: &Manifest,
    directories: Vec<BranchDirectory>,
    mut memory: MemoryPermit,
) -> Result<Found, BranchError> {
    let mut seen = HashSet::new();
    let (mut asked, mut targets) = (Vec::with_capacity(directories.len()), Vec::new());
    let mut largest = 0;
    for (position, wanted) in (0..).zip(directories) {
        if !seen.insert((wanted.root, wanted.directory)) {
            return Err(BranchError::Twice { root: wanted.root, directory: wanted.directory });
        }
        let missing = || BranchError::NoSuchDirectory { root: wanted.root, directory: wanted.directory };
        let root = manifest.roots().get(wanted.root as usize).ok_or_else(missing)?;
        let tree = root.tree.as_ref().ok_or_else(missing)?;
        let directory = DirectoryIndex(wanted.directory);
        if !tree.table().contains(directory) {
            return Err(missing());
        }
        let files = tree.table().get(directory).files;
        let cost = block_cost(tree, directory);
        memory.grow(cost.saturating_sub(largest))?;
        largest = largest.max(cost);
        if let Some(leaves) = wanted.leaves {
            let differing = differing_files(&tree.block(directory), &leaves)?;
            // One directory's differing files at a time stand in memory as more than what is held for them.
            let names: usize = differing.iter().map(|file| file.name.as_bytes().len()).sum();
            memory.grow(names as u64 + differing.len() as u64 * SECOND_READ_BYTES)?;
            let reads = differing.iter().filter_map(|file| SecondRead::new(root.id, directory, file));
            targets.extend(reads.map(|target| (position, target)));
        }
        asked.push(Asked { root: root.id, directory, has_files: files > 0 });
    }
    Ok(Found { asked, targets, memory })
}

/// What a directory's block and its frames take in memory at most, in bytes; one directory's at a time stand there. A frame is made from a
/// copy, and packed into another one.
fn block_cost(tree: &Tree, directory: DirectoryIndex) -> u64 {
    let block = tree.block_cost(directory);
    block + 2 * block.min(MAX_SENT_BLOCK_BYTES as u64)
}

fn stream(
    offer: Listener,
    manifest: Arc<Manifest>,
    found: Found,
    second: Option<DigestAlgorithm>,
    (threads, turns): (Threads, Turns),
) -> impl Stream<Item = Bytes> + Send {
    async_stream::stream! {
        let Found { asked, targets, memory: _memory } = found;
        tracing::debug!(manifest = %offer.id, directories = asked.len(), "branches are opened");
        for (position, asked) in (0..).zip(&asked).filter(|(_, asked)| asked.has_files) {
            tracing::trace!(root = %asked.root, directory = asked.directory.0, "a branch is opened");
            let (walked, root, directory) = (Arc::clone(&manifest), asked.root, asked.directory);
            // Only now: of a request for many large directories one block stands in memory.
            let frames = turns.take(move || {
                let block = walked.root(root)?.tree.as_ref()?.block(directory);
                Some(BranchFrame::of_block(position, &block).map(|frame| encode_frame(&frame)).collect::<Vec<_>>())
            });
            let Ok(Some(frames)) = frames.await else {
                yield failed("a directory could not be packed".to_owned());
                return;
            };
            for frame in frames {
                yield frame;
            }
        }
        yield encode_frame(&BranchFrame::FilesEnd);
        if let Some(algorithm) = second.filter(|_| !targets.is_empty()) {
            let context = Context::of(offer.build.engine());
            // Stops the reading where the destination hangs up and this stream is dropped.
            let _stop = CancelOnDrop(context.clone());
            let (sender, mut results) = mpsc::channel(READS_AHEAD);
            let work = context.clone();
            let job = in_readers(threads, move || {
                let (positions, targets): (Vec<u32>, Vec<SecondRead>) = targets.into_iter().unzip();
                read_again(&manifest, &targets, algorithm, &work, &|at, outcome| {
                    // Waits where the destination does not take what was read. Nobody listens any more once it has hung up.
                    let _ = sender.blocking_send(file_read(positions[at], &targets[at], outcome));
                })
            });
            let mut job = std::pin::pin!(job);
            let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
            let mut finished = None;
            loop {
                tokio::select! {
                    biased;
                    Some(read) = results.recv() => yield encode_frame(&BranchFrame::Read(read)),
                    result = &mut job, if finished.is_none() => finished = Some(result),
                    _ = ticks.tick(), if finished.is_none() => {
                        yield encode_frame(&BranchFrame::Progress(context.progress.snapshot().bytes_hashed));
                    }
                    // The channel is drained and closed: the job is done.
                    else => break,
                }
            }
            if let Some(Err(died)) = finished {
                yield failed(died.to_string());
                return;
            }
        }
        yield encode_frame(&BranchFrame::End);
    }
}

/// The last frame of an answer that cannot be given.
fn failed(message: String) -> Bytes {
    encode_frame(&BranchFrame::Error(SourceFailure { code: "read-failed".to_owned(), message }))
}

struct CancelOnDrop(Context);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel.cancel();
    }
}

fn file_read(directory: u32, target: &SecondRead, outcome: Result<FileDigests, Problem>) -> FileRead {
    let outcome = match outcome {
        Ok(digests) => {
            let other = match digests.also.first() {
                Some(ContentDigest::Md5(bytes)) => bytes.to_vec(),
                Some(ContentDigest::XxHash32(value)) => value.to_le_bytes().to_vec(),
                // No task asks for any of the others.
                Some(
                    ContentDigest::Blake3(_)
                    | ContentDigest::Sha1(_)
                    | ContentDigest::Sha256(_)
                    | ContentDigest::Md5OfParts(..),
                )
                | None => Vec::new(),
            };
            ReadOutcome::Digests(digests.blake3, other)
        }
        Err(problem) => ReadOutcome::Problem(problem),
    };
    FileRead { directory, name: target.name().as_bytes().to_vec(), outcome }
}
