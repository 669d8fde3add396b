//! A directory's files as a block in memory, where that loses nothing. Pure.

use super::block::encode_block;
use super::block_view::decode_block;
use super::codec::MEMORY_PER_BYTE;
use crate::model::FileEntry;

/// The block, where it is within the limit and unpacks to these files within it too. `None` where not; then they stay a list, which
/// takes more memory and is as good.
pub(super) fn pack(files: &[FileEntry], limit: usize) -> Option<Vec<u8>> {
    let block = encode_block(files);
    // What unpacks takes at most so many times its bytes; only what comes near the limit has to be tried.
    let surely = block.len() <= limit / MEMORY_PER_BYTE && files.is_sorted_by(|a, b| a.name < b.name);
    let whole = surely || (block.len() <= limit && decode_block(&block).is_ok_and(|unpacked| unpacked == files));
    whole.then_some(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::block::MAX_BLOCK_BYTES;
    use crate::model::{Blake3Digest, Content, Listed, Name};

    fn file(name: &[u8]) -> FileEntry {
        let content = Content::Digest(Blake3Digest([1; 32]));
        FileEntry { name: Name::new(name).unwrap(), listed: Listed::File { size: 1, modified_ms: 2, content } }
    }

    /// A directory whose block would be beyond the limit was once packed all the same, and unpacked to no files at all:
    /// two such directories had the same content hash, whatever was in them.
    #[test]
    fn files_that_cannot_be_packed_stay_as_they_are() {
        let files = vec![file(b"a"), file(b"b")];
        assert!(pack(&files, MAX_BLOCK_BYTES).is_some());
        assert!(pack(&files, 10).is_none());
        assert!(pack(&[file(b"b"), file(b"a")], MAX_BLOCK_BYTES).is_none());
    }
}
