//! Verification tasks of a destination.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use serde::Deserialize;

use super::task_list::{self, ID_BYTES, LIST_BYTES};
use super::{held_json, id};
use crate::manifest::scope_of_one_side;
use crate::protocol::{ErrorBody, ListedTask, TaskCreated, TaskRequest, TaskStatus, parse_task_request, routes};
use crate::server::admission::read_body;
use crate::server::caller::Destination;
use crate::server::error::ApiError;
use crate::work::now_ms;

/// The largest task request, in bytes.
const MAX_TASK_BYTES: usize = 64 << 10;

/// Starts a verification; 409 while one is under way.
#[utoipa::path(
    post,
    path = routes::TASKS,
    tag = "tasks",
    request_body(content = TaskRequest),
    responses(
        (status = 202, description = "Accepted", body = TaskCreated),
        (status = 400, description = "Not a task request, or the migration is complete", body = ErrorBody),
        (status = 404, description = "The host has not the role for this", body = ErrorBody),
        (status = 409, description = "A task is under way", body = ErrorBody),
        (status = 408, description = "The body came too slowly", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 500, description = "The source cannot be called, or the migration status not be read",
            body = ErrorBody),
        (status = 503, description = "The service stops, or there is no memory for it now", body = ErrorBody),
    ),
)]
pub(in crate::server) async fn create_task(
    destination: Destination,
    body: Body,
) -> Result<(StatusCode, Json<TaskCreated>), ApiError> {
    let Destination { app, client, instance, source } = destination;
    app.refuse_if_complete(&instance).await?;
    let bytes = read_body(&app, client, body, MAX_TASK_BYTES).await?;
    let request = parse_task_request(&bytes, app.config().live_migration.max_concurrent_file_requests)?;
    let input = app.run_input(&instance, &source, &request).map_err(ApiError::Internal)?;
    let accepted = request.clone();
    let named = (source.host, input.peer.address().port);
    let scope = scope_of_one_side(&input.job.identity, input.job.roots.iter().map(|root| root.id));
    let status = |id| TaskStatus::accepted(id, &accepted, named, scope, now_ms());
    let task = app.tasks().start(instance.id, request, status, input)?;
    // Whoever holds the id may ask for it after a crash.
    task.recorded().await;
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

/// The latest task, in a list of none or one; all that are remembered where the history is asked for, newest first, and those
/// whose records are damaged.
#[utoipa::path(
    get,
    path = routes::TASKS,
    tag = "tasks",
    params(
        ("history" = Option<bool>, Query, description = "All tasks that are remembered, newest first"),
    ),
    responses(
        (status = 200, description = "The latest task, or all of them", body = Vec<ListedTask>),
        (status = 400, description = "Not a query", body = ErrorBody),
        (status = 404, description = "The host has not the role for this", body = ErrorBody),
        (status = 503, description = "There is no memory for it now", body = ErrorBody),
    ),
)]
pub(in crate::server) async fn list_tasks(
    destination: Destination,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Destination { app, client, instance, .. } = destination;
    let Query(query) = query.map_err(|rejection| ApiError::Body(rejection.body_text()))?;
    if !query.history {
        let latest = app.tasks().latest(instance.id).await;
        return held_json(&app, client, &Vec::from_iter(latest));
    }
    let mut memory = app.memory_for(client, LIST_BYTES)?;
    let listed = app.tasks().all(instance.id).await;
    memory.grow((listed.ids.len() + listed.damaged.len()) as u64 * ID_BYTES)?;
    let stopping = app.stopping().clone().cancelled_owned();
    let pieces = task_list::body(app, instance.id, listed, memory).take_until(stopping);
    Ok(([(CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response())
}

/// The status of any task that is still known.
#[utoipa::path(
    get,
    path = routes::TASK,
    tag = "tasks",
    params(
        ("task_id" = String, Path, description = "The task"),
    ),
    responses(
        (status = 200, description = "Its status", body = TaskStatus),
        (status = 404, description = "No such task, or the host is no destination", body = ErrorBody),
        (status = 500, description = "The history cannot be read", body = ErrorBody),
    ),
)]
pub(in crate::server) async fn get_task(
    destination: Destination,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<TaskStatus>, ApiError> {
    let Destination { app, instance, .. } = destination;
    let id = id(path);
    let status = app.tasks().status(instance.id, &id).await?;
    status.map(Json).ok_or(ApiError::NoTask(id))
}

/// Cancels a task; one that has ended stays as it is.
#[utoipa::path(
    patch,
    path = routes::TASK,
    tag = "tasks",
    params(
        ("task_id" = String, Path, description = "The task"),
    ),
    responses(
        (status = 200, description = "Its status", body = TaskStatus),
        (status = 404, description = "No such task, or the host is no destination", body = ErrorBody),
        (status = 500, description = "The history cannot be read", body = ErrorBody),
    ),
)]
pub(in crate::server) async fn cancel_task(
    destination: Destination,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<TaskStatus>, ApiError> {
    let Destination { app, instance, .. } = destination;
    let id = id(path);
    app.tasks().cancel(instance.id, &id).await;
    let status = app.tasks().status(instance.id, &id).await?;
    status.map(Json).ok_or(ApiError::NoTaskToCancel(id))
}
