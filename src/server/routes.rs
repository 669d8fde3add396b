//! The route table and the layers around it.

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Version;
use axum::http::header::HOST;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::{delete, get, post};
use headers::{ContentLength, HeaderMapExt as _};

use super::accept::Reserved;
use super::app::App;
use super::error::ApiError;
use super::handlers::{data_copies, files, health, manifests, metrics, migration_status, reports, tasks};
use super::openapi;
use crate::protocol::{MAX_BRANCH_REQUEST_BYTES, routes};

/// The largest body of any other request, in bytes.
const MAX_BODY_BYTES: usize = 64 << 10;

/// The service as a router.
pub fn router(app: App) -> Router {
    Router::new()
        .route(routes::HEALTH, get(health::get_health))
        .route(routes::OPENAPI, get(openapi::get_openapi))
        .route(routes::METRICS, get(metrics::get_metrics))
        .route(routes::FILES, get(files::list_files))
        .route(routes::FILE, get(files::get_file))
        .route(
            routes::STATUS,
            get(migration_status::get_status).post(migration_status::complete).delete(migration_status::clear_status),
        )
        .route(routes::DATA_COPIES, get(data_copies::list).post(data_copies::create))
        .route(routes::DATA_COPY, get(data_copies::get).patch(data_copies::cancel))
        .route(routes::TASKS, post(tasks::create_task).get(tasks::list_tasks))
        .route(routes::TASK, get(tasks::get_task).patch(tasks::cancel_task))
        .route(routes::TASK_REPORT, get(reports::get_report))
        .route(routes::TASK_EVENTS, get(reports::get_events))
        .route(routes::MANIFESTS, post(manifests::stream_manifest))
        .route(routes::MANIFEST, delete(manifests::release_manifest))
        .route(routes::BRANCHES, post(manifests::open_branches))
        .fallback(async || ApiError::NoRoute)
        .method_not_allowed_fallback(async || ApiError::NoMethod)
        .layer(from_fn(check_request))
        // Outermost, so that refused requests are counted and logged too.
        .layer(from_fn_with_state(app.clone(), log_request))
        .with_state(app)
}

/// The largest body that a route reads, in bytes.
fn max_body_bytes(route: Option<&str>) -> usize {
    match route {
        Some(routes::MANIFESTS) => manifests::MAX_REQUEST_BYTES,
        Some(routes::BRANCHES) => MAX_BRANCH_REQUEST_BYTES,
        _ => MAX_BODY_BYTES,
    }
}

/// Refuses by its head alone a request that cannot be answered.
pub(super) async fn check_request(request: Request, next: Next) -> Response {
    // RFC 9112, 3.2: nobody can say whom a request without a host is for, or one with two.
    let hosts = request.headers().get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() >= Version::HTTP_11) {
        return ApiError::Host.into_response();
    }
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let reserved = request.extensions().get::<Reserved>().is_some();
    if reserved && !matches!(route, Some(routes::HEALTH | routes::METRICS)) {
        return ApiError::Connections.into_response();
    }
    let limit = max_body_bytes(route);
    if request.headers().typed_get::<ContentLength>().is_some_and(|length| length.0 > limit as u64) {
        return ApiError::BodyTooLarge(limit).into_response();
    }
    next.run(request).await
}

async fn log_request(State(app): State<App>, request: Request, next: Next) -> Response {
    app.count_request();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let begun = std::time::Instant::now();
    let response = next.run(request).await;
    let elapsed_ms = begun.elapsed().as_millis() as u64;
    app.metrics().count(&method, route.as_ref().map(MatchedPath::as_str), response.status().as_u16());
    tracing::debug!(%method, path, status = response.status().as_u16(), elapsed_ms, "a request was answered");
    response
}
