//! The algorithms of checksum lists.

use std::fmt;
use std::str::FromStr;

use super::{Blake3Digest, ContentDigest};

/// An algorithm of checksum lists. Of two the greater one is the stronger: MD5 and SHA-1 find accidents; who wants to can make two files that
/// have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChecksumAlgorithm {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// BLAKE3-256.
    Blake3,
}

/// A name that is none of theirs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected BLAKE3, SHA-256, SHA-1 or MD5")]
pub struct UnknownChecksum;

impl ChecksumAlgorithm {
    /// All of them, the strongest first.
    pub const ALL: [Self; 4] = [Self::Blake3, Self::Sha256, Self::Sha1, Self::Md5];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Blake3 => "BLAKE3",
        }
    }

    /// The length of a value in bytes.
    pub fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 | Self::Blake3 => 32,
        }
    }

    /// The digest that these bytes are; `None` where they are too few or too many.
    pub fn digest(self, bytes: &[u8]) -> Option<ContentDigest> {
        Some(match self {
            Self::Md5 => ContentDigest::Md5(bytes.try_into().ok()?),
            Self::Sha1 => ContentDigest::Sha1(bytes.try_into().ok()?),
            Self::Sha256 => ContentDigest::Sha256(bytes.try_into().ok()?),
            Self::Blake3 => ContentDigest::Blake3(Blake3Digest(bytes.try_into().ok()?)),
        })
    }

    /// Whether a digest is one of this algorithm. That of parts is one of MD5.
    pub fn is_of(self, digest: &ContentDigest) -> bool {
        match digest {
            ContentDigest::Md5(_) | ContentDigest::Md5OfParts(..) => self == Self::Md5,
            ContentDigest::Sha1(_) => self == Self::Sha1,
            ContentDigest::Sha256(_) => self == Self::Sha256,
            ContentDigest::Blake3(_) => self == Self::Blake3,
            ContentDigest::XxHash32(_) => false,
        }
    }
}

impl fmt::Display for ChecksumAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// In any case, with or without the hyphen.
impl FromStr for ChecksumAlgorithm {
    type Err = UnknownChecksum;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |text: &str| text.replace('-', "").to_ascii_lowercase();
        Self::ALL.into_iter().find(|algorithm| plain(algorithm.name()) == plain(text)).ok_or(UnknownChecksum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_spelling() {
        for (text, algorithm) in [
            ("blake3", ChecksumAlgorithm::Blake3),
            ("SHA-256", ChecksumAlgorithm::Sha256),
            ("sha256", ChecksumAlgorithm::Sha256),
            ("SHA1", ChecksumAlgorithm::Sha1),
            ("Md5", ChecksumAlgorithm::Md5),
        ] {
            assert_eq!(text.parse(), Ok(algorithm));
        }
        for text in ["", "sha", "sha512", "crc32", "XXHash32"] {
            assert_eq!(text.parse::<ChecksumAlgorithm>(), Err(UnknownChecksum), "{text}");
        }
    }

    #[test]
    fn a_digest_is_of_its_algorithm_alone() {
        for algorithm in ChecksumAlgorithm::ALL {
            let digest = algorithm.digest(&vec![7; algorithm.length()]).unwrap();
            let of: Vec<_> = ChecksumAlgorithm::ALL.into_iter().filter(|other| other.is_of(&digest)).collect();
            assert_eq!(of, [algorithm]);
            assert_eq!(digest.algorithm(), algorithm.name());
            assert_eq!(algorithm.digest(&vec![7; algorithm.length() - 1]), None);
        }
        assert!(ChecksumAlgorithm::Md5.is_of(&ContentDigest::Md5OfParts([0; 16], 2)));
    }
}
