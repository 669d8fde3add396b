//! What crosses the network: paths, JSON bodies, frames, and the limits on each. No I/O.

mod branches;
mod error_body;
mod files;
mod frame;
mod headline;
mod manifests;
mod report;
pub mod routes;
mod source_failure;
mod status;
mod task;
mod task_state;

pub use branches::{
    BranchDirectory, BranchFrame, BranchRequest, BranchRequestError, FILES_PER_BLOCK, FileRead,
    MAX_BRANCH_REQUEST_BYTES, MAX_SENT_BLOCK_BYTES, ReadOutcome,
};
pub use error_body::ErrorBody;
pub use files::{DigestBody, ListingBody, ListingEntry, UnlistedEntry};
pub use frame::{Frame, FrameDecoder, FrameError, FrameReader, MAX_FRAME_BYTES, PackedFrame, encode_frame};
pub use headline::{Headline, not_compared};
pub use manifests::{
    End, FinishedDirectory, Hello, ManifestFrame, ManifestRequest, ProgressFrame, RootFrame, SPOKEN_VERSIONS,
    common_version, spoken_versions,
};
pub use report::{DifferenceBody, EvidenceBody, ReadBody, ReportBody, ReportSummary, SideBody, Timings};
pub use source_failure::SourceFailure;
pub use status::{MigrationState, MigrationStatus};
pub use task::{
    BadRequest, DamagedTask, ListedTask, Protocol, TaskCreated, TaskRequest, TaskStatus, parse_task_request,
};
pub use task_state::{Progress, TaskState};

/// The media type of a manifest stream.
pub const MANIFEST_MEDIA_TYPE: &str = "application/vnd.twintree.manifest.v1";

/// The media type of a branch request and of the stream that answers it.
pub const BRANCHES_MEDIA_TYPE: &str = "application/vnd.twintree.branches.v1";

/// How many directories one branch request asks for at most.
pub const BRANCH_BATCH: usize = 256;
