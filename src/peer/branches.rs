//! Opening branches at the source: their files, checked against the hashes they must give, and files read a second time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::allowance::Held;
use super::assembly::{Contents, RemoteManifest};
use super::client::{Frames, Peer};
use super::error::PeerError;
use super::weight;
use crate::manifest::{DirectoryIndex, DirectoryTable, decode_block};
use crate::model::{ContentDigest, DigestAlgorithm, FileEntry, Name, Problem};
use crate::net::{Brought, Patience, Retries};
use crate::protocol::{BRANCHES_MEDIA_TYPE, BranchDirectory, BranchFrame, BranchRequest, ReadOutcome, routes};
use crate::scan::FileDigests;
use crate::work::blocking;

/// A file the source read a second time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteRead {
    /// The position of its directory in the request.
    pub directory: usize,
    /// Its name there.
    pub name: Name,
    /// Its digests now, or why there are none.
    pub outcome: Result<FileDigests, Problem>,
}

/// The answer to one branch request.
#[derive(Debug)]
pub struct OpenedBranches {
    /// The files of each directory asked for, in the order asked.
    pub files: Arc<Vec<Vec<FileEntry>>>,
    /// The files read a second time.
    pub reads: Vec<RemoteRead>,
    _held: Held,
}

/// Opens the directories of a request. `on_files` is called once all files are known, before any was read a second time, so
/// that both sides can read at the same time; it may be called again where the connection breaks.
///
/// `contents`, where given, are the source's content hashes, which the files must then give.
pub async fn fetch_branches(
    peer: &Peer,
    manifest: Arc<RemoteManifest>,
    contents: Option<Arc<Contents>>,
    request: Arc<BranchRequest>,
    mut on_files: impl FnMut(&Arc<Vec<Vec<FileEntry>>>),
) -> Result<OpenedBranches, PeerError> {
    let body = Bytes::from(request.encode());
    let mut borne = Borne { retries: peer.retries(), patience: peer.patience() };
    let path = routes::branches(manifest.id);
    let fetch = Fetch { peer, path, manifest, contents, request };
    loop {
        match fetch.attempt(body.clone(), &mut borne, &mut on_files).await {
            Ok(opened) => return Ok(opened),
            Err(error) => tokio::time::sleep(borne.retries.after(error)?).await,
        }
    }
}

/// What is borne of the source in one request, over all its attempts.
struct Borne {
    retries: Retries,
    patience: Patience,
}

impl Borne {
    /// So much came in this attempt.
    fn brought(&mut self, so_far: Brought) {
        self.retries.delivered(so_far.files.saturating_add(so_far.bytes));
        self.patience.brought(so_far, Instant::now());
    }
}

struct Fetch<'a> {
    peer: &'a Peer,
    path: String,
    manifest: Arc<RemoteManifest>,
    contents: Option<Arc<Contents>>,
    request: Arc<BranchRequest>,
}

impl Fetch<'_> {
    async fn attempt(
        &self,
        body: Bytes,
        borne: &mut Borne,
        on_files: &mut impl FnMut(&Arc<Vec<Vec<FileEntry>>>),
    ) -> Result<OpenedBranches, PeerError> {
        let answer = self.peer.post_for_frames(&self.path, BRANCHES_MEDIA_TYPE, body, BRANCHES_MEDIA_TYPE);
        let mut frames = self.peer.in_time(&self.path, &borne.patience, answer).await?;
        let mut held = self.peer.hold();
        let files = self.check(self.files(&mut frames, &mut held, borne).await?).await?;
        on_files(&files);
        let listed = files.iter().map(Vec::len).sum::<usize>() as u64;
        let listed_bytes = files.iter().flatten().map(FileEntry::size).fold(0, u64::saturating_add);
        let (mut reads, mut read_already) = (Vec::new(), HashSet::new());
        loop {
            match self.next(&mut frames, borne).await? {
                BranchFrame::Read(read) => {
                    held.take(weight::of_read(&read)).map_err(self.peer.too_much(&self.path))?;
                    let position = read.directory as usize;
                    let name = Name::new(&read.name).map_err(|_| self.broken("a name that is none"))?;
                    let known =
                        files.get(position).and_then(|files| files.binary_search_by(|file| file.name.cmp(&name)).ok());
                    let at = known.ok_or_else(|| self.broken("a file was read that is not in its directory"))?;
                    if !read_already.insert((position, at)) {
                        return Err(self.broken("a file was read a second time twice"));
                    }
                    let outcome = self.outcome(read.outcome)?;
                    reads.push(RemoteRead { directory: position, name, outcome });
                }
                BranchFrame::Progress(bytes) => {
                    // No more than there is to read.
                    borne.brought(Brought { files: listed, bytes: bytes.min(listed_bytes), directories: 0 });
                }
                BranchFrame::End => return Ok(OpenedBranches { files, reads, _held: held }),
                other => return Err(self.unexpected(other)),
            }
        }
    }

    async fn next(&self, frames: &mut Frames, borne: &Borne) -> Result<BranchFrame, PeerError> {
        self.peer.in_time(&self.path, &borne.patience, frames.next()).await
    }

    async fn files(
        &self,
        frames: &mut Frames,
        held: &mut Held,
        borne: &mut Borne,
    ) -> Result<Vec<Vec<FileEntry>>, PeerError> {
        let mut all: Vec<Vec<FileEntry>> = vec![Vec::new(); self.request.directories.len()];
        let mut listed = 0;
        loop {
            match self.next(frames, borne).await? {
                BranchFrame::Files(position, block) => {
                    let files = decode_block(&block).map_err(|error| self.broken(&error.to_string()))?;
                    held.take(weight::of_files(&files)).map_err(self.peer.too_much(&self.path))?;
                    let known = all.get_mut(position as usize);
                    let known = known.ok_or_else(|| self.broken("files of a directory nobody asked for"))?;
                    // Each list is sorted in itself.
                    if known.last().zip(files.first()).is_some_and(|(last, first)| last.name >= first.name) {
                        return Err(self.broken("files out of order"));
                    }
                    listed += files.len() as u64;
                    known.extend(files);
                    // Before more of them are taken: a source must not make us hold what it never announced.
                    if known.len() as u64 > self.announced(position as usize)? {
                        return Err(self.broken("more files in a directory than it said before"));
                    }
                    borne.brought(Brought { files: listed, ..Brought::default() });
                }
                BranchFrame::Progress(_) => {}
                BranchFrame::FilesEnd => break,
                other => return Err(self.unexpected(other)),
            }
        }
        Ok(all)
    }

    /// The files, if they are those of the directories asked for. Hashes them, and so runs on a thread that may take its
    /// time.
    async fn check(&self, files: Vec<Vec<FileEntry>>) -> Result<Arc<Vec<Vec<FileEntry>>>, PeerError> {
        let (manifest, all) = (Arc::clone(&self.manifest), self.contents.clone());
        let request = Arc::clone(&self.request);
        let checked = blocking(move || {
            for (asked, files) in request.directories.iter().zip(&files) {
                let table = table(&manifest, asked).ok_or("no such root")?;
                let contents = all.as_ref().map(|all| all.of_root(asked.root as usize));
                let index = DirectoryIndex(asked.directory);
                let id = manifest.roots.get(asked.root as usize).map(|(id, _)| *id);
                let excused = |index| all.as_ref().zip(id).is_some_and(|(all, id)| all.has_problem(id, index));
                table.check_files(index, files, contents, excused).map_err(|error| {
                    let path = table.path(index);
                    format!("the entries of directory \"{path}\" do not fit what it said before: {error}")
                })?;
            }
            Ok::<_, String>(files)
        });
        match checked.await {
            Ok(Ok(files)) => Ok(Arc::new(files)),
            Ok(Err(cause)) => Err(self.broken(&cause)),
            Err(died) => Err(self.broken(&format!("the check of its answer died: {died}"))),
        }
    }

    /// How many files the manifest says the directory at this position of the request has.
    fn announced(&self, position: usize) -> Result<u64, PeerError> {
        let asked = &self.request.directories[position];
        let table = table(&self.manifest, asked).ok_or_else(|| self.broken("no such root"))?;
        Ok(table.get(DirectoryIndex(asked.directory)).files)
    }

    fn outcome(&self, outcome: ReadOutcome) -> Result<Result<FileDigests, Problem>, PeerError> {
        match outcome {
            ReadOutcome::Digests(blake3, other) => {
                let algorithm = self.request.algorithm.as_deref().and_then(|name| name.parse().ok());
                let other = match algorithm {
                    Some(DigestAlgorithm::Md5) => other.as_slice().try_into().ok().map(ContentDigest::Md5),
                    Some(DigestAlgorithm::XxHash32) => {
                        other.as_slice().try_into().ok().map(u32::from_le_bytes).map(ContentDigest::XxHash32)
                    }
                    None => None,
                };
                let other = other.ok_or_else(|| self.broken("a digest that was not asked for"))?;
                Ok(Ok(FileDigests { blake3, also: vec![other] }))
            }
            ReadOutcome::Problem(problem) => Ok(Err(problem)),
        }
    }

    fn unexpected(&self, frame: BranchFrame) -> PeerError {
        match frame {
            BranchFrame::Error(failure) => {
                PeerError::Source { peer: self.peer.address().clone(), code: failure.code, message: failure.message }
            }
            _ => self.broken("a frame came where it has no place"),
        }
    }

    fn broken(&self, cause: &str) -> PeerError {
        self.peer.broken(cause)
    }
}

/// The table of a directory asked for, if it has the directory.
fn table<'a>(manifest: &'a RemoteManifest, asked: &BranchDirectory) -> Option<&'a DirectoryTable> {
    let table = manifest.roots.get(asked.root as usize).and_then(|(_, table)| table.as_ref());
    table.filter(|table| table.contains(DirectoryIndex(asked.directory)))
}
