//! What is known of a list before it is read. Pure.

use super::error::ListFault;
use crate::model::{ChecksumAlgorithm, PathError, RelPath};

/// What is known of a list before it is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading<'a> {
    /// The name of its file, which may tell the algorithm.
    pub file_name: &'a str,
    /// The algorithm that somebody named.
    pub algorithm: Option<ChecksumAlgorithm>,
    /// What stands before each name in it, and is taken off.
    pub prefix: Option<&'a [u8]>,
}

impl Reading<'_> {
    /// The path that a name means.
    pub(super) fn path(&self, name: &[u8]) -> Result<RelPath, ListFault> {
        let below = match self.prefix {
            None => name,
            Some(prefix) => {
                let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
                let below = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(b"/"));
                // What stands behind further slashes is still relative.
                let below = below.ok_or(ListFault::Prefix)?;
                &below[below.iter().take_while(|byte| **byte == b'/').count()..]
            }
        };
        match RelPath::written(below) {
            Ok(path) if path.is_root() => Err(ListFault::NoName),
            Ok(path) => Ok(path),
            Err(PathError::Absolute) => Err(ListFault::Absolute),
            Err(error) => Err(ListFault::Name(error)),
        }
    }

    /// The algorithm that the name of the file tells, where it tells one.
    pub(super) fn hinted(&self) -> Option<ChecksumAlgorithm> {
        let name = self.file_name.to_ascii_lowercase();
        let hints = |hints: &[&str]| hints.iter().any(|hint| name.contains(hint));
        let blake3 = hints(&["b3sum", "blake3"]) || name.ends_with(".b3");
        match (blake3, hints(&["sha256", "sha-256"])) {
            (true, false) => Some(ChecksumAlgorithm::Blake3),
            (false, true) => Some(ChecksumAlgorithm::Sha256),
            _ => None,
        }
    }
}
