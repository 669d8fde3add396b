//! What a walk finds: directories, their files, and what could not be listed.

use super::beneath::RootHandle;
use super::clock::Moment;
use super::directory_look::DirectoryLook;
use super::identity::{FileId, Look};
use super::mounts::Mounts;
use crate::model::{FileEntry, Name, Problem, RelPath};

/// The looks at the files of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Looks {
    /// One for each file, in their order; `None` where there was nothing to look at.
    pub files: Vec<Option<Look>>,
    /// The positions of those to which a symbolic link leads: what stands behind it can become another file, and the directory
    /// shows nothing of that.
    pub targets: Vec<u32>,
}

impl Looks {
    /// The files behind symbolic links, and the looks at them.
    pub(super) fn at_targets<'a>(&'a self, files: &'a [FileEntry]) -> impl Iterator<Item = (&'a Name, Look)> {
        let at = |position: &u32| {
            let position = *position as usize;
            Some((&files.get(position)?.name, (*self.files.get(position)?)?))
        };
        self.targets.iter().filter_map(at)
    }
}

/// One directory of a walked root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkedDirectory {
    /// Where it is; the root itself has the empty path.
    pub path: RelPath,
    /// It is a symbolic link to a directory: listed, never entered.
    pub link: bool,
    /// Modification time in milliseconds since the epoch; 0 where it could not be learned. Never compared.
    pub modified_ms: i64,
    /// The look before its names were read.
    pub steady: DirectoryLook,
    /// Its entries that are not directories, sorted by name. Nothing has been read yet.
    pub files: Vec<FileEntry>,
    /// The looks at them. Empty where it was listed by somebody else.
    pub looks: Looks,
    /// Those of them that have further names (hard links), here or elsewhere: position in `files`, and which file it is.
    pub linked: Vec<(u32, FileId)>,
    /// Why it could not be listed; then `files` is empty and nothing below it is known.
    pub unlisted: Option<Problem>,
}

impl WalkedDirectory {
    /// A root in which nothing was found.
    pub fn empty_root() -> Self {
        Self::at(RelPath::root(), 0)
    }

    /// A directory in which nothing was found so far.
    pub(super) fn at(path: RelPath, modified_ms: i64) -> Self {
        Self {
            path,
            link: false,
            modified_ms,
            steady: DirectoryLook::None,
            files: Vec::new(),
            looks: Looks::default(),
            linked: Vec::new(),
            unlisted: None,
        }
    }

    /// A directory that could not be listed.
    pub(super) fn unlisted(path: RelPath, problem: Problem) -> Self {
        Self { unlisted: Some(problem), ..Self::at(path, 0) }
    }
}

/// All roots of a walk.
#[derive(Debug)]
pub struct Walked {
    /// In the order in which they were given.
    pub roots: Vec<WalkedRoot>,
    /// What was mounted before they were last looked at.
    pub mounts: Mounts,
    /// A moment of before that.
    pub since: Moment,
}

/// What stands at a root's home.
#[derive(Debug)]
pub enum WalkedRoot {
    /// Nothing: the root is missing on disk.
    Absent,
    /// A directory, or something that should be one; sorted by path, the root itself first.
    Present {
        /// The open root; `None` where it could not even be opened.
        handle: Option<RootHandle>,
        /// Every directory below, in pre-order.
        directories: Vec<WalkedDirectory>,
    },
}
