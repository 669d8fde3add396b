//! The digest of bytes that come from elsewhere than this machine's disks.

use super::digests::{BlockDigest, begin};
use crate::model::{ContentDigest, DigestAlgorithm};

/// A digest that is handed a file's bytes in order.
pub struct StreamDigest(Box<dyn BlockDigest + Send>);

impl StreamDigest {
    /// A digest that has seen nothing yet.
    pub fn begin(algorithm: DigestAlgorithm) -> Self {
        Self(begin(algorithm))
    }

    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes so far.
    pub fn finish(self) -> ContentDigest {
        self.0.finish()
    }
}
