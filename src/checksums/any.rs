//! Reading a list of whatever kind. Pure.

use super::error::{ListError, ListFault};
use super::list::ChecksumList;
use super::reading::Reading;
use super::{hashdeep, medusa, sums};

/// Reads a list: the kind shows in its first bytes. Takes any bytes.
pub fn read(bytes: &[u8], reading: &Reading<'_>) -> Result<ChecksumList, ListError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let list = match bytes {
        _ if bytes.starts_with(hashdeep::MAGIC) => hashdeep::read(bytes, reading),
        _ if bytes.trim_ascii_start().starts_with(b"[") => medusa::read(bytes),
        _ => sums::read(bytes, reading),
    }?;
    match reading.algorithm {
        Some(algorithm) if !list.algorithms().contains(&algorithm) => Err(ListFault::NotOf(algorithm).of_all()),
        _ => Ok(list),
    }
}
