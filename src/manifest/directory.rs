//! One directory of a table, where it stands in it, and what lies below it.

use super::hash::SubtreeHash;
use crate::model::{Name, Problem, Reason};

/// The most directories a table may hold.
pub(super) const MAX_DIRECTORIES: usize = 1 << 24;

/// The position of a directory in its table. The root is 0; everything below a directory follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryIndex(pub u32);

impl DirectoryIndex {
    /// The root of the table.
    pub const ROOT: Self = Self(0);

    /// As a position in a slice.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// One directory.
#[derive(Debug, Clone)]
pub struct Directory {
    /// The directory it is in; the root is its own parent.
    pub parent: DirectoryIndex,
    /// Its name there; `None` for the root.
    pub name: Option<Name>,
    /// It is a symbolic link to a directory: listed, never entered.
    pub link: bool,
    /// Entries directly in it that are not directories.
    pub files: u64,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
    /// The metadata hash.
    pub metadata: SubtreeHash,
    /// Why it could not be listed.
    pub unlisted: Option<Problem>,
}

impl Directory {
    /// Why nobody knows what is in it. `None` where it was listed, and for a root that leads nowhere: in that one nothing is.
    pub fn hidden(&self) -> Option<&Problem> {
        self.unlisted.as_ref().filter(|problem| self.name.is_some() || problem.reason != Reason::Vanished)
    }

    /// Whether both records say the same, their hashes included; see [`SubtreeHash::is_same_claim_as`].
    pub fn is_same_claim_as(&self, other: &Self) -> bool {
        let Self { parent, name, link, files, bytes, metadata, unlisted } = self;
        (parent, name, link, files, bytes, unlisted)
            == (&other.parent, &other.name, &other.link, &other.files, &other.bytes, &other.unlisted)
            && metadata.is_same_claim_as(&other.metadata)
    }
}

/// Sums over everything below a directory, the directory itself not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Entries that are not directories.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

impl Totals {
    /// Both together; `None` where a sum does not fit 64 bits: no disk holds that.
    pub fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            files: self.files.checked_add(other.files)?,
            directories: self.directories.checked_add(other.directories)?,
            bytes: self.bytes.checked_add(other.bytes)?,
        })
    }
}
