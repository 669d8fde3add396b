//! What is known of one entry on one side.

use serde::{Deserialize, Serialize};

use super::{Blake3Digest, Name, Problem};

/// The kind of an entry as the Sidecar lists it. A symbolic link has the kind of what it points to; a pipe, socket or
/// device is listed as a file and can never be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum EntryKind {
    /// Anything that is not a directory.
    File,
    /// A directory, or a symbolic link to one.
    Directory,
}

/// What is known of a file's bytes. Only [`Content::Digest`] can ever take part in a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nobody has read the file yet.
    NotRead,
    /// The digest of a read during which the file did not change.
    Digest(Blake3Digest),
    /// It was tried and could not be read.
    Unverified(Problem),
}

/// What a walk learned of an entry that is not a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// Its metadata is known.
    File {
        /// Bytes.
        size: u64,
        /// Modification time, milliseconds since the epoch, rounded down.
        modified_ms: i64,
        /// What is known of its bytes.
        content: Content,
    },
    /// Not even its metadata could be read: a dangling link, or a failing disk.
    Unlistable(Problem),
}

/// An entry of a directory that is not itself a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Its name in the directory.
    pub name: Name,
    /// What is known of it.
    pub listed: Listed,
}

impl FileEntry {
    /// Size in bytes; 0 where it could not be learned.
    pub fn size(&self) -> u64 {
        match self.listed {
            Listed::File { size, .. } => size,
            Listed::Unlistable(_) => 0,
        }
    }

    /// Why its content could not be learned, or not even what it is.
    pub fn problem(&self) -> Option<&Problem> {
        match &self.listed {
            Listed::Unlistable(problem) | Listed::File { content: Content::Unverified(problem), .. } => Some(problem),
            Listed::File { .. } => None,
        }
    }

    /// The digest, where the file was read and did not change.
    pub fn digest(&self) -> Option<Blake3Digest> {
        match self.listed {
            Listed::File { content: Content::Digest(digest), .. } => Some(digest),
            _ => None,
        }
    }
}
