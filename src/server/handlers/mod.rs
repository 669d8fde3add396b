//! One file for each resource.

pub(super) mod data_copies;
mod digest;
pub(super) mod files;
pub(super) mod health;
pub(super) mod manifests;
pub(super) mod metrics;
pub(super) mod migration_status;
pub(super) mod reports;
pub(super) mod tasks;

use axum::body::Bytes;
use axum::extract::Path;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::http::StatusCode;

use super::error::ApiError;

/// A body, or the refusal in the API's own form.
fn body(body: Result<Bytes, BytesRejection>, limit: usize) -> Result<Bytes, ApiError> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::BodyTooLarge(limit),
        _ => ApiError::Body(rejection.body_text()),
    })
}

/// The id in a path. One that is not UTF-8 names nothing here, and is refused as every other unknown id is.
fn id(path: Result<Path<String>, PathRejection>) -> String {
    path.map_or_else(|_| char::REPLACEMENT_CHARACTER.to_string(), |Path(id)| id)
}
