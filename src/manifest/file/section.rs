//! Sections: tag, length, payload, checksum; and what can be wrong with a manifest file.

use std::io;
use std::path::PathBuf;

use crate::manifest::block::BlockError;
use crate::manifest::codec::{CodecError, MEMORY_PER_BYTE};
use crate::manifest::record::RecordError;
use crate::manifest::table_error::{FilesError, TableError};
use crate::model::{RelPath, RootId, SelectionError};

/// Tag (4 bytes) and length (8 bytes) before a payload.
pub(super) const HEAD_BYTES: u64 = 12;
/// The BLAKE3 of head and payload, behind the payload.
pub(super) const CHECKSUM_BYTES: u64 = 32;

/// The key-derivation context of a section's checksum.
pub(super) const CHECKSUM_CONTEXT: &str = "twintree 2026-11-23 manifest section checksum v1";

/// The largest section but the blocks that a reader accepts.
pub(super) const MAX_SECTION_BYTES: usize = 2 << 30;

/// What the values of such a section can take, so that no other limit stands below that of its bytes.
pub(super) const MAX_SECTION_MEMORY: usize = MAX_SECTION_BYTES.saturating_mul(MEMORY_PER_BYTE);

/// Why a manifest file cannot be used. Every variant names the file and where in it.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    #[source]
    pub fault: FormatFault,
}

/// What can be wrong.
#[derive(Debug, thiserror::Error)]
pub enum FormatFault {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It does not begin like a manifest.
    #[error("not a manifest: it does not begin with \"TWINTREE\"")]
    Magic,
    /// A layout this program does not know.
    #[error("format version {0}, but this program reads versions 1 and 2")]
    Version(u32),
    /// A section reaches beyond the end of the file.
    #[error(
        "section {tag} at byte {offset}: the file is cut off or damaged: {needed} bytes are needed from here on, {left} are left"
    )]
    CutOff {
        /// The section's tag.
        tag: String,
        /// Where it begins.
        offset: u64,
        /// What it claims.
        needed: u64,
        /// What there is.
        left: u64,
    },
    /// The file ends before its last section, or goes on behind it.
    #[error("byte {0}: the file is cut off or damaged: it does not end with its last section")]
    NoEnd(u64),
    /// A section is larger than a reader accepts.
    #[error("section {0}: {1} bytes are more than a reader accepts")]
    TooLarge(String, u64),
    /// A section that must be there is not, or stands twice.
    #[error("section {0} is missing or stands twice")]
    Section(String),
    /// A selection stands where a file of this format version has none.
    #[error("section {0}: a selection stands where a file of this format version has none")]
    Misplaced(String),
    /// What should be the names of a selection is none.
    #[error("section {tag}: {source}")]
    Selection {
        /// The section's tag.
        tag: String,
        /// What is wrong with the names.
        source: SelectionError,
    },
    /// The checksum does not fit.
    #[error("section {tag} at byte {offset}: damaged: its checksum does not fit")]
    Checksum {
        /// The section's tag.
        tag: String,
        /// Where it begins.
        offset: u64,
    },
    /// A section's payload is not what it should be.
    #[error("section {tag}: {source}")]
    Codec {
        /// The section's tag.
        tag: String,
        /// The encoder's complaint.
        source: CodecError,
    },
    /// The directories do not make a tree.
    #[error("section DIRS: {0}")]
    Table(#[from] TableError),
    /// A directory's record is not valid.
    #[error("section DIRS: {0}")]
    Record(#[from] RecordError),
    /// The columns of the directories do not fit together, or not to the blocks.
    #[error("section DIRS: the columns do not fit together")]
    Columns,
    /// Sums over all roots that no disk holds.
    #[error("section DIRS: the sums of files or bytes over all roots are beyond 64 bits")]
    Sums,
    /// What the selection leaves out, and the directories have all the same.
    #[error("section DIRS: {root}: \"{directory}\" holds what is not selected")]
    NotSelected {
        /// The root.
        root: RootId,
        /// The directory.
        directory: RelPath,
    },
    /// A fingerprint of other patterns than those that stand beside it.
    #[error("section IDEN: the fingerprint is not that of the patterns and the selection")]
    Fingerprint,
    /// A block is damaged.
    #[error("the block of directory \"{directory}\" at byte {offset}: damaged: its checksum does not fit")]
    Block {
        /// The directory.
        directory: RelPath,
        /// Where the block begins.
        offset: u64,
    },
    /// A block does not decode.
    #[error("the block of directory \"{directory}\": {source}")]
    BlockContent {
        /// The directory.
        directory: RelPath,
        /// What is wrong.
        source: BlockError,
    },
    /// A block decodes to files that are not those of the directory.
    #[error("the block of directory \"{directory}\": {source}")]
    BlockFiles {
        /// The directory.
        directory: RelPath,
        /// What does not fit.
        source: FilesError,
    },
    /// The totals or root hashes at the end are not those of the tables.
    #[error("section TEND: the totals or root hashes are not those of the directories")]
    Totals,
}

/// A tag as text.
pub(super) fn tag_text(tag: [u8; 4]) -> String {
    tag.escape_ascii().to_string()
}

/// The checksum of a section.
pub(super) fn checksum_start(tag: [u8; 4], length: u64) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new_derive_key(CHECKSUM_CONTEXT);
    hasher.update(&tag);
    hasher.update(&length.to_le_bytes());
    hasher
}
