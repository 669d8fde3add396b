//! The metrics route.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::protocol::routes;
use crate::server::app::App;
use crate::server::error::ApiError;
use crate::server::metrics::{MEDIA_TYPE, render};

/// Everything that is counted.
#[utoipa::path(
    get,
    path = routes::METRICS,
    tag = "service",
    responses(
        (status = 200, description = "OpenMetrics text",
            body = String, content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ),
)]
pub(in crate::server) async fn get_metrics(State(app): State<App>) -> Result<Response, ApiError> {
    let text = render(&app).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], text).into_response())
}
