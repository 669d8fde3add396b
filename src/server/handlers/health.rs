//! The health route.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::protocol::routes;
use crate::server::app::App;

/// `{"status":"OK"}`, and what is not safe.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::server) struct HealthBody {
    status: &'static str,
    /// What is not safe on disk, in a sentence; absent where all is well (ours).
    #[serde(rename = "stateTrouble", skip_serializing_if = "Option::is_none")]
    state_trouble: Option<String>,
}

/// `{"status":"OK"}` as long as the service answers at all; beside it stands what is not safe on disk.
#[utoipa::path(
    get,
    path = routes::HEALTH,
    tag = "service",
    responses(
        (status = 200, description = "It answers", body = HealthBody),
    ),
)]
pub(in crate::server) async fn get_health(State(app): State<App>) -> Json<HealthBody> {
    let trouble = app.tasks().not_safe();
    let state_trouble = trouble.map(|(tasks, cause)| {
        let unit = if tasks == 1 { "task is" } else { "tasks are" };
        format!("{tasks} {unit} not safe in the task history on disk yet: {cause}")
    });
    Json(HealthBody { status: "OK", state_trouble })
}
