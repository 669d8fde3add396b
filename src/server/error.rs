//! The one map from what went wrong to a status code and an error body.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::protocol::{BadRequest, ErrorBody, PROTOCOL_VERSION};
use crate::verify::{BranchError, Busy, HistoryError, InstanceBusy};

/// After how many seconds a busy source is worth asking again.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// A refused or failed request.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// The host has not the role that the route is for.
    #[error("Not Found")]
    NoRole,
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
    /// Another version of the extension routes.
    #[error("protocol version {0} is not spoken here; this twintree speaks version {PROTOCOL_VERSION}")]
    Version(u32),
    /// A task is under way.
    #[error(transparent)]
    InstanceBusy(#[from] InstanceBusy),
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
    /// The source cannot be called at all.
    #[error("{0}")]
    Internal(String),
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoRole | Self::NoRoute | Self::NoTask(_) | Self::NoTaskToCancel(_) | Self::NoManifest(_) => {
                StatusCode::NOT_FOUND
            }
            Self::NoMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Branch(BranchError::NotReady) | Self::InstanceBusy(_) => StatusCode::CONFLICT,
            Self::Task(_) | Self::Body(_) | Self::Version(_) | Self::Branch(_) => StatusCode::BAD_REQUEST,
            Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::History(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        if let Self::History(cause) = &self {
            tracing::error!(%cause, "the task history cannot be read");
        }
        let phrase = status.canonical_reason().unwrap_or_default();
        let body = match self {
            Self::NoRole => ErrorBody::bare(phrase),
            ref error => ErrorBody::new(status.as_u16(), phrase, error.to_string()),
        };
        let mut response = (status, Json(body)).into_response();
        if matches!(self, Self::Busy(_)) {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }
}
