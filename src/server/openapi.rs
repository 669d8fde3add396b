//! The OpenAPI document of what is served, made from the handlers' own descriptions.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;

use super::handlers::{data_copies, files, health, manifests, metrics, migration_status, reports, tasks};
use crate::protocol::routes;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "twintree",
        description = "Verification of live migrations, as Cassandra Sidecar serves it, and twintree's own routes. The Host \
                       header names the instance a request is about."
    ),
    paths(
        health::get_health,
        metrics::get_metrics,
        get_openapi,
        files::list_files,
        files::get_file,
        migration_status::get_status,
        migration_status::complete,
        migration_status::clear_status,
        tasks::create_task,
        tasks::list_tasks,
        tasks::get_task,
        tasks::cancel_task,
        reports::get_report,
        reports::get_events,
        manifests::stream_manifest,
        manifests::open_branches,
        manifests::release_manifest,
        data_copies::list,
        data_copies::create,
        data_copies::get,
        data_copies::cancel,
    )
)]
struct Document;

/// The document as JSON.
#[utoipa::path(
    get,
    path = routes::OPENAPI,
    tag = "service",
    responses(
        (status = 200, description = "This document"),
    ),
)]
pub(super) async fn get_openapi() -> Response {
    // A document of our own types always serialises.
    let text = Document::openapi().to_json().unwrap_or_default();
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}
