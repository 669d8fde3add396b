//! The serialised forms of directories and files.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::directory::{Directory, DirectoryIndex};
use super::hash::SubtreeHash;
use crate::model::{Blake3Digest, Content, FileEntry, Listed, Name, PathError, Problem, Reason};

/// Why a record is not what it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A name that no file system can have.
    #[error("a name is not valid: {0}")]
    Name(#[from] PathError),
    /// A number that stands for no reason.
    #[error("{0} stands for no reason")]
    Reason(u8),
    /// A number that stands for no state of a file.
    #[error("{0} stands for no state of a file")]
    State(u8),
    /// Facts of an entry that is said to be unknown.
    #[error("an entry that could not be examined has a size or a time")]
    Unexamined,
    /// Columns of different lengths.
    #[error("the columns of a directory's files have different lengths")]
    Columns,
    /// File names not strictly ascending.
    #[error("the names of a directory's files are not in ascending order")]
    Order,
}

/// A [`Directory`] in a manifest file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DirectoryRecord {
    parent: u32,
    name: ByteBuf,
    link: bool,
    files: u64,
    bytes: u64,
    metadata: Option<[u8; 32]>,
    unlisted: Option<ProblemRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ProblemRecord {
    reason: u8,
    detail: String,
}

impl From<&Problem> for ProblemRecord {
    fn from(problem: &Problem) -> Self {
        Self { reason: problem.reason.code(), detail: problem.detail.clone() }
    }
}

impl TryFrom<ProblemRecord> for Problem {
    type Error = RecordError;

    fn try_from(record: ProblemRecord) -> Result<Self, RecordError> {
        let reason = Reason::from_code(record.reason).ok_or(RecordError::Reason(record.reason))?;
        Ok(Self::new(reason, record.detail))
    }
}

impl From<&Directory> for DirectoryRecord {
    fn from(directory: &Directory) -> Self {
        Self {
            parent: directory.parent.0,
            name: ByteBuf::from(directory.name.as_ref().map_or(&[][..], Name::as_bytes)),
            link: directory.link,
            files: directory.files,
            bytes: directory.bytes,
            metadata: directory.metadata.digest().map(|digest| digest.0),
            unlisted: directory.unlisted.as_ref().map(ProblemRecord::from),
        }
    }
}

impl TryFrom<DirectoryRecord> for Directory {
    type Error = RecordError;

    fn try_from(record: DirectoryRecord) -> Result<Self, RecordError> {
        Ok(Self {
            parent: DirectoryIndex(record.parent),
            name: if record.name.is_empty() { None } else { Some(Name::new(&record.name)?) },
            link: record.link,
            files: record.files,
            bytes: record.bytes,
            metadata: SubtreeHash::from(record.metadata.map(Blake3Digest)),
            unlisted: record.unlisted.map(Problem::try_from).transpose()?,
        })
    }
}

/// The files of one directory, a column for each fact, in ascending order of names.
///
/// `names` are joined by `/`, which no name can hold; `states` has one number for each file: 0 with digest, 1 not read, 2 could
/// not be read, 3 could not even be listed (then size and time are 0). `digests` has 32 bytes for each file in state 0,
/// `problems` one element for each in state 2 or 3.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct FileRecords {
    pub names: Vec<u8>,
    pub states: Vec<u8>,
    pub sizes: Vec<u64>,
    pub times: Vec<i64>,
    pub digests: Vec<u8>,
    pub problems: Vec<ProblemColumn>,
}

/// A problem in a column: its reason's number, and its detail.
pub type ProblemColumn = (u8, String);

/// The problem of a column's element.
pub fn decode_problem((reason, detail): ProblemColumn) -> Result<Problem, RecordError> {
    Problem::try_from(ProblemRecord { reason, detail })
}

pub(super) const DIGEST: u8 = 0;
pub(super) const NOT_READ: u8 = 1;
pub(super) const UNVERIFIED: u8 = 2;
pub(super) const UNLISTABLE: u8 = 3;

impl FileRecords {
    /// The records of a directory's files.
    pub(super) fn of(files: &[FileEntry]) -> Self {
        let mut records = Self::default();
        for (at, file) in files.iter().enumerate() {
            if at > 0 {
                records.names.push(b'/');
            }
            records.names.extend_from_slice(file.name.as_bytes());
            let (state, size, time) = match &file.listed {
                Listed::File { size, modified_ms, content } => {
                    let state = match content {
                        Content::Digest(digest) => {
                            records.digests.extend_from_slice(&digest.0);
                            DIGEST
                        }
                        Content::NotRead => NOT_READ,
                        Content::Unverified(problem) => {
                            records.problems.push((problem.reason.code(), problem.detail.clone()));
                            UNVERIFIED
                        }
                    };
                    (state, *size, *modified_ms)
                }
                Listed::Unlistable(problem) => {
                    records.problems.push((problem.reason.code(), problem.detail.clone()));
                    (UNLISTABLE, 0, 0)
                }
            };
            records.states.push(state);
            records.sizes.push(size);
            records.times.push(time);
        }
        records
    }
}
