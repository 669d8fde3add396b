//! One file for each resource.

pub(super) mod health;
pub(super) mod manifests;
pub(super) mod tasks;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;

use super::error::ApiError;

/// A body, or the refusal in the API's own form.
fn body(body: Result<Bytes, BytesRejection>, limit: usize) -> Result<Bytes, ApiError> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::BodyTooLarge(limit),
        _ => ApiError::Body(rejection.body_text()),
    })
}
