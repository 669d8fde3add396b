//! The health route.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::protocol::routes;
use crate::server::app::App;

const RECORDS_ARE_WRONG: &str =
    "recorded digests proved wrong, and their file can be neither removed nor emptied: none is trusted";

/// `{"status":"OK"}`, and what is not safe.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::server) struct HealthBody {
    status: &'static str,
    /// What is not safe on disk, or wrong there, in a sentence; absent where all is well (ours).
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
    let not_safe = app.tasks().not_safe().map(|(tasks, cause)| {
        let unit = if tasks == 1 { "task is" } else { "tasks are" };
        format!("{tasks} {unit} not safe in the task history on disk yet: {cause}")
    });
    let wrong = app.engine().cache().filter(|cache| cache.is_off()).map(|_| RECORDS_ARE_WRONG.to_owned());
    let trouble: Vec<String> = not_safe.into_iter().chain(wrong).collect();
    let state_trouble = (!trouble.is_empty()).then(|| trouble.join("; "));
    Json(HealthBody { status: "OK", state_trouble })
}
