//! Digests fed block by block, several in one pass over a file.

use std::hash::Hasher as _;
use std::num::NonZeroU64;

use md5::Digest as _;

use crate::model::{Blake3Digest, ContentDigest, HashAlgorithm};

/// The digests of one read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDigests {
    /// BLAKE3, always.
    pub blake3: Blake3Digest,
    /// The others asked for, in the order asked.
    pub also: Vec<ContentDigest>,
}

/// A digest that takes a file's bytes in order.
pub(super) trait BlockDigest {
    /// The next bytes.
    fn update(&mut self, block: &[u8]);
    /// The digest of all bytes so far.
    fn finish(self: Box<Self>) -> ContentDigest;
}

/// A digest of the given algorithm that has seen nothing yet.
pub(super) fn begin(algorithm: impl Into<HashAlgorithm>) -> Box<dyn BlockDigest + Send> {
    match algorithm.into() {
        HashAlgorithm::Md5 => Box::new(md5::Md5::new()),
        // Seed 0, as the Sidecar's API has it.
        HashAlgorithm::XxHash32 => Box::new(twox_hash::XxHash32::with_seed(0)),
        HashAlgorithm::Sha1 => Box::new(sha1::Sha1::new()),
        HashAlgorithm::Sha256 => Box::new(sha2::Sha256::new()),
        HashAlgorithm::Md5OfParts(part_bytes) => Box::new(Md5OfParts::new(part_bytes)),
    }
}

impl BlockDigest for blake3::Hasher {
    fn update(&mut self, block: &[u8]) {
        self.update(block);
    }

    fn finish(self: Box<Self>) -> ContentDigest {
        ContentDigest::Blake3(self.finalize().into())
    }
}

impl BlockDigest for md5::Md5 {
    fn update(&mut self, block: &[u8]) {
        md5::Digest::update(self, block);
    }

    fn finish(self: Box<Self>) -> ContentDigest {
        ContentDigest::Md5(self.finalize().into())
    }
}

impl BlockDigest for sha1::Sha1 {
    fn update(&mut self, block: &[u8]) {
        md5::Digest::update(self, block);
    }

    fn finish(self: Box<Self>) -> ContentDigest {
        ContentDigest::Sha1(self.finalize().into())
    }
}

impl BlockDigest for sha2::Sha256 {
    fn update(&mut self, block: &[u8]) {
        md5::Digest::update(self, block);
    }

    fn finish(self: Box<Self>) -> ContentDigest {
        ContentDigest::Sha256(self.finalize().into())
    }
}

/// The MD5 of the MD5 values of parts. An empty file is one empty part.
struct Md5OfParts {
    part_bytes: u64,
    whole: md5::Md5,
    part: md5::Md5,
    /// So many bytes are in the part.
    filled: u64,
    /// So many parts are full.
    parts: u32,
}

impl Md5OfParts {
    fn new(part_bytes: NonZeroU64) -> Self {
        let (whole, part) = Default::default();
        Self { part_bytes: part_bytes.get(), whole, part, filled: 0, parts: 0 }
    }

    fn close_part(&mut self) {
        md5::Digest::update(&mut self.whole, self.part.finalize_reset());
        (self.filled, self.parts) = (0, self.parts.saturating_add(1));
    }
}

impl BlockDigest for Md5OfParts {
    fn update(&mut self, mut block: &[u8]) {
        while !block.is_empty() {
            let room = usize::try_from(self.part_bytes - self.filled).unwrap_or(usize::MAX);
            let (now, later) = block.split_at(room.min(block.len()));
            md5::Digest::update(&mut self.part, now);
            self.filled += now.len() as u64;
            if self.filled == self.part_bytes {
                self.close_part();
            }
            block = later;
        }
    }

    fn finish(mut self: Box<Self>) -> ContentDigest {
        if self.filled > 0 || self.parts == 0 {
            self.close_part();
        }
        ContentDigest::Md5OfParts(self.whole.finalize().into(), self.parts)
    }
}

impl BlockDigest for twox_hash::XxHash32 {
    fn update(&mut self, block: &[u8]) {
        self.write(block);
    }

    fn finish(self: Box<Self>) -> ContentDigest {
        ContentDigest::XxHash32(self.finish_32())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DigestAlgorithm;

    fn text(algorithm: impl Into<HashAlgorithm>, blocks: &[&[u8]]) -> String {
        let mut digest = begin(algorithm);
        blocks.iter().for_each(|block| digest.update(block));
        digest.finish().to_string()
    }

    /// The values of the API's contract (empty input), of RFC 1321, appendix A.5, and of FIPS 180, "abc".
    #[test]
    fn known_values() {
        assert_eq!(text(DigestAlgorithm::Md5, &[]), "1B2M2Y8AsgTpgAmY7PhCfg==");
        assert_eq!(text(DigestAlgorithm::XxHash32, &[]), "2cc5d05");
        assert_eq!(text(DigestAlgorithm::Md5, &[b"message ", b"digest"]), "+WtpfXy3k41SWi8xqvFh0A==");
        assert_eq!(text(HashAlgorithm::Sha1, &[b"a", b"bc"]), "a9993e364706816aba3e25717850c26c9cd0d89d");
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(text(HashAlgorithm::Sha256, &[b"ab", b"c"]), sha256);
    }

    #[test]
    fn parts_are_cut_at_their_size_however_the_bytes_come() {
        let bytes: Vec<u8> = (0..100_u8).collect();
        for (part_bytes, parts) in [(1, 100), (7, 15), (50, 2), (99, 2), (100, 1), (1000, 1)] {
            let values: Vec<u8> = bytes.chunks(part_bytes).flat_map(|part| md5::Md5::digest(part).to_vec()).collect();
            let expected = format!("{}-{parts}", hex::encode(md5::Md5::digest(&values)));
            let algorithm = HashAlgorithm::Md5OfParts(NonZeroU64::new(part_bytes as u64).unwrap());
            for blocks in [1, 3, 50, 100] {
                let blocks: Vec<&[u8]> = bytes.chunks(blocks).collect();
                assert_eq!(text(algorithm, &blocks), expected, "{part_bytes}");
            }
        }
    }
}
