//! The command line's client of a destination's service.

use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;

use super::exit_code::CommandError;
use crate::protocol::{DifferenceBody, ErrorBody, ReportBody, TaskCreated, TaskRequest, TaskStatus, routes};
use crate::report::printable;

/// How long one answer may take; all of them are short.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A destination's service.
pub(super) struct Destination {
    base: Url,
    http: reqwest::Client,
}

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// No answer.
    #[error("{url} cannot be reached: {cause}")]
    Unreachable {
        /// The service.
        url: String,
        /// What the system said.
        cause: String,
    },
    /// A refusal.
    #[error("{url} answered {status}: {message}")]
    Refused {
        /// The service.
        url: String,
        /// The status code.
        status: StatusCode,
        /// Its message.
        message: String,
    },
    /// An answer that is none.
    #[error("{url} sent something else than was asked for: {cause}")]
    Malformed {
        /// The service.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
}

impl From<CallError> for CommandError {
    fn from(error: CallError) -> Self {
        match &error {
            CallError::Refused { status: StatusCode::BAD_REQUEST, .. } => Self::Usage(error.to_string()),
            CallError::Refused { status: StatusCode::CONFLICT, url, .. } => {
                Self::Failed(format!("{error}; see: twintree tasks --destination {url}"))
            }
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl Destination {
    /// The service at a URL; `http://` may be left out.
    pub(super) fn new(text: &str) -> Result<Self, CommandError> {
        let usage = |what: &str| {
            CommandError::Usage(format!("--destination \"{text}\": {what}; expected something like http://node4:9043"))
        };
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let base: Url = full.parse().map_err(|_| usage("not a URL"))?;
        match base.scheme() {
            "http" if base.has_host() && base.path() == "/" => {}
            "http" if base.has_host() => return Err(usage("a path is not needed")),
            "https" => return Err(usage("TLS is not supported by this release")),
            _ => return Err(usage("not an http URL")),
        }
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build();
        Ok(Self { base, http: http.map_err(|error| CommandError::Failed(error.to_string()))? })
    }

    pub(super) async fn create_task(&self, request: &TaskRequest) -> Result<TaskCreated, CallError> {
        self.call(Method::POST, routes::TASKS, Some(request)).await
    }

    /// The latest task, or all that are remembered.
    pub(super) async fn tasks(&self, history: bool) -> Result<Vec<TaskStatus>, CallError> {
        self.call(Method::GET, &format!("{}?history={history}", routes::TASKS), None).await
    }

    pub(super) async fn status(&self, id: &str) -> Result<TaskStatus, CallError> {
        self.call(Method::GET, &routes::task(id), None).await
    }

    pub(super) async fn cancel(&self, id: &str) -> Result<TaskStatus, CallError> {
        self.call(Method::PATCH, &routes::task(id), None).await
    }

    /// The whole report, page by page.
    pub(super) async fn report(&self, id: &str) -> Result<ReportBody, CallError> {
        let path = routes::report(id);
        let mut report: ReportBody = self.call(Method::GET, &path, None).await?;
        while (report.differences.len() as u64) < report.differences_total {
            let next = format!("{path}?offset={}", report.differences.len());
            let page: Vec<DifferenceBody> = self.call::<ReportBody>(Method::GET, &next, None).await?.differences;
            if page.is_empty() {
                return Err(self.malformed("the report ends before its last difference".to_owned()));
            }
            report.differences.extend(page);
        }
        Ok(report)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&TaskRequest>,
    ) -> Result<T, CallError> {
        let url = self.base.join(path).map_err(|error| self.malformed(error.to_string()))?;
        let mut request = self.http.request(method, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        if !status.is_success() {
            let body: Option<ErrorBody> = serde_json::from_slice(&bytes).ok();
            let message = body.and_then(|body| body.message).unwrap_or_else(|| match status {
                StatusCode::NOT_FOUND => "under this name it is no destination in its migration map (it may be a source, or be named otherwise there)".to_owned(),
                _ => "no reason given".to_owned(),
            });
            return Err(CallError::Refused { url: self.base.to_string(), status, message: printable(&message) });
        }
        serde_json::from_slice(&bytes).map_err(|error| self.malformed(error.to_string()))
    }

    fn malformed(&self, cause: String) -> CallError {
        CallError::Malformed { url: self.base.to_string(), cause }
    }

    fn unreachable(&self, error: &reqwest::Error) -> CallError {
        let mut innermost: &dyn std::error::Error = error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        CallError::Unreachable { url: self.base.to_string(), cause: innermost.to_string() }
    }
}

/// A runtime for a command that talks to a service.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| CommandError::Failed(format!("no runtime: {error}")))
}
