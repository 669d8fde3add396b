//! The health route.

use axum::Json;
use serde::Serialize;

use crate::protocol::routes;

/// `{"status":"OK"}`
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::server) struct HealthBody {
    status: &'static str,
}

/// `{"status":"OK"}` as long as the service answers at all.
#[utoipa::path(
    get,
    path = routes::HEALTH,
    tag = "service",
    responses(
        (status = 200, description = "It answers", body = HealthBody),
    ),
)]
pub(in crate::server) async fn get_health() -> Json<HealthBody> {
    Json(HealthBody { status: "OK" })
}
