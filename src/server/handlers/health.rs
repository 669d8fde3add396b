//! The health route.

use axum::Json;
use serde_json::{Value, json};

/// `{"status":"OK"}` as long as the service answers at all.
pub(in crate::server) async fn get_health() -> Json<Value> {
    Json(json!({ "status": "OK" }))
}
