//! What the rows of the tables are made of.

use std::sync::Arc;

use crate::manifest::{Identity, SubtreeHash};
use crate::model::{FileEntry, RelPath, RootId, Selection, Side, TableDirectory};

/// What all rows of a manifest have in common.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The run that it is part of.
    pub run: Option<String>,
    /// The pair that it is part of, and which side of it.
    pub pair: Option<(String, Side)>,
    /// The cluster that it is of.
    pub cluster: Option<String>,
    /// What it is of.
    pub identity: Identity,
}

impl Origin {
    pub(super) fn selection(&self) -> Option<String> {
        self.identity.selection.as_ref().map(|selection| Selection::names(selection).join(","))
    }
}

/// Where a directory lies, in the words of Cassandra where its root has keyspaces.
#[derive(Debug)]
pub struct DirectoryFacts {
    /// The root.
    pub root: RootId,
    /// The directory.
    pub path: RelPath,
}

impl DirectoryFacts {
    fn name(&self, at: usize) -> Option<&[u8]> {
        self.path.names().nth(at).filter(|_| Selection::covers(self.root))
    }

    pub(super) fn keyspace(&self) -> Option<&[u8]> {
        self.name(0)
    }

    pub(super) fn table_name(&self) -> Option<&[u8]> {
        let directory = self.name(1)?;
        Some(TableDirectory::parse(directory).map_or(directory, |parsed| parsed.table.as_bytes()))
    }

    pub(super) fn table_id(&self) -> Option<&str> {
        TableDirectory::parse(self.name(1)?)?.id
    }
}

/// A file.
#[derive(Debug)]
pub struct FileRow {
    /// The directory it is in.
    pub directory: Arc<DirectoryFacts>,
    /// The file.
    pub file: FileEntry,
}

impl FileRow {
    /// The path from the root.
    pub(super) fn key(&self) -> Vec<u8> {
        let (directory, name) = (self.directory.path.as_bytes(), self.file.name.as_bytes());
        match directory.is_empty() {
            true => name.to_vec(),
            false => [directory, b"/", name].concat(),
        }
    }
}

/// What is known of a directory as such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectoryState {
    /// It was listed.
    Listed,
    /// It was listed, and it is not known that it held just that all the while.
    Changed(String),
    /// It could not be listed: nobody knows what is in it.
    Unlisted(String),
    /// It is a root that leads nowhere: nothing is in it.
    Nowhere(String),
    /// It is a root that is not there.
    Absent,
}

impl DirectoryState {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Changed(_) => "changed",
            Self::Unlisted(_) => "unlisted",
            Self::Nowhere(_) => "nowhere",
            Self::Absent => "absent",
        }
    }

    pub(super) fn error(&self) -> Option<&str> {
        match self {
            Self::Listed | Self::Absent => None,
            Self::Changed(why) | Self::Unlisted(why) | Self::Nowhere(why) => Some(why),
        }
    }
}

/// A directory.
#[derive(Debug)]
pub struct DirectoryRow {
    /// Where it lies.
    pub directory: DirectoryFacts,
    /// The metadata hash.
    pub metadata: SubtreeHash,
    /// The content hash.
    pub content: SubtreeHash,
    /// Entries directly in it that are not directories.
    pub files: u64,
    /// The sum of their sizes.
    pub bytes: u64,
    /// It is a symbolic link: not entered.
    pub link: bool,
    /// What is known of it.
    pub state: DirectoryState,
}
