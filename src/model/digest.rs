//! Digests of a file's content, with their algorithm and the text the Sidecar's API gives them.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// A BLAKE3-256 value: a file's digest or a directory's subtree hash. Printed in lower-case hex, as `b3sum` does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Blake3Digest(pub [u8; 32]);

impl fmt::Display for Blake3Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Blake3Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl From<blake3::Hash> for Blake3Digest {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

/// The digests a task may ask for. Named in requests in any case; printed in the Sidecar's spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DigestAlgorithm {
    /// MD5; its text is standard Base64 with padding.
    Md5,
    /// XXHash32 with seed 0; its text is lower-case hex without leading zeros.
    XxHash32,
}

impl DigestAlgorithm {
    /// The Sidecar's spelling.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::XxHash32 => "XXHash32",
        }
    }
}

/// A name that is neither MD5 nor XXHash32; worded as the Sidecar's API words it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Unsupported digest algorithm {0}")]
pub struct UnknownAlgorithm(pub String);

impl FromStr for DigestAlgorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Md5, Self::XxHash32]
            .into_iter()
            .find(|a| a.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownAlgorithm(text.to_owned()))
    }
}

/// What a file's bytes can be hashed with besides BLAKE3, which every read gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// MD5.
    Md5,
    /// XXHash32 with seed 0.
    XxHash32,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// The MD5 of the MD5 values of parts of so many bytes, of which the last may be shorter: what object stores say of a file that was
    /// uploaded in parts.
    Md5OfParts(NonZeroU64),
}

impl From<DigestAlgorithm> for HashAlgorithm {
    fn from(algorithm: DigestAlgorithm) -> Self {
        match algorithm {
            DigestAlgorithm::Md5 => Self::Md5,
            DigestAlgorithm::XxHash32 => Self::XxHash32,
        }
    }
}

/// The content digest of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContentDigest {
    /// BLAKE3-256.
    Blake3(Blake3Digest),
    /// MD5.
    Md5([u8; 16]),
    /// XXHash32, seed 0.
    XxHash32(u32),
    /// SHA-1.
    Sha1([u8; 20]),
    /// SHA-256.
    Sha256([u8; 32]),
    /// The MD5 of the MD5 values of so many parts.
    Md5OfParts([u8; 16], u32),
}

impl ContentDigest {
    /// Reads the text that [`fmt::Display`] writes; no other spelling of the same value is one.
    pub fn parse(algorithm: DigestAlgorithm, text: &str) -> Option<Self> {
        let digest = match algorithm {
            DigestAlgorithm::Md5 => Self::Md5(BASE64.decode(text).ok()?.try_into().ok()?),
            DigestAlgorithm::XxHash32 => Self::XxHash32(u32::from_str_radix(text, 16).ok()?),
        };
        (digest.to_string() == text).then_some(digest)
    }

    /// The algorithm's name in reports.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Blake3(_) => "BLAKE3",
            Self::Md5(_) => DigestAlgorithm::Md5.name(),
            Self::XxHash32(_) => DigestAlgorithm::XxHash32.name(),
            Self::Sha1(_) => "SHA-1",
            Self::Sha256(_) => "SHA-256",
            Self::Md5OfParts(..) => "MD5 of parts",
        }
    }
}

/// The text clients compare: Base64 for MD5, hex without leading zeros for XXHash32, hex for all others, with the number of parts behind it
/// where there are any.
impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blake3(digest) => write!(f, "{digest}"),
            Self::Md5(bytes) => f.write_str(&BASE64.encode(bytes)),
            Self::XxHash32(value) => write!(f, "{value:x}"),
            Self::Sha1(bytes) => f.write_str(&hex::encode(bytes)),
            Self::Sha256(bytes) => f.write_str(&hex::encode(bytes)),
            Self::Md5OfParts(bytes, parts) => write!(f, "{}-{parts}", hex::encode(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts for an empty file stand in the API's contract.
    #[test]
    fn texts_are_those_of_the_contract() {
        let md5: [u8; 16] = hex::decode("d41d8cd98f00b204e9800998ecf8427e").unwrap().try_into().unwrap();
        assert_eq!(ContentDigest::Md5(md5).to_string(), "1B2M2Y8AsgTpgAmY7PhCfg==");
        assert_eq!(ContentDigest::XxHash32(0x02cc_5d05).to_string(), "2cc5d05");
        assert_eq!(ContentDigest::XxHash32(0).to_string(), "0");
    }

    #[test]
    fn only_the_contracts_spelling_is_read() {
        let (md5, xxhash) = (DigestAlgorithm::Md5, DigestAlgorithm::XxHash32);
        for (algorithm, text) in [(md5, "1B2M2Y8AsgTpgAmY7PhCfg=="), (xxhash, "2cc5d05"), (xxhash, "0")] {
            assert_eq!(ContentDigest::parse(algorithm, text).unwrap().to_string(), text);
        }
        for (algorithm, text) in [
            (md5, "1B2M2Y8AsgTpgAmY7PhCfg"),
            (md5, "d41d8cd98f00b204e9800998ecf8427e"),
            (md5, ""),
            (xxhash, "02cc5d05"),
            (xxhash, "2CC5D05"),
            (xxhash, "+2cc5d05"),
            (xxhash, "102cc5d05"),
            (xxhash, ""),
        ] {
            assert_eq!(ContentDigest::parse(algorithm, text), None, "{text}");
        }
    }

    #[test]
    fn algorithms_are_named_in_any_case() {
        assert_eq!("md5".parse(), Ok(DigestAlgorithm::Md5));
        assert_eq!("XXHASH32".parse(), Ok(DigestAlgorithm::XxHash32));
        let error = "SHA-1".parse::<DigestAlgorithm>().unwrap_err();
        assert_eq!(error.to_string(), "Unsupported digest algorithm SHA-1");
    }
}
