//! The client of a destination's task API.

use std::time::Duration;

use reqwest::Method;
use serde::de::DeserializeOwned;

use super::call_error::{CallError, refusal};
use super::connector::{Timeouts, connect};
use super::endpoint::Endpoint;
use crate::protocol::{DifferenceBody, ListedTask, ReportBody, TaskCreated, TaskRequest, TaskStatus, routes};

/// How long one answer may take; all of them are short.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection may take: a host that is there answers within a round trip, and whoever asks for many must not wait long for one
/// that drops every packet.
const CONNECT: Duration = Duration::from_secs(10);

/// How many connections are kept: calls come one after the other.
const IDLE_CONNECTIONS: usize = 1;

/// A destination's service, as those who start tasks and follow them see it.
#[derive(Debug, Clone)]
pub struct TaskClient {
    endpoint: Endpoint,
    http: reqwest::Client,
}

impl TaskClient {
    /// A client that has not called yet.
    pub fn new(endpoint: Endpoint) -> Result<Self, CallError> {
        let timeouts = Timeouts { connect: Some(CONNECT), total: Some(TIMEOUT), ..Timeouts::default() };
        let http = connect(timeouts, IDLE_CONNECTIONS).map_err(|error| CallError::unreachable(&endpoint, &error))?;
        Ok(Self { endpoint, http })
    }

    /// A client of another service, for whoever calls thousands of them: what one takes is shared.
    pub fn of_another(&self, endpoint: Endpoint) -> Self {
        Self { endpoint, http: self.http.clone() }
    }

    /// Where the service listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Starts a task.
    pub async fn create_task(&self, request: &TaskRequest) -> Result<TaskCreated, CallError> {
        self.call(Method::POST, routes::TASKS, Some(request)).await
    }

    /// The latest task, or all that are remembered.
    pub async fn tasks(&self, history: bool) -> Result<Vec<ListedTask>, CallError> {
        self.call(Method::GET, &format!("{}?history={history}", routes::TASKS), None).await
    }

    /// The status of a task.
    pub async fn status(&self, id: &str) -> Result<TaskStatus, CallError> {
        self.call(Method::GET, &routes::task(id), None).await
    }

    /// Cancels a task.
    pub async fn cancel(&self, id: &str) -> Result<TaskStatus, CallError> {
        self.call(Method::PATCH, &routes::task(id), None).await
    }

    /// The report with one page of its differences, as many as the service puts on one.
    pub async fn report_page(&self, id: &str, offset: u64) -> Result<ReportBody, CallError> {
        self.call(Method::GET, &format!("{}?offset={offset}", routes::report(id)), None).await
    }

    /// The whole report, page by page.
    pub async fn report(&self, id: &str) -> Result<ReportBody, CallError> {
        let mut report = self.report_page(id, 0).await?;
        while (report.differences.len() as u64) < report.differences_total {
            let page: Vec<DifferenceBody> = self.report_page(id, report.differences.len() as u64).await?.differences;
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
        let mut request = self.http.request(method, self.endpoint.url(path));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| CallError::unreachable(&self.endpoint, &error))?;
        if !response.status().is_success() {
            return Err(refusal(&self.endpoint, response).await);
        }
        let bytes = response.bytes().await.map_err(|error| CallError::broken_off(&self.endpoint, &error))?;
        serde_json::from_slice(&bytes).map_err(|error| self.malformed(error.to_string()))
    }

    fn malformed(&self, cause: String) -> CallError {
        CallError::Malformed { endpoint: self.endpoint.clone(), cause }
    }
}
