//! Where what is known of files came from.

use serde::{Deserialize, Serialize};

/// Where the digests of one side's files came from. Bytes of a read that was repeated count again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Provenance {
    /// Bytes read that the page cache held already.
    pub page_cache_bytes: u64,
    /// Bytes read that the page cache did not hold.
    pub media_bytes: u64,
    /// Bytes read around the page cache.
    pub direct_bytes: u64,
    /// Bytes read of which the system does not say where from.
    pub unknown_bytes: u64,
    /// Files not read because they are further names (hard links) of files read in the same scan.
    pub linked_files: u64,
    /// Bytes of these.
    pub linked_bytes: u64,
    /// Files not read because their digests were recorded earlier and nothing says that they changed since.
    pub trusted_files: u64,
    /// Bytes of these.
    pub trusted_bytes: u64,
    /// Files with a recorded digest that were read all the same, and had it.
    pub audited_files: u64,
    /// Files read whose digests were to be recorded and never can be, here: they belong to another user, or their file system does
    /// not tell of every later write.
    pub unrecordable_files: u64,
    /// The most reads that were kept in flight while something came from the media; 0 where nothing did.
    pub reads_in_flight: u64,
}

impl Provenance {
    /// Bytes that were read, from wherever.
    pub fn read_bytes(&self) -> u64 {
        let all = [self.page_cache_bytes, self.media_bytes, self.direct_bytes, self.unknown_bytes];
        all.into_iter().fold(0, u64::saturating_add)
    }
}
