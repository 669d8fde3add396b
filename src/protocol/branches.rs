//! The branch request: opened directories, their files, and files read a second time.

use bytes::Bytes;

use super::BRANCH_BATCH;
use super::frame::{Frame, FrameError, FrameReader};
use super::source_failure::SourceFailure;
use crate::manifest::{CodecError, Reader, TaggedError, Writer, decode_problem, encode_block, split_block};
use crate::model::{Blake3Digest, FileEntry, Problem};

/// The largest body of a branch request a source accepts, in bytes.
pub const MAX_BRANCH_REQUEST_BYTES: usize = 64 << 20;

/// The largest block that is sent as it is, in bytes: with it a frame stays below its limit. The files of a larger one are
/// sent as several blocks of [`FILES_PER_BLOCK`] files.
pub const MAX_SENT_BLOCK_BYTES: usize = 4 << 20;

/// How many files a block holds at most where a directory takes several: the longest names and problems stay below the limit.
pub const FILES_PER_BLOCK: usize = 4096;

/// The body of `POST /manifests/{manifestId}/branches`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchRequest {
    /// Directories of the manifest, at most [`super::BRANCH_BATCH`].
    pub directories: Vec<BranchDirectory>,
    /// The algorithm for files whose leaves differ: its name as the Sidecar spells it. `None`: nothing is read a second time.
    pub algorithm: Option<String>,
    /// The destination asks for nothing more: the source may forget the manifest, and stop what it still hashes.
    pub last: bool,
}

/// A directory to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchDirectory {
    /// The root's number in the manifest stream.
    pub root: u32,
    /// The directory's index in the root.
    pub directory: u32,
    /// The block of the destination's own files in it. `None` where it has none, or where there are too many to send; then
    /// nothing is read a second time here.
    pub leaves: Option<Bytes>,
}

impl BranchRequest {
    /// The body.
    pub fn encode(&self) -> Vec<u8> {
        let places: Vec<(u32, u32)> = self.directories.iter().map(|asked| (asked.root, asked.directory)).collect();
        let leaves = self.directories.iter().map(|asked| asked.leaves.as_deref().map(serde_bytes::Bytes::new));
        let leaves: Vec<Option<&serde_bytes::Bytes>> = leaves.collect();
        let record = Writer::default().with(1, &places).with(2, &leaves);
        record.with_some(3, self.algorithm.as_ref()).with(4, &self.last).finish()
    }

    /// Reads a body of at most [`MAX_BRANCH_REQUEST_BYTES`]. The leaves are pieces of the body, not copies.
    pub fn decode(body: &Bytes) -> Result<Self, BranchRequestError> {
        let mut fields = Reader::<MAX_BRANCH_REQUEST_BYTES>::new(body)?;
        let (places, leaves) = (fields.list::<(u32, u32)>(1)?, fields.list::<Option<&serde_bytes::Bytes>>(2)?);
        let (algorithm, last) = (fields.optional(3)?, fields.required(4)?);
        fields.finish()?;
        if places.left() != leaves.left() {
            return Err(BranchRequestError::Lengths);
        }
        // Before anything is made of them.
        if places.left() > BRANCH_BATCH as u64 {
            return Err(BranchRequestError::TooMany(places.left()));
        }
        let (places, leaves) = (places.all()?, leaves.all()?);
        let asked = places.into_iter().zip(leaves);
        let directories = asked.map(|((root, directory), leaves)| {
            let leaves = leaves.map(|leaves| body.slice_ref(leaves));
            BranchDirectory { root, directory, leaves }
        });
        Ok(Self { directories: directories.collect(), algorithm, last })
    }
}

/// Why a body is no branch request.
#[derive(Debug, thiserror::Error)]
pub enum BranchRequestError {
    /// The record does not decode.
    #[error(transparent)]
    Record(#[from] TaggedError),
    /// Another number of leaves than of directories.
    #[error("there are not as many lists of files as directories")]
    Lengths,
    /// Too many directories.
    #[error("{0} directories are more than the {BRANCH_BATCH} a request may open")]
    TooMany(u64),
}

impl From<CodecError> for BranchRequestError {
    fn from(error: CodecError) -> Self {
        Self::Record(error.into())
    }
}

/// One frame of the answer: first the files of all directories asked for, then the files read a second time, then the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BranchFrame {
    /// Files of the directory at this position of the request, as a block; a directory may take several, of consecutive
    /// files, and one without files takes none.
    Files(u32, Vec<u8>),
    /// All files of all directories were sent.
    FilesEnd,
    /// A file read a second time.
    Read(FileRead),
    /// How many bytes were read a second time so far; at least one a second.
    Progress(u64),
    /// The answer is complete.
    End,
    /// The source gave up.
    Error(SourceFailure),
}

impl BranchFrame {
    /// The frames of a directory's files, made one by one: its block as it is, where that fits a frame.
    pub fn of_block(position: u32, block: &[u8]) -> impl Iterator<Item = Self> {
        let whole = (block.len() <= MAX_SENT_BLOCK_BYTES).then(|| block.to_vec());
        // One's own block is sound.
        let pages = whole.is_none().then(|| split_block(block, FILES_PER_BLOCK));
        whole.into_iter().chain(pages.into_iter().flatten()).map(move |block| Self::Files(position, block))
    }

    /// The frames of a directory's files, block by block.
    pub fn of_files(position: u32, files: &[FileEntry]) -> Vec<Self> {
        files.chunks(FILES_PER_BLOCK).map(|files| Self::Files(position, encode_block(files))).collect()
    }
}

/// A file read a second time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRead {
    /// The position of its directory in the request.
    pub directory: u32,
    /// Its name there.
    pub name: Vec<u8>,
    /// What came of it.
    pub outcome: ReadOutcome,
}

/// What came of reading a file a second time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadOutcome {
    /// BLAKE3, and the digest asked for: 16 bytes of MD5, or 4 of XXHash32, little-endian.
    Digests(Blake3Digest, Vec<u8>),
    /// Why there are none.
    Problem(Problem),
}

const FILES: u32 = 1;
const FILES_END: u32 = 2;
const READ: u32 = 3;
const PROGRESS: u32 = 4;
const END: u32 = 5;
const ERROR: u32 = 6;

impl Frame for BranchFrame {
    fn write(&self) -> (u32, Writer) {
        let record = Writer::default();
        match self {
            Self::Files(position, block) => (FILES, record.with(1, position).with_bytes(2, block.as_slice())),
            Self::FilesEnd => (FILES_END, record),
            Self::Read(read) => (READ, read.write(record)),
            Self::Progress(bytes) => (PROGRESS, record.with(1, bytes)),
            Self::End => (END, record),
            Self::Error(failure) => (ERROR, failure.write(record)),
        }
    }

    fn read(kind: u32, fields: &mut FrameReader) -> Result<Option<Self>, FrameError> {
        Ok(Some(match kind {
            FILES => Self::Files(fields.required(1)?, fields.bytes(2)?),
            FILES_END => Self::FilesEnd,
            READ => Self::Read(FileRead::read(fields)?),
            PROGRESS => Self::Progress(fields.required(1)?),
            END => Self::End,
            ERROR => Self::Error(SourceFailure::read(fields)?),
            _ => return Ok(None),
        }))
    }
}

impl FileRead {
    fn write(&self, record: Writer) -> Writer {
        let record = record.with(1, &self.directory).with_bytes(2, self.name.as_slice());
        match &self.outcome {
            ReadOutcome::Digests(blake3, other) => record.with_bytes(3, blake3.0).with_bytes(4, other.as_slice()),
            ReadOutcome::Problem(problem) => record.with(5, &(problem.reason.code(), problem.detail.as_str())),
        }
    }

    fn read(fields: &mut FrameReader) -> Result<Self, FrameError> {
        let (directory, name) = (fields.required(1)?, fields.bytes(2)?);
        let outcome = match fields.optional(5)? {
            Some(problem) => ReadOutcome::Problem(decode_problem(problem)?),
            None => {
                let blake3 = fields.bytes(3)?.try_into().map_err(|_| TaggedError::Field(3))?;
                ReadOutcome::Digests(Blake3Digest(blake3), fields.bytes(4)?)
            }
        };
        Ok(Self { directory, name, outcome })
    }
}
