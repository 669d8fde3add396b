//! Verification tasks: request, answer, status.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::headline::Headline;
use super::task_state::{Progress, TaskState};
use crate::model::{Counters, DigestAlgorithm, Scope, Selection, SelectionError, UnknownAlgorithm};

/// A task request that passed its checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskRequest {
    /// At least 1.
    pub max_concurrency: u32,
    /// As the client spelled it; [`TaskRequest::algorithm`] is what it means.
    pub digest_algorithm: String,
    /// Compare content for all entries whose metadata matched, even where other entries differ (ours).
    #[serde(default)]
    pub keep_going: bool,
    /// The keyspaces and tables to compare, such as `keyspace` and `keyspace.table`; `None` for everything (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyspaces: Option<Vec<String>>,
}

impl TaskRequest {
    /// What the spelling means.
    pub fn algorithm(&self) -> Result<DigestAlgorithm, UnknownAlgorithm> {
        self.digest_algorithm.parse()
    }

    /// What the keyspaces mean.
    pub fn selection(&self) -> Result<Option<Selection>, SelectionError> {
        self.keyspaces.as_deref().map(Selection::parse).transpose()
    }
}

/// Why a task request is refused. The texts are the Sidecar's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Not JSON, a field absent or of the wrong type, `maxConcurrency` below 1, a blank algorithm.
    #[error("Failed to parse request body, please ensure that the request is valid.")]
    Body,
    /// More than the configuration allows.
    #[error("max concurrency can not be more than {0}")]
    TooConcurrent(u32),
    /// Neither MD5 nor XXHash32.
    #[error(transparent)]
    Algorithm(#[from] UnknownAlgorithm),
    /// Keyspaces that are none.
    #[error("keyspaces: {0}")]
    Keyspaces(#[from] SelectionError),
}

/// Checks a request body against the limit of the configuration. Unknown fields are ignored.
pub fn parse_task_request(body: &[u8], max_concurrency: u32) -> Result<TaskRequest, BadRequest> {
    let request: TaskRequest = serde_json::from_slice(body).map_err(|_| BadRequest::Body)?;
    if request.max_concurrency == 0 || request.digest_algorithm.trim().is_empty() {
        return Err(BadRequest::Body);
    }
    if request.max_concurrency > max_concurrency {
        return Err(BadRequest::TooConcurrent(max_concurrency));
    }
    request.algorithm()?;
    request.selection()?;
    Ok(request)
}

/// The answer to a task that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskCreated {
    /// A version-1 UUID.
    pub task_id: String,
    /// Where to ask for the status.
    pub status_url: String,
}

/// How the two sides were compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// By exchanging Merkle trees.
    Manifest,
    /// By asking for the digest of every file, as the Sidecar does.
    PerFile,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manifest => "manifest",
            Self::PerFile => "per-file",
        })
    }
}

/// The status of a task: the Sidecar's fields, then ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskStatus {
    /// The task.
    pub id: String,
    /// As the request spelled it.
    pub digest_algorithm: String,
    /// Where it stands.
    pub state: TaskState,
    /// The source's name in the migration map.
    pub source: String,
    /// The source's port.
    pub port: u16,
    /// The seven counters.
    #[serde(flatten)]
    pub counters: Counters,
    /// How the two sides are compared.
    pub protocol: Protocol,
    /// Why by this protocol; null as long as the source has not answered.
    #[serde(default)]
    pub protocol_reason: Option<String>,
    /// Why the source does not answer at the moment, and how long it is tried for; absent where all is well (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_trouble: Option<String>,
    /// Why the task is not safe in the history on disk yet, as on a full disk; absent where it is (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_trouble: Option<String>,
    /// Progress on both sides.
    #[serde(flatten)]
    pub progress: Progress,
    /// Epoch milliseconds.
    pub started_at: i64,
    /// Epoch milliseconds; null while the task is under way.
    pub ended_at: Option<i64>,
    /// Why it failed or was cancelled; null otherwise.
    pub message: Option<String>,
    /// What it speaks of (ours). Until the source has answered, what is known of this side.
    #[serde(default)]
    pub scope: Option<Scope>,
    /// Digests of earlier reads stand for some files (ours).
    #[serde(default)]
    pub trusting: bool,
    /// Files with the same metadata whose content was not compared, because metadata elsewhere differs (ours).
    #[serde(default)]
    pub content_not_compared: u64,
    /// All of that in a sentence (ours).
    #[serde(default)]
    pub headline: String,
}

impl TaskStatus {
    /// Makes the headline that of all the other fields.
    pub fn refresh(&mut self) {
        self.headline = Headline {
            state: self.state,
            counters: &self.counters,
            message: self.message.as_deref(),
            scope: self.scope.as_ref(),
            trusting: self.trusting,
            content_not_compared: self.content_not_compared,
            progress: &self.progress,
        }
        .text();
    }

    /// The status of a task that was accepted at this moment, in milliseconds since the epoch.
    pub fn accepted(
        id: String,
        request: &TaskRequest,
        (source, port): (String, u16),
        scope: Scope,
        at_ms: i64,
    ) -> Self {
        let mut status = Self {
            id,
            digest_algorithm: request.digest_algorithm.clone(),
            state: TaskState::NotStarted,
            source,
            port,
            counters: Counters::default(),
            protocol: Protocol::Manifest,
            protocol_reason: None,
            source_trouble: None,
            state_trouble: None,
            progress: Progress::default(),
            started_at: at_ms,
            ended_at: None,
            message: None,
            scope: Some(scope),
            trusting: false,
            content_not_compared: 0,
            headline: String::new(),
        };
        status.refresh();
        status
    }
}

/// A task in the list of all that are remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum ListedTask {
    /// One whose status is known.
    Known(Box<TaskStatus>),
    /// One whose record is damaged.
    Damaged(DamagedTask),
}

/// A task of which nothing can be told but that it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DamagedTask {
    /// The task.
    pub id: String,
    /// What is wrong, in a sentence.
    pub damaged: String,
}

impl DamagedTask {
    /// The task of this id, whose record in the history is damaged.
    pub fn new(id: String) -> Self {
        let damaged = format!("the record of task {id} in the task history is damaged");
        Self { id, damaged }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<TaskRequest, BadRequest> {
        parse_task_request(body.as_bytes(), 20)
    }

    #[test]
    fn a_stock_clients_request_is_accepted() {
        let request = parse(r#"{"maxConcurrency":20,"digestAlgorithm":"md5","seed":"7"}"#).unwrap();
        assert_eq!(request.digest_algorithm, "md5", "kept as it was spelled");
        assert_eq!(request.algorithm(), Ok(DigestAlgorithm::Md5));
        assert!(!request.keep_going);
    }

    #[test]
    fn refusals_have_the_contracts_texts() {
        let generic = "Failed to parse request body, please ensure that the request is valid.";
        for body in [
            "",
            "[]",
            "{}",
            r#"{"digestAlgorithm":"MD5"}"#,
            r#"{"maxConcurrency":0,"digestAlgorithm":"MD5"}"#,
            r#"{"maxConcurrency":-1,"digestAlgorithm":"MD5"}"#,
            r#"{"maxConcurrency":4}"#,
            r#"{"maxConcurrency":4,"digestAlgorithm":" "}"#,
        ] {
            assert_eq!(parse(body).unwrap_err().to_string(), generic, "{body}");
        }
        let text = |body| parse(body).unwrap_err().to_string();
        assert_eq!(text(r#"{"maxConcurrency":21,"digestAlgorithm":"MD5"}"#), "max concurrency can not be more than 20");
        assert_eq!(text(r#"{"maxConcurrency":1,"digestAlgorithm":"SHA1"}"#), "Unsupported digest algorithm SHA1");
        let keyspaces =
            |list: &str| parse(&format!(r#"{{"maxConcurrency":1,"digestAlgorithm":"MD5","keyspaces":{list}}}"#));
        assert_eq!(keyspaces(r#""ks""#).unwrap_err().to_string(), generic, "a text is no list");
        assert!(keyspaces(r#"["a/b"]"#).unwrap_err().to_string().starts_with("keyspaces: \"a/b\" is no keyspace"));
        assert!(keyspaces("[]").is_err());
        assert_eq!(keyspaces("null").unwrap().keyspaces, None);
    }
}
