//! The manifest exchange: the destination's request and the frames of the source's stream.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::manifest::{DirectoryRecord, Identity};
use crate::model::Provenance;

/// The version of the extension routes. A source refuses any other.
pub const PROTOCOL_VERSION: u32 = 2;

/// The body of `POST /manifests`, as JSON. Unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManifestRequest {
    /// The version the destination speaks.
    pub protocol_version: u32,
    /// The roots wanted, such as `data/0`; `None` for all the source has.
    #[serde(default)]
    pub roots: Option<Vec<String>>,
    /// The fingerprint of the destination's exclusion rules, in hex. The source answers with its own.
    #[serde(default)]
    pub rules_fingerprint: Option<String>,
    /// The keyspaces and tables the task is restricted to; `None` for everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyspaces: Option<Vec<String>>,
    /// The task's `maxConcurrency`.
    pub max_concurrency: u32,
    /// The destination's task, for the source's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Uuid>,
    /// The manifest an interrupted stream was of; the source goes on with it where it still has it.
    #[serde(default)]
    pub resume: Option<Uuid>,
}

/// One frame of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ManifestFrame {
    /// The first frame.
    Hello(Hello),
    /// At least one a second.
    Progress(ProgressFrame),
    /// A root begins; its directories follow.
    Root(RootFrame),
    /// Directories of the root that began last, in pre-order.
    Directories(Vec<DirectoryRecord>),
    /// All roots and directories were sent.
    MetadataEnd,
    /// Content hashes of finished directories: root number, directory index, hash (`None` where unproven).
    Content(Vec<(u32, u32, Option<[u8; 32]>)>),
    /// The last frame of a complete stream.
    End(End),
    /// The last frame of a stream that failed.
    Error(SourceFailure),
    /// Where the content came from; comes once, right before the end.
    Provenance(Provenance),
}

/// Who answers, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version the source speaks.
    pub protocol_version: u32,
    /// The name under which the source keeps the manifest.
    pub manifest_id: [u8; 16],
    /// What is being scanned.
    pub identity: Identity,
}

/// How far the source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProgressFrame {
    /// Files found so far.
    pub files_total: u64,
    /// Their bytes.
    pub bytes_total: u64,
    /// Files hashed.
    pub files_hashed: u64,
    /// Bytes hashed.
    pub bytes_hashed: u64,
}

/// The head of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFrame {
    /// The number of the directory type.
    pub directory_type: u8,
    /// The index within the type.
    pub index: u32,
    /// How many directories follow; `None` for a root that is absent on disk.
    pub directories: Option<u32>,
}

/// What the whole stream must have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Bytes.
    pub bytes: u64,
    /// The instance's metadata hash.
    pub metadata: Option<[u8; 32]>,
    /// The instance's content hash.
    pub content: Option<[u8; 32]>,
}

/// Why the source gave up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFailure {
    /// For programs; stable.
    pub code: String,
    /// For people.
    pub message: String,
}
