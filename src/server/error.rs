//! The one map from what went wrong to a status code and an error body.

use axum::Json;
use axum::http::header::{CONNECTION, CONTENT_RANGE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::file_target::BadTarget;
use crate::model::UnknownAlgorithm;
use crate::protocol::{BadRequest, DamagedTask, ErrorBody, spoken_versions};
use crate::scan::OpenFailure;
use crate::source::{BranchError, CompletionError, ServeError};
use crate::task::{HistoryError, StartError};
use crate::work::{Busy, OverBudget};

/// After how many seconds a busy service is worth asking again, and one that owes the client a slot.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");
const RETRY_SOON_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// A refused or failed request.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// The host has not the role that the route is for.
    #[error("Not Found")]
    NoRole,
    /// The migration is complete: nothing more is served, verified or completed.
    #[error("Bad Request")]
    Complete,
    /// The migration was never complete.
    #[error("Bad Request")]
    NeverCompleted,
    /// The host still stands in the migration map.
    #[error("the migration status can be cleared once the host is no longer in live_migration.migration_map")]
    StillMapped,
    /// The record of the migration cannot be kept. The cause is for the log: it names files of this host.
    #[error("the migration status cannot be {}; the service's log says why", .0.action)]
    Completion(#[from] CompletionError),
    /// Data copies are not served.
    #[error("data copies are not served by twintree")]
    NoDataCopies,
    /// A request path that means no file.
    #[error(transparent)]
    Target(#[from] BadTarget),
    /// The exclusion rules leave the file out.
    #[error("Requested path is excluded from live migration")]
    Excluded,
    /// A digest of a file that this API does not have.
    #[error(transparent)]
    Algorithm(UnknownAlgorithm),
    /// There is no such file.
    #[error("File not found")]
    NoFile,
    /// A link leads out of the root.
    #[error("Resolved path escapes base directory")]
    Escapes,
    /// The file, or the listing, could not be read.
    #[error("could not be read: {0}")]
    Unreadable(String),
    /// None of the ranges asked for lie in the file.
    #[error("the file has {size} bytes, and none in the range asked for")]
    Range {
        /// The file's size in bytes.
        size: u64,
    },
    /// The file is not the one that the request's conditions speak of.
    #[error("the file is not the one the request is about")]
    PreconditionFailed,
    /// No Host header, or more than one.
    #[error("a request has exactly one Host header")]
    Host,
    /// There is no such route.
    #[error("no such route")]
    NoRoute,
    /// The route has no such method.
    #[error("the route has no such method")]
    NoMethod,
    /// A bad task request.
    #[error(transparent)]
    Task(#[from] BadRequest),
    /// A body that could not be read, or is no manifest request.
    #[error("{0}")]
    Body(String),
    /// A body beyond the limit.
    #[error("the request body is larger than {0} bytes")]
    BodyTooLarge(usize),
    /// A body that does not come.
    #[error("the request body came too slowly")]
    BodyTooSlow,
    /// What the request or its answer would hold does not fit into the memory that is left.
    #[error("Server is busy, please try again later: {0}")]
    Memory(#[from] OverBudget),
    /// All connections are in use, and this one is kept for health and metrics.
    #[error("Server is busy, please try again later: all connections are in use")]
    Connections,
    /// Another version of the extension routes.
    #[error("protocol versions {0} to {1} are not spoken here; this twintree speaks {own}", own = spoken_versions())]
    Version(u32, u32),
    /// A task is under way on the instance. The text is the Sidecar's.
    #[error("Another files digest verification is in progress for instance={0}")]
    TaskUnderWay(u64),
    /// The service stops.
    #[error("the service is stopping, please try again later")]
    Stopping,
    /// No such task to look at.
    #[error("No task found with given id {0}")]
    NoTask(String),
    /// No such task to cancel.
    #[error("No live migration task found with id {0}")]
    NoTaskToCancel(String),
    /// The source does not have that manifest.
    #[error("no manifest with id {0} is kept here")]
    NoManifest(String),
    /// A branch request that cannot be answered.
    #[error(transparent)]
    Branch(#[from] BranchError),
    /// The source is busy.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The history cannot be read. The cause is for the log: it names files of this host.
    #[error("the task history cannot be read; the service's log says why")]
    History(#[source] HistoryError),
    /// What the history holds of this task is not what was written.
    #[error("{}; the service's log says where", DamagedTask::new(.0.clone()).damaged)]
    DamagedTask(String),
    /// The source cannot be called at all.
    #[error("{0}")]
    Internal(String),
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoRole
            | Self::NoRoute
            | Self::NoTask(_)
            | Self::NoTaskToCancel(_)
            | Self::NoManifest(_)
            | Self::NoDataCopies
            | Self::Target(BadTarget::NoSuchName | BadTarget::UnknownRoot(_))
            | Self::Excluded
            | Self::NoFile => StatusCode::NOT_FOUND,
            Self::Complete | Self::NeverCompleted | Self::Target(_) | Self::Algorithm(_) => StatusCode::BAD_REQUEST,
            Self::StillMapped | Self::Escapes => StatusCode::FORBIDDEN,
            Self::Range { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::NoMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Branch(BranchError::NotReady) | Self::TaskUnderWay(_) => StatusCode::CONFLICT,
            Self::Busy(_)
            | Self::Memory(_)
            | Self::Connections
            | Self::Branch(BranchError::Memory(_))
            | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::History(_)
            | Self::DamagedTask(_)
            | Self::Internal(_)
            | Self::Completion(_)
            | Self::Unreadable(_)
            | Self::Branch(BranchError::Died(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Host | Self::Task(_) | Self::Body(_) | Self::Version(..) | Self::Branch(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<HistoryError> for ApiError {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Damaged { ref id, .. } => {
                tracing::error!(%error, "a damaged record is not served");
                Self::DamagedTask(id.clone())
            }
            error => Self::History(error),
        }
    }
}

impl From<StartError> for ApiError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Busy(instance) => Self::TaskUnderWay(instance),
            StartError::Stopping => Self::Stopping,
        }
    }
}

impl From<ServeError> for ApiError {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Open(OpenFailure::NotFound) => Self::NoFile,
            ServeError::Open(OpenFailure::Escapes) => Self::Escapes,
            ServeError::Open(OpenFailure::Directory) => Self::Target(BadTarget::Directory),
            error => Self::Unreadable(error.to_string()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        match &self {
            Self::History(cause) => tracing::error!(%cause, "the task history cannot be read"),
            Self::Completion(cause) => tracing::error!(%cause, "the migration status cannot be kept"),
            _ => {}
        }
        let phrase = status.canonical_reason().unwrap_or_default();
        let unsatisfied = match self {
            Self::Range { size } => HeaderValue::from_str(&format!("bytes */{size}")).ok(),
            _ => None,
        };
        let retry_after = match self {
            Self::Busy(Busy { owed: true }) => RETRY_SOON_SECONDS,
            _ => RETRY_AFTER_SECONDS,
        };
        let body_left = matches!(self, Self::BodyTooLarge(_) | Self::BodyTooSlow | Self::Memory(_) | Self::Connections);
        let body = match self {
            Self::NoRole | Self::Complete | Self::NeverCompleted => ErrorBody::bare(phrase),
            ref error => ErrorBody::new(status.as_u16(), phrase, error.to_string()),
        };
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, retry_after);
        }
        if body_left {
            // What the client may send of its body is never read, so nothing can follow on this connection.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(range) = unsatisfied {
            response.headers_mut().insert(CONTENT_RANGE, range);
        }
        response
    }
}
