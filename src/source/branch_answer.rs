//! The source's answer to a branch request: files from the manifest, and files whose leaves differ read a second time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;

use super::offers::Offer;
use crate::manifest::{BlockError, DirectoryIndex, Manifest, SecondRead, decode_block, differing_leaves, read_again};
use crate::model::{ContentDigest, DigestAlgorithm, Problem, RootId, UnknownAlgorithm};
use crate::protocol::{
    BRANCH_BATCH, BranchFrame, BranchRequest, FileRead, FrameError, ReadOutcome, SourceFailure, encode_frame,
};
use crate::scan::{Context, FileDigests};
use crate::work::{Phase, Threads, blocking, in_pool};

/// How often the destination hears of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Why a branch request is refused.
#[derive(Debug, thiserror::Error)]
pub enum BranchError {
    /// Not a branch request.
    #[error("not a branch request: {0}")]
    Body(#[from] FrameError),
    /// Leaves that are none.
    #[error("not a branch request: {0}")]
    Leaves(#[from] BlockError),
    /// An algorithm this source does not know.
    #[error(transparent)]
    Algorithm(#[from] UnknownAlgorithm),
    /// Too many directories.
    #[error("{0} directories are more than the {BRANCH_BATCH} a request may open")]
    TooMany(usize),
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
    /// No thread could be had, or the work died.
    #[error("{0}")]
    Died(String),
}

/// A directory of a request, found in the manifest.
struct Asked {
    root: RootId,
    directory: DirectoryIndex,
    /// Of its files; `None` where it has none.
    block: Option<Arc<[u8]>>,
}

/// Checks a request and answers it as a stream of frames.
pub async fn answer_branches(
    offer: Arc<Offer>,
    threads: Threads,
    body: Bytes,
) -> Result<impl Stream<Item = Bytes> + Send + use<>, BranchError> {
    let manifest = offer.build.manifest().ok_or(BranchError::NotReady)?;
    let (wanted, walked) = (Arc::clone(&offer), Arc::clone(&manifest));
    // Directories are unpacked and compared, which takes as long as they are large.
    let found = blocking(move || {
        let request = BranchRequest::decode(&body)?;
        let algorithm = request.algorithm.as_deref().map(str::parse::<DigestAlgorithm>).transpose()?;
        if algorithm.is_some() && wanted.build.phase() != Phase::Done {
            return Err(BranchError::NotReady);
        }
        let (asked, targets) = find(&walked, request.directories)?;
        Ok((algorithm, request.last, asked, targets))
    });
    let (algorithm, last, asked, targets) = found.await.map_err(|died| BranchError::Died(died.to_string()))??;
    if last && offer.build.phase() != Phase::Done {
        // The destination found what it needs in the metadata: nobody will ask for the content.
        offer.build.cancel();
    }
    Ok(stream(offer, manifest, asked, algorithm.map(|algorithm| (algorithm, targets)), threads))
}

type SecondReads = Vec<(u32, SecondRead)>;

fn find(
    manifest: &Manifest,
    directories: Vec<crate::protocol::BranchDirectory>,
) -> Result<(Vec<Asked>, SecondReads), BranchError> {
    if directories.len() > BRANCH_BATCH {
        return Err(BranchError::TooMany(directories.len()));
    }
    let mut seen = HashSet::new();
    let (mut asked, mut targets) = (Vec::with_capacity(directories.len()), Vec::new());
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
        if let Some(leaves) = wanted.leaves {
            let (files, leaves) = (tree.files(directory), decode_block(&leaves)?);
            let differing = differing_leaves(&files, &leaves).into_iter();
            targets.extend(differing.filter_map(|(at, _)| {
                SecondRead::new(root.id, directory, &files[at]).map(|target| (position, target))
            }));
        }
        let block = (tree.table().get(directory).files > 0).then(|| tree.block(directory));
        asked.push(Asked { root: root.id, directory, block });
    }
    Ok((asked, targets))
}

fn stream(
    offer: Arc<Offer>,
    manifest: Arc<Manifest>,
    asked: Vec<Asked>,
    second: Option<(DigestAlgorithm, SecondReads)>,
    threads: Threads,
) -> impl Stream<Item = Bytes> + Send {
    async_stream::stream! {
        let _listener = offer.listen();
        tracing::debug!(manifest = %offer.id, directories = asked.len(), "branches are opened");
        for (position, directory) in (0..).zip(&asked) {
            tracing::trace!(root = %directory.root, directory = directory.directory.0, "a branch is opened");
            for frame in directory.block.iter().flat_map(|block| BranchFrame::of_block(position, block)) {
                yield encode_frame(&frame);
            }
        }
        yield encode_frame(&BranchFrame::FilesEnd);
        if let Some((algorithm, targets)) = second.filter(|(_, targets)| !targets.is_empty()) {
            let context = Context::of(offer.build.engine());
            // Stops the reading where the destination hangs up and this stream is dropped.
            let _stop = CancelOnDrop(context.clone());
            let (sender, mut results) = mpsc::unbounded_channel();
            let work = context.clone();
            let job = in_pool(threads, move || {
                let (positions, targets): (Vec<u32>, Vec<SecondRead>) = targets.into_iter().unzip();
                read_again(&manifest, &targets, algorithm, &work, &|at, outcome| {
                    // Nobody listens any more once the destination has hung up.
                    let _ = sender.send(file_read(positions[at], &targets[at], outcome));
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
                let failure = SourceFailure { code: "read-failed".to_owned(), message: died.to_string() };
                yield encode_frame(&BranchFrame::Error(failure));
                return;
            }
        }
        yield encode_frame(&BranchFrame::End);
    }
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
                Some(ContentDigest::Blake3(_)) | None => Vec::new(),
            };
            ReadOutcome::Digests(digests.blake3, other)
        }
        Err(problem) => ReadOutcome::Problem(problem),
    };
    FileRead { directory, name: target.name().as_bytes().to_vec(), outcome }
}
