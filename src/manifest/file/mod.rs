//! Manifests in files. `docs/format.md` is normative; the constants here are the same ones.

mod reader;
mod replace;
mod section;
mod sections;
mod selected;
mod writer;

#[cfg(test)]
pub(super) mod tests;

pub use reader::{MAX_STREAM_BYTES, ManifestFile};
pub use section::{FileError, FormatFault};
pub use writer::{write, write_stream, write_unless_cancelled, write_whole};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::record::{DirectoryRecord, ProblemColumn};

/// The first bytes of a manifest file.
const MAGIC: [u8; 8] = *b"TWINTREE";

/// The version of the layout; a reader refuses any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FormatVersion {
    /// Everything but files restricted to a selection. Older programs wrote those, too, with the selection as texts among
    /// the directory patterns.
    Whole = 1,
    /// A manifest restricted to a selection, which stands in a section of its own.
    Restricted = 2,
}

/// A [`super::identity::IdentityRecord`].
const IDENTITY: [u8; 4] = *b"IDEN";
/// The names of a selection; in files of [`FormatVersion::Restricted`] only.
const SELECTION: [u8; 4] = *b"SLCT";
/// A list of [`RootRecord`].
const DIRECTORIES: [u8; 4] = *b"DIRS";
/// The blocks of all directories that hold files, one after the other in the order of the roots and tables.
const BLOCKS: [u8; 4] = *b"BLKS";
/// A list of [`UnsteadyRecord`], where there are any.
const UNSTEADY: [u8; 4] = *b"CHNG";
/// An [`EndRecord`]; the last section.
const END: [u8; 4] = *b"TEND";

/// One root in the section of directories.
#[derive(Serialize, Deserialize)]
struct RootRecord {
    directory_type: u8,
    index: u32,
    /// `None` where the root is absent.
    tree: Option<TreeRecord>,
}

/// The columns of a root's directories, all of the same length.
#[derive(Serialize, Deserialize)]
struct TreeRecord {
    directories: Vec<DirectoryRecord>,
    content: Vec<Option<[u8; 32]>>,
    /// The length of each directory's block; 0 where it holds no files.
    block_bytes: Vec<u64>,
    /// The BLAKE3 of each block, 32 bytes for each directory whose block is not empty.
    block_hashes: ByteBuf,
}

/// A directory that was listed, and of which it is not known that it held just that all the while.
#[derive(Serialize, Deserialize)]
struct UnsteadyRecord {
    /// The position of its root in the section of directories.
    root: u32,
    /// The position in the root.
    directory: u32,
    problem: ProblemColumn,
}

/// What a whole file must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct EndRecord {
    files: u64,
    directories: u64,
    bytes: u64,
    metadata: Option<[u8; 32]>,
    content: Option<[u8; 32]>,
}
