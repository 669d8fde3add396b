//! One file for each resource.

pub(super) mod data_copies;
mod digest;
pub(super) mod files;
pub(super) mod health;
pub(super) mod manifests;
pub(super) mod metrics;
pub(super) mod migration_status;
mod report_pages;
pub(super) mod reports;
mod task_list;
pub(super) mod tasks;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::app::App;
use super::error::ApiError;
use crate::work::Client;

/// The id in a path. One that is not UTF-8 names nothing here, and is refused as every other unknown id is.
fn id(path: Result<Path<String>, PathRejection>) -> String {
    path.map_or_else(|_| char::REPLACEMENT_CHARACTER.to_string(), |Path(id)| id)
}

/// How many bytes a value has as JSON.
fn json_bytes<T: Serialize>(value: &T) -> Result<u64, ApiError> {
    let text = serde_json::to_vec(value).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(text.len() as u64)
}

/// A value as JSON of any length, counted until it was sent.
fn held_json<T: Serialize>(app: &App, client: Client, value: &T) -> Result<Response, ApiError> {
    let text = serde_json::to_vec(value).map_err(|error| ApiError::Internal(error.to_string()))?;
    let memory = app.memory_for(client, text.len() as u64)?;
    Ok(([(CONTENT_TYPE, "application/json")], memory.hold(text)).into_response())
}
