//! Digests fed block by block, several in one pass over a file.

use std::hash::Hasher as _;

use md5::Digest as _;

use crate::model::{Blake3Digest, ContentDigest, DigestAlgorithm};

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
pub(super) fn begin(algorithm: DigestAlgorithm) -> Box<dyn BlockDigest + Send> {
    match algorithm {
        DigestAlgorithm::Md5 => Box::new(md5::Md5::new()),
        // Seed 0, as the Sidecar's API has it.
        DigestAlgorithm::XxHash32 => Box::new(twox_hash::XxHash32::with_seed(0)),
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

    fn text(algorithm: DigestAlgorithm, blocks: &[&[u8]]) -> String {
        let mut digest = begin(algorithm);
        blocks.iter().for_each(|block| digest.update(block));
        digest.finish().to_string()
    }

    /// The values of the API's contract (empty input) and of RFC 1321, appendix A.5.
    #[test]
    fn known_values() {
        assert_eq!(text(DigestAlgorithm::Md5, &[]), "1B2M2Y8AsgTpgAmY7PhCfg==");
        assert_eq!(text(DigestAlgorithm::XxHash32, &[]), "2cc5d05");
        assert_eq!(text(DigestAlgorithm::Md5, &[b"message ", b"digest"]), "+WtpfXy3k41SWi8xqvFh0A==");
    }
}
