//! Whether an instance's migration is complete.

use axum::Json;

use crate::protocol::MigrationStatus;
use crate::server::caller::{Hosted, Participant};
use crate::server::error::ApiError;
use crate::verify::now_ms;

/// The status.
pub(in crate::server) async fn get_status(participant: Participant) -> Result<Json<MigrationStatus>, ApiError> {
    let Participant { app, instance } = participant;
    Ok(Json(app.completion(&instance).status().await?))
}

/// Marks the migration complete, once.
pub(in crate::server) async fn complete(participant: Participant) -> Result<Json<MigrationStatus>, ApiError> {
    let Participant { app, instance } = participant;
    let status = app.completion(&instance).complete(now_ms()).await?.ok_or(ApiError::Complete)?;
    tracing::info!(instance = instance.id, host = instance.host, "the migration was marked complete");
    Ok(Json(status))
}

/// Forgets that the migration was complete, once the host no longer stands in the migration map.
pub(in crate::server) async fn clear_status(hosted: Hosted) -> Result<Json<MigrationStatus>, ApiError> {
    let Hosted { app, instance, has_role } = hosted;
    if has_role {
        return Err(ApiError::StillMapped);
    }
    if !app.completion(&instance).clear().await? {
        return Err(ApiError::NeverCompleted);
    }
    tracing::info!(instance = instance.id, host = instance.host, "the migration status was cleared");
    Ok(Json(MigrationStatus::NOT_COMPLETED))
}
