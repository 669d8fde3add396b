//! The two error bodies of the Sidecar's API.

use serde::{Deserialize, Serialize};

/// `{"status":"Not Found","code":404,"message":"..."}`; a refusal by role or by completion has the status alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// The reason phrase of the status code.
    pub status: String,
    /// The status code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<u16>,
    /// What went wrong, for a person.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
}

impl ErrorBody {
    /// The body with code and message.
    pub fn new(code: u16, status: &str, message: impl Into<String>) -> Self {
        Self { status: status.to_owned(), code: Some(code), message: Some(message.into()) }
    }

    /// The body of a refusal by role or by completion.
    pub fn bare(status: &str) -> Self {
        Self { status: status.to_owned(), code: None, message: None }
    }
}
