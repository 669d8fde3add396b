//! What can be wrong with a table of directories, or with the files said to be in one of them.

use super::directory::{DirectoryIndex, MAX_DIRECTORIES};
use super::hash::HashKind;
use crate::model::PathError;

/// Why a list of directories is not a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// There is no directory at all.
    #[error("the table has no root directory")]
    Empty,
    /// More directories than a table may hold.
    #[error("{0} directories are more than the {max} a table may hold", max = MAX_DIRECTORIES)]
    TooMany(usize),
    /// The first directory is not a root, or a later one is.
    #[error("directory {0}: the root must be the first directory and the only one without a name")]
    Root(u32),
    /// The parent does not stand before the directory, on the path to it.
    #[error("directory {0}: its parent is not a directory that is still open in pre-order")]
    Parent(u32),
    /// A directory does not come after its elder sibling in the order of raw bytes.
    #[error("directory {0}: its name does not come after that of the directory before it")]
    Order(u32),
    /// The path is too long.
    #[error("directory {0}: {1}")]
    Path(u32, PathError),
    /// A directory that was not entered has entries.
    #[error("directory {0}: it was not entered, and yet something is said to be in it")]
    NotEntered(u32),
    /// Bytes without a file that has them.
    #[error("directory {0}: bytes are said to be in it, and no file")]
    Bytes(u32),
    /// A link that is said to have been tried.
    #[error("directory {0}: a symbolic link is not entered, and yet it is said that it could not be listed")]
    Link(u32),
    /// The sums do not fit 64 bits.
    #[error("directory {0}: the sums of files or bytes are impossibly large")]
    Overflow(u32),
    /// A directory without files has a hash that its child directories do not give.
    #[error("directory {0}: its {1:?} hash is not that of the directories in it")]
    Hash(u32, HashKind),
    /// Whoever read all files of a directory knows their sizes and times too.
    #[error("directory {0}: its content is said to be known, and its metadata not")]
    ContentAlone(u32),
}

/// Why some files are not those of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilesError {
    /// Not as many, or not of the size, that the directory's record says.
    #[error("not the number of files or bytes its record says")]
    Sums(DirectoryIndex),
    /// A path would be longer than [`crate::model::MAX_PATH_BYTES`].
    #[error("the path of a file is too long")]
    Path(DirectoryIndex),
    /// A file has the name of a child directory.
    #[error("a file and a directory have the same name")]
    Twice(DirectoryIndex),
    /// The files do not give the directory's hash.
    #[error("its {1:?} hash is not that of its entries")]
    Hash(DirectoryIndex, HashKind),
}
