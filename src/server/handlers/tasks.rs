//! Verification tasks of a destination.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use serde::Deserialize;

use super::{body, id};
use crate::protocol::{TaskCreated, TaskStatus, parse_task_request, routes};
use crate::server::caller::Destination;
use crate::server::error::ApiError;

/// The largest task request, in bytes.
const MAX_TASK_BYTES: usize = 64 << 10;

/// How long a cancelled task is waited for before its status is given as it is.
const CANCEL_WAIT: Duration = Duration::from_secs(5);

/// Starts a verification; 409 while one is under way.
pub(in crate::server) async fn create_task(
    destination: Destination,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<TaskCreated>), ApiError> {
    let Destination { app, instance, source } = destination;
    app.refuse_if_complete(&instance).await?;
    let bytes = body(bytes, MAX_TASK_BYTES)?;
    let request = parse_task_request(&bytes, app.config().live_migration.max_concurrent_file_requests)?;
    let input = app.run_input(&instance, &source, &request).map_err(ApiError::Internal)?;
    let named = (source.host, input.peer.address().port);
    let task = app.tasks().start(instance.id, request, named, input)?;
    let id = task.status().id;
    let created = TaskCreated { status_url: routes::task(&id), task_id: id };
    Ok((StatusCode::ACCEPTED, Json(created)))
}

/// Which tasks to list.
#[derive(Debug, Deserialize)]
pub(in crate::server) struct ListQuery {
    #[serde(default)]
    history: bool,
}

/// The latest task, in a list of none or one; all that are remembered where the history is asked for, newest first.
pub(in crate::server) async fn list_tasks(
    destination: Destination,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Vec<TaskStatus>>, ApiError> {
    let Destination { app, instance, .. } = destination;
    let Query(query) = query.map_err(|rejection| ApiError::Body(rejection.body_text()))?;
    Ok(Json(match query.history {
        true => app.tasks().all(instance.id).await.map_err(ApiError::History)?,
        false => app.tasks().latest(instance.id).into_iter().collect(),
    }))
}

/// The status of any task that is still known.
pub(in crate::server) async fn get_task(
    destination: Destination,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<TaskStatus>, ApiError> {
    let Destination { app, instance, .. } = destination;
    let id = id(path);
    let status = app.tasks().status(instance.id, &id).await.map_err(ApiError::History)?;
    status.map(Json).ok_or(ApiError::NoTask(id))
}

/// Cancels a task; one that has ended stays as it is.
pub(in crate::server) async fn cancel_task(
    destination: Destination,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<TaskStatus>, ApiError> {
    let Destination { app, instance, .. } = destination;
    let id = id(path);
    if let Some(task) = app.tasks().task(instance.id, &id) {
        task.cancel.cancel();
        let _ = tokio::time::timeout(CANCEL_WAIT, task.settled()).await;
        return Ok(Json(task.status()));
    }
    let status = app.tasks().status(instance.id, &id).await.map_err(ApiError::History)?;
    status.map(Json).ok_or(ApiError::NoTaskToCancel(id))
}
