//! The bodies of the per-file routes: one entry of a listing, and a digest.

use serde::{Deserialize, Serialize};

use crate::model::{EntryKind, Reason};

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListingEntry {
    /// Not percent-encoded; bytes that are not UTF-8 stand as U+FFFD.
    pub file_url: String,
    /// Bytes; [`ListingEntry::DIRECTORY_SIZE`] for a directory.
    pub size: i64,
    /// File or directory.
    pub file_type: EntryKind,
    /// Milliseconds since the epoch.
    pub last_modified_time: i64,
}

impl ListingEntry {
    /// The size that stands for a directory.
    pub const DIRECTORY_SIZE: i64 = -1;
}

/// An entry that could not be listed (ours): a listing has these beside its files, where there are any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnlistedEntry {
    /// As in [`ListingEntry`].
    pub file_url: String,
    /// Why, for a program.
    pub reason: Reason,
    /// Why, for a person.
    pub detail: String,
}

/// The body of a listing. It is written and read piece by piece, so that nobody holds one; this says what it looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListingBody {
    /// Every entry below the roots; the roots themselves are not listed.
    pub files: Vec<ListingEntry>,
    /// The sum of the files' sizes in bytes.
    pub total_size: i64,
    /// What could not be listed (ours); absent where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unverified: Vec<UnlistedEntry>,
}

/// A file's digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DigestBody {
    /// Standard Base64 with padding for MD5, lower-case hex without leading zeros for XXHash32.
    pub digest: String,
    /// As the request spelled it.
    pub digest_algorithm: String,
}
