//! The branch request: opened directories, their files, and files read anew.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::manifests::SourceFailure;
use crate::manifest::FileRecords;

/// The largest body of a branch request a source accepts, in bytes.
pub const MAX_BRANCH_REQUEST_BYTES: usize = 64 << 20;

/// The body of `POST /manifests/{manifestId}/branches`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchRequest {
    /// Directories of the manifest, at most [`super::BRANCH_BATCH`].
    pub directories: Vec<BranchDirectory>,
    /// The algorithm for files whose leaves differ: its name as the Sidecar spells it. `None`: nothing is read anew.
    pub algorithm: Option<String>,
    /// The destination asks for nothing more: the source may forget the manifest, and stop what it still hashes.
    pub last: bool,
}

/// A directory to open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchDirectory {
    /// The root's number in the manifest stream.
    pub root: u32,
    /// The directory's index in the root.
    pub directory: u32,
    /// The destination's own files in it. `None` where it has none, or where there are too many to send; then nothing
    /// is read anew here.
    pub leaves: Option<FileRecords>,
}

/// One frame of the answer: first the files of all directories asked for, then the files read anew, then the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BranchFrame {
    /// Files of the directory at this position of the request, in order; a directory may take several frames, and one
    /// without files takes none.
    Files(u32, FileRecords),
    /// All files of all directories were sent.
    FilesEnd,
    /// A file read anew.
    Read(FileRead),
    /// How many bytes were read anew so far; at least one a second.
    Progress(u64),
    /// The answer is complete.
    End,
    /// The source gave up.
    Error(SourceFailure),
}

/// A file read anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRead {
    /// The position of its directory in the request.
    pub directory: u32,
    /// Its name there.
    pub name: ByteBuf,
    /// What came of it.
    pub outcome: ReadOutcome,
}

/// What came of reading a file anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReadOutcome {
    /// BLAKE3, and the digest asked for: 16 bytes of MD5, or 4 of XXHash32, little-endian.
    Digests([u8; 32], ByteBuf),
    /// A reason's number, and its detail.
    Problem(u8, String),
}
