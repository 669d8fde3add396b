//! The facts of one directory's files as bytes: tagged columns, the same in a manifest file and on the wire, so that a reader
//! skips facts it does not know.

use super::codec::CodecError;
use super::record::{FileRecords, RecordError};
use super::tagged::{TaggedError, Writer};
use crate::model::{Blake3Digest, FileEntry};

/// The largest block, in bytes: some three million files in one directory, with names of 40 bytes.
pub const MAX_BLOCK_BYTES: usize = 256 << 20;

pub(super) const NAMES: u32 = 1;
pub(super) const STATES: u32 = 2;
pub(super) const SIZES: u32 = 3;
pub(super) const TIMES: u32 = 4;
pub(super) const BLAKE3: u32 = 5;
pub(super) const PROBLEMS: u32 = 6;

/// Why some bytes are not a directory's files.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// More bytes than a block may have.
    #[error("a block of {0} bytes is larger than {MAX_BLOCK_BYTES}")]
    TooLarge(usize),
    /// The columns are not what they should be.
    #[error(transparent)]
    Columns(#[from] TaggedError),
    /// The columns do not make files.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl From<CodecError> for BlockError {
    fn from(error: CodecError) -> Self {
        Self::Columns(error.into())
    }
}

/// The block of a directory's files.
pub fn encode_block(files: &[FileEntry]) -> Vec<u8> {
    encode_records(FileRecords::of(files))
}

/// How many bytes the block of these files has at most, without making it.
pub(super) fn most_block_bytes(files: &[FileEntry]) -> u64 {
    /// Tags and lengths of the columns.
    const COLUMNS: u64 = 256;
    /// Each of the numbers of a file takes ten bytes at most.
    const NUMBERS: usize = 5 * 10;
    let of_file = |file: &FileEntry| {
        let problem = file.problem().map_or(0, |problem| problem.detail.len());
        (file.name.as_bytes().len() + size_of::<Blake3Digest>() + NUMBERS + problem) as u64
    };
    files.iter().map(of_file).sum::<u64>() + COLUMNS
}

/// The block with these columns.
pub(super) fn encode_records(records: FileRecords) -> Vec<u8> {
    Writer::default()
        .with_bytes(NAMES, records.names)
        .with_bytes(STATES, records.states)
        .with(SIZES, &records.sizes)
        .with(TIMES, &records.times)
        .with_bytes(BLAKE3, records.digests)
        .with(PROBLEMS, &records.problems)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::super::block_view::decode_block;
    use super::super::tagged::Reader;
    use super::*;
    use crate::model::{Content, Listed, Name, Problem, Reason};

    fn sample() -> Vec<FileEntry> {
        let content = Content::Digest(Blake3Digest([3; 32]));
        let listed = Listed::File { size: 1 << 40, modified_ms: -7, content };
        vec![FileEntry { name: Name::new(b"nb-1-big-Data.db").unwrap(), listed }]
    }

    /// The columns of a sound block but for one, and what a later version would add.
    fn spoilt(without: Option<u32>, more: &[(u32, &[u8])]) -> Vec<u8> {
        let sound = encode_block(&sample());
        let mut columns = Reader::<4096>::new(&sound).unwrap();
        let mut out = Writer::default();
        for tag in NAMES..=PROBLEMS {
            let bytes = columns.bytes(tag).unwrap();
            if without != Some(tag) {
                out = out.with_bytes(tag, bytes);
            }
        }
        more.iter().fold(out, |out, (tag, bytes)| out.with_bytes(*tag, *bytes)).finish()
    }

    #[test]
    fn a_column_of_a_later_version_is_skipped_unless_it_must_be_understood() {
        assert_eq!(decode_block(&spoilt(None, &[(99, b"unknown")])).unwrap(), sample());
        let critical = decode_block(&spoilt(None, &[(1001, b"unknown")]));
        assert!(matches!(critical, Err(BlockError::Columns(TaggedError::NotUnderstood(1001)))));
    }

    #[test]
    fn a_known_column_must_stand_exactly_once() {
        let missing = decode_block(&spoilt(Some(BLAKE3), &[]));
        assert!(matches!(missing, Err(BlockError::Columns(TaggedError::Field(BLAKE3)))));
        let twice = decode_block(&spoilt(None, &[(NAMES, b"a")]));
        assert!(matches!(twice, Err(BlockError::Columns(TaggedError::Field(NAMES)))));
    }

    #[test]
    fn no_block_is_larger_than_its_files_make_one_expect() {
        let name = |at: usize| Name::new(format!("{at:0250}").as_bytes()).unwrap();
        let problem = || Problem::new(Reason::Unreadable, "x".repeat(500));
        let listed = |at: usize| match at % 4 {
            0 => Listed::Unlistable(problem()),
            1 => Listed::File { size: u64::MAX, modified_ms: i64::MIN, content: Content::Unverified(problem()) },
            2 => Listed::File { size: 0, modified_ms: 0, content: Content::NotRead },
            _ => sample().remove(0).listed,
        };
        for count in [0, 1, 2, 3, 4, 1000] {
            let files: Vec<FileEntry> = (0..count).map(|at| FileEntry { name: name(at), listed: listed(at) }).collect();
            let (block, most) = (encode_block(&files).len() as u64, most_block_bytes(&files));
            assert!(block <= most && most < 2 * block + 512, "{count} files: {block} and {most} bytes");
        }
    }

    #[test]
    fn no_prefix_of_a_block_is_a_block() {
        let bytes = encode_block(&sample());
        for end in 0..bytes.len() {
            assert!(decode_block(&bytes[..end]).is_err(), "{end} bytes");
        }
    }
}
