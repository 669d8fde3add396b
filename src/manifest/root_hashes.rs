//! One root of one side as its hashes show it, and how deep a comparison of two looks.

use super::directory::DirectoryIndex;
use super::hash::{HashKind, SubtreeHash};
use super::table::DirectoryTable;

/// How deep a comparison looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Names, kinds, sizes and times.
    Metadata,
    /// These, and the digests of files with the same metadata.
    Content,
}

impl Depth {
    /// The hashes that must be the same for two directories to be.
    pub fn kinds(self) -> &'static [HashKind] {
        match self {
            Self::Metadata => &[HashKind::Metadata],
            Self::Content => &[HashKind::Metadata, HashKind::Content],
        }
    }
}

/// One root of one side: its table and, for [`Depth::Content`], the content hash of each directory.
#[derive(Debug, Clone, Copy)]
pub struct RootHashes<'a> {
    /// The directories.
    pub table: &'a DirectoryTable,
    /// As long as the table for [`Depth::Content`]; not looked at otherwise.
    pub content: &'a [SubtreeHash],
}

impl RootHashes<'_> {
    /// A directory's hash; unproven where the content of the root was not given.
    pub fn hash(&self, kind: HashKind, index: DirectoryIndex) -> SubtreeHash {
        match kind {
            HashKind::Metadata => self.table.get(index).metadata,
            HashKind::Content => self.content.get(index.at()).copied().unwrap_or(SubtreeHash::Unproven),
        }
    }
}
