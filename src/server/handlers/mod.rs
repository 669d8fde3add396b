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
pub(super) mod tasks;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;

/// The id in a path. One that is not UTF-8 names nothing here, and is refused as every other unknown id is.
fn id(path: Result<Path<String>, PathRejection>) -> String {
    path.map_or_else(|_| char::REPLACEMENT_CHARACTER.to_string(), |Path(id)| id)
}
