//! The files of one directory as bytes: tagged columns, so that a reader skips facts it does not know.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::codec::{self, CodecError};
use super::record::{FileRecords, RecordError};
use crate::model::FileEntry;

/// The largest block, in bytes: some three million files in one directory, with names of 40 bytes.
pub(super) const MAX_BLOCK_BYTES: usize = 256 << 20;

const NAMES: u32 = 1;
const STATES: u32 = 2;
const SIZES: u32 = 3;
const TIMES: u32 = 4;
const BLAKE3: u32 = 5;
const PROBLEMS: u32 = 6;

/// Why some bytes are not a directory's files.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// More bytes than a block may have.
    #[error("a block of {0} bytes is larger than {MAX_BLOCK_BYTES}")]
    TooLarge(usize),
    /// The encoding is wrong.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A column that must be there is not, or stands twice.
    #[error("column {0} is missing or stands twice")]
    Column(u32),
    /// The columns do not make files.
    #[error(transparent)]
    Record(#[from] RecordError),
}

#[derive(Serialize, Deserialize)]
struct Column {
    tag: u32,
    payload: ByteBuf,
}

/// The block of a directory's files.
pub(super) fn encode(files: &[FileEntry]) -> Vec<u8> {
    let records = FileRecords::of(files);
    let column = |tag, payload| Column { tag, payload: ByteBuf::from(payload) };
    codec::encode(
        &[
            column(NAMES, records.names.into_vec()),
            column(STATES, records.states.into_vec()),
            column(SIZES, codec::encode(&records.sizes)),
            column(TIMES, codec::encode(&records.times)),
            column(BLAKE3, records.digests.into_vec()),
            column(PROBLEMS, codec::encode(&records.problems)),
        ]
        .as_slice(),
    )
}

/// The files of a block.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<FileEntry>, BlockError> {
    if bytes.len() > MAX_BLOCK_BYTES {
        return Err(BlockError::TooLarge(bytes.len()));
    }
    let columns: Vec<Column> = codec::decode::<_, MAX_BLOCK_BYTES>(bytes)?;
    let find = |tag| {
        let mut found = columns.iter().filter(|column| column.tag == tag);
        match (found.next(), found.next()) {
            (Some(column), None) => Ok(&column.payload),
            _ => Err(BlockError::Column(tag)),
        }
    };
    let records = FileRecords {
        names: find(NAMES)?.clone(),
        states: find(STATES)?.clone(),
        sizes: codec::decode::<_, MAX_BLOCK_BYTES>(find(SIZES)?)?,
        times: codec::decode::<_, MAX_BLOCK_BYTES>(find(TIMES)?)?,
        digests: find(BLAKE3)?.clone(),
        problems: codec::decode::<_, MAX_BLOCK_BYTES>(find(PROBLEMS)?)?,
    };
    Ok(records.check()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Blake3Digest, Content, Listed, Name};

    fn sample() -> Vec<FileEntry> {
        let content = Content::Digest(Blake3Digest([3; 32]));
        let listed = Listed::File { size: 1 << 40, modified_ms: -7, content };
        vec![FileEntry { name: Name::new(b"nb-1-big-Data.db").unwrap(), listed }]
    }

    #[test]
    fn a_column_of_a_later_version_is_skipped() {
        let mut columns: Vec<Column> = codec::decode::<_, 4096>(&encode(&sample())).unwrap();
        columns.insert(2, Column { tag: 99, payload: ByteBuf::from("unknown") });
        assert_eq!(decode(&codec::encode(&columns)).unwrap(), sample());
    }

    #[test]
    fn a_known_column_must_stand_exactly_once() {
        let columns = || codec::decode::<Vec<Column>, 4096>(&encode(&sample())).unwrap();
        let mut missing = columns();
        missing.remove(4);
        assert!(matches!(decode(&codec::encode(&missing)), Err(BlockError::Column(BLAKE3))));
        let mut twice = columns();
        twice.extend(columns());
        assert!(matches!(decode(&codec::encode(&twice)), Err(BlockError::Column(NAMES))));
    }

    #[test]
    fn no_prefix_of_a_block_is_a_block() {
        let bytes = encode(&sample());
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err(), "{end} bytes");
        }
    }
}
