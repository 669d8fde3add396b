//! A file that is open to be served to a client: what it is now, and its digest.

use std::fs::File;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::fstat;

use super::context::Context;
use super::identity::FileIdentity;
use super::read::digest_open_file;
use super::steady::{ReadError, steadily};
use crate::model::{ContentDigest, DigestAlgorithm};

/// What a client may hold against an earlier answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedFile {
    /// Bytes.
    pub size: u64,
    /// Changes whenever the file does, to the grain of the file system's clock; visible ASCII without quotes.
    pub tag: String,
    /// Modification time; the epoch where it is earlier.
    pub modified: SystemTime,
}

impl ServedFile {
    /// The file as it is now.
    pub fn of(file: &File) -> std::io::Result<Self> {
        let identity = FileIdentity::of(&fstat(file)?);
        let ms = u64::try_from(identity.modified_ms()).unwrap_or(0);
        let modified = UNIX_EPOCH.checked_add(Duration::from_millis(ms)).unwrap_or(UNIX_EPOCH);
        Ok(Self { size: identity.size(), tag: identity.tag(), modified })
    }
}

/// The digest of an open file, all of it read while it did not change.
pub fn digest_served(file: &File, algorithm: DigestAlgorithm, context: &Context) -> Result<ContentDigest, ReadError> {
    steadily(None, || file.try_clone(), |file, size| digest_open_file(file, size, algorithm, context))
        .map(|(digest, _)| digest)
}
