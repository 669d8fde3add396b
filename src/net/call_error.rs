//! What a failed call is, and whether the same call may succeed a moment later.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;

use super::endpoint::Endpoint;
use crate::model::Problem;
use crate::protocol::ErrorBody;

/// The longest error body that is read for its message, in bytes.
pub const MAX_ERROR_BODY_BYTES: usize = 64 << 10;

/// The longest wait a `Retry-After` can ask for, in seconds; beyond every budget, and safe to add to a time.
const MAX_RETRY_AFTER_SECONDS: u64 = 86_400;

/// A call that brought no answer, or a refusal. Every message names the endpoint and the cause.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No connection, or it broke before an answer came.
    #[error("{endpoint} cannot be reached: {cause}")]
    Unreachable {
        /// The service.
        endpoint: Endpoint,
        /// What the system said.
        cause: String,
        /// A connection stood, so the service may have begun with what it was asked for.
        connected: bool,
    },
    /// An answer stopped before its end.
    #[error("{endpoint}: the exchange was interrupted: {cause}")]
    Interrupted {
        /// The service.
        endpoint: Endpoint,
        /// What the system said.
        cause: String,
    },
    /// A refusal, or another status than the protocol has.
    #[error("{endpoint} answered {status}{}{message}", if message.is_empty() { "" } else { ": " })]
    Status {
        /// The service.
        endpoint: Endpoint,
        /// The status code.
        status: u16,
        /// The message of the error body, where it has one.
        message: String,
        /// How long the service asks to wait.
        retry_after: Option<Duration>,
    },
    /// An answer that is not what was asked for.
    #[error("{endpoint} sent something else than was asked for: {cause}")]
    Malformed {
        /// The service.
        endpoint: Endpoint,
        /// What is wrong with it.
        cause: String,
    },
    /// Retrying did not help.
    #[error("{last} (gave up after {requests} requests)")]
    GaveUp {
        /// The last failure.
        last: Box<CallError>,
        /// How many requests were tried.
        requests: u32,
    },
}

/// An error of a conversation, of which some are failed calls.
pub trait Failure: From<CallError> {
    /// The failed call; the error itself where it is something else.
    fn into_call(self) -> Result<CallError, Self>;
}

impl Failure for CallError {
    fn into_call(self) -> Result<CallError, Self> {
        Ok(self)
    }
}

impl CallError {
    /// A request that was not answered.
    pub fn unreachable(endpoint: &Endpoint, error: &reqwest::Error) -> Self {
        Self::Unreachable { endpoint: endpoint.clone(), cause: cause_of(error), connected: !error.is_connect() }
    }

    /// An answer that broke off with this error.
    pub fn broken_off(endpoint: &Endpoint, error: &reqwest::Error) -> Self {
        Self::interrupted(endpoint, cause_of(error))
    }

    /// An answer that stopped before its end.
    pub fn interrupted(endpoint: &Endpoint, cause: impl Into<String>) -> Self {
        Self::Interrupted { endpoint: endpoint.clone(), cause: cause.into() }
    }

    /// Whether the same request may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
            Self::Malformed { .. } | Self::GaveUp { .. } => false,
        }
    }

    /// Whether it says something about the service rather than about what was asked for. 500 is an answer: a file that
    /// cannot be read gets it.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::GaveUp { last, .. } => last.is_outage(),
            Self::Status { status: 500, .. } => false,
            // By role or by completion: it would refuse every other file as well.
            Self::Status { status: 400 | 404, message, .. } => message.is_empty(),
            error => error.is_transient(),
        }
    }

    /// Whether the service may have begun with what it was asked for.
    pub fn may_have_begun(&self) -> bool {
        matches!(self, Self::Unreachable { connected: true, .. } | Self::Interrupted { .. })
    }

    /// How long the service asks to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Reads a refusal: its status, its message, and how long it asks to wait.
pub async fn refusal(endpoint: &Endpoint, mut response: reqwest::Response) -> CallError {
    let status = response.status().as_u16();
    let seconds = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ERROR_BODY_BYTES {
            break;
        }
    }
    let message = serde_json::from_slice(&body).ok().and_then(|body: ErrorBody| body.message).unwrap_or_default();
    let message = Problem::cut(message);
    CallError::Status {
        endpoint: endpoint.clone(),
        status,
        message,
        retry_after: seconds.map(|seconds: u64| Duration::from_secs(seconds.min(MAX_RETRY_AFTER_SECONDS))),
    }
}

/// The innermost cause, in plain words: the outer ones repeat the URL and say "error sending request", and the number of a
/// system error helps nobody.
pub fn cause_of(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match error.is_timeout() {
        true => "it did not answer in time".to_owned(),
        false => plain(&innermost.to_string()),
    }
}

/// `Connection refused (os error 111)` as `connection refused`.
fn plain(text: &str) -> String {
    let words = text.split(" (os error ").next().unwrap_or_default();
    let (first, rest) = words.split_at(words.ceil_char_boundary(1));
    format!("{}{rest}", first.to_lowercase())
}
