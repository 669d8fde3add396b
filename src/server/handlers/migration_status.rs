//! Whether an instance's migration is complete.

use axum::Json;

use crate::protocol::{ErrorBody, MigrationStatus, routes};
use crate::server::caller::{Hosted, Participant};
use crate::server::error::ApiError;
use crate::work::now_ms;

/// The status.
#[utoipa::path(
    get,
    path = routes::STATUS,
    tag = "migration",
    responses(
        (status = 200, description = "The status", body = MigrationStatus),
        (status = 404, description = "The host has not the role for this", body = ErrorBody),
        (status = 500, description = "The status cannot be read", body = ErrorBody),
    ),
)]
pub(in crate::server) async fn get_status(participant: Participant) -> Result<Json<MigrationStatus>, ApiError> {
    let Participant { app, instance, .. } = participant;
    Ok(Json(app.completion(&instance).status().await?))
}

/// Marks the migration complete, once.
#[utoipa::path(
    post,
    path = routes::STATUS,
    tag = "migration",
    responses(
        (status = 200, description = "Complete from now on", body = MigrationStatus),
        (status = 400, description = "Complete already", body = ErrorBody),
        (status = 404, description = "The host has not the role for this", body = ErrorBody),
        (status = 500, description = "The status cannot be kept", body = ErrorBody),
    ),
)]
pub(in crate::server) async fn complete(participant: Participant) -> Result<Json<MigrationStatus>, ApiError> {
    let Participant { app, instance, .. } = participant;
    let status = app.completion(&instance).complete(now_ms()).await?.ok_or(ApiError::Complete)?;
    tracing::info!(instance = instance.id, host = instance.host, "the migration was marked complete");
    Ok(Json(status))
}

/// Forgets that the migration was complete, once the host no longer stands in the migration map.
#[utoipa::path(
    delete,
    path = routes::STATUS,
    tag = "migration",
    responses(
        (status = 200, description = "Not complete any more", body = MigrationStatus),
        (status = 400, description = "Never complete", body = ErrorBody),
        (status = 403, description = "Still in the migration map", body = ErrorBody),
        (status = 404, description = "No such host", body = ErrorBody),
        (status = 500, description = "The status cannot be kept", body = ErrorBody),
    ),
)]
pub(in crate::server) async fn clear_status(hosted: Hosted) -> Result<Json<MigrationStatus>, ApiError> {
    let Hosted { app, instance, has_role, .. } = hosted;
    if has_role {
        return Err(ApiError::StillMapped);
    }
    if !app.completion(&instance).clear().await? {
        return Err(ApiError::NeverCompleted);
    }
    tracing::info!(instance = instance.id, host = instance.host, "the migration status was cleared");
    Ok(Json(MigrationStatus::NOT_COMPLETED))
}
