//! The metrics route.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use crate::protocol::routes;
use crate::server::app::App;
use crate::server::error::ApiError;
use crate::server::metrics::Figures;
use crate::server::metrics_format::MetricsFormat;

/// Everything that is counted, in the format that the Accept header prefers.
#[utoipa::path(
    get,
    path = routes::METRICS,
    tag = "service",
    responses(
        (status = 200, description = "Prometheus text, or OpenMetrics text where it is preferred",
            content((String = "text/plain; version=0.0.4; charset=utf-8"),
                (String = "application/openmetrics-text; version=1.0.0; charset=utf-8"))),
    ),
)]
pub(in crate::server) async fn get_metrics(State(app): State<App>, request: HeaderMap) -> Result<Response, ApiError> {
    // A list may stand in several lines.
    let accept: Vec<&str> = request.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok()).collect();
    let format = MetricsFormat::preferred(&accept.join(","));
    let meter = app.engine().meter();
    let figures = Figures {
        tasks: app.tasks().counts(),
        hashed_files: meter.files(),
        hashed_bytes: meter.bytes(),
        manifests: app.offers().all().len(),
        tasks_not_safe: app.tasks().not_safe().map_or(0, |(tasks, _)| tasks),
        tasks_damaged: app.tasks().damaged(),
        memory_held: app.memory().held(),
        memory_limit: app.memory().limit(),
        connections: app.connections().open() as u64,
        connections_limit: app.connections().limit() as u64,
        surplus_connections: app.connections().surplus(),
    };
    let text = app.metrics().render(&figures, format).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(([(CONTENT_TYPE, format.media_type())], text).into_response())
}
