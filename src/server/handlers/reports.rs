//! What a task found, in several forms, and what becomes of it while one looks.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::header::CONTENT_TYPE;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _};
use serde::Deserialize;

use super::report_pages::{self, Format, PAGE_BYTES, STEP, Shown};
use super::{id, json_bytes};
use crate::protocol::{ErrorBody, ReportBody, TaskStatus, routes};
use crate::server::app::App;
use crate::server::caller::Destination;
use crate::server::error::ApiError;

/// The differences on one page of a report, where the request does not say; and the most it can ask for.
const PAGE: u64 = 10_000;

/// What watching a task takes in memory for each byte of its status as JSON: the one that was shown, the one that is looked at, both of
/// which may name thousands of tables, and the event.
const WATCHED_TIMES: u64 = 20;

/// How often a task that is watched is looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

/// Which part of a report, and in which form.
#[derive(Debug, Deserialize)]
pub(in crate::server) struct ReportQuery {
    #[serde(default)]
    offset: u64,
    limit: Option<u64>,
    #[serde(default)]
    format: Format,
}

/// The status of a task with sums, notes and one page of its differences.
#[utoipa::path(
    get,
    path = routes::TASK_REPORT,
    tag = "tasks",
    params(
        ("task_id" = String, Path, description = "The task"),
        ("offset" = Option<u64>, Query, description = "The position of the first difference"),
        ("limit" = Option<u64>, Query, description = "At most 10000"),
        ("format" = Option<Format>, Query, description = "json where it is not given"),
    ),
    responses(
        (status = 200, description = "A page of the report",
            content((ReportBody = "application/json"), (String = "text/csv; charset=utf-8"), (String = "text/html; charset=utf-8"))),
        (status = 400, description = "Not a query", body = ErrorBody),
        (status = 404, description = "No such task, or the host is no destination", body = ErrorBody),
        (status = 500, description = "The history cannot be read", body = ErrorBody),
        (status = 503, description = "There is no memory for it now", body = ErrorBody),
    ),
)]
pub(in crate::server) async fn get_report(
    destination: Destination,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<ReportQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Destination { app, client, instance, .. } = destination;
    let id = id(path);
    let Query(ReportQuery { offset, limit, format }) =
        query.map_err(|rejection| ApiError::Body(rejection.body_text()))?;
    let limit = limit.unwrap_or(PAGE).min(PAGE);
    // Before any of it is read: sums by table may be many.
    let record = app.tasks().report_bytes(instance.id, &id).await;
    let mut memory = app.memory_for(client, PAGE_BYTES.saturating_add(record))?;
    let mut report = app.tasks().report(instance.id, &id).await?.ok_or(ApiError::NoTask(id))?;
    let differences_total = report.findings_total();
    let count = differences_total.saturating_sub(offset).min(limit);
    let (status, summary) = (report.status.clone(), std::mem::take(&mut report.summary));
    let body = ReportBody { status, summary, differences_total, offset, differences: Vec::new() };
    let first = (offset, limit.min(STEP));
    let first = report
        .page(first, move |differences| (format.frame(&body, limit.max(1), count), format.rows(differences, true)));
    let (around, first) = first.await?;
    memory.shrink_to(PAGE_BYTES + (around.0.len() + around.1.len()) as u64);
    let shown = Shown { report, offset, count, first };
    let stopping = app.stopping().clone().cancelled_owned();
    let pieces = report_pages::body(format, around, shown, memory).take_until(stopping);
    Ok(([(CONTENT_TYPE, format.media_type())], Body::from_stream(pieces)).into_response())
}

/// The status of a task as it changes, as server-sent events: `status` each time, and `end` in the end.
#[utoipa::path(
    get,
    path = routes::TASK_EVENTS,
    tag = "tasks",
    params(
        ("task_id" = String, Path, description = "The task"),
    ),
    responses(
        (status = 200, description = "Events with the status", body = String, content_type = "text/event-stream"),
        (status = 404, description = "No such task, or the host is no destination", body = ErrorBody),
        (status = 500, description = "The history cannot be read", body = ErrorBody),
    ),
)]
pub(in crate::server) async fn get_events(
    destination: Destination,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let Destination { app, client, instance, .. } = destination;
    let id = id(path);
    let status = app.tasks().status(instance.id, &id).await?;
    let first = status.ok_or_else(|| ApiError::NoTask(id.clone()))?;
    let memory = app.memory_for(client, WATCHED_TIMES * json_bytes(&first)?)?;
    let stopping = app.stopping().clone().cancelled_owned();
    let events = events(app, instance.id, id, first).take_until(stopping).map(move |event| {
        let _held = &memory;
        event
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

fn events(app: App, instance: u64, id: String, first: TaskStatus) -> impl Stream<Item = Result<Event, Infallible>> {
    async_stream::stream! {
        let mut shown = first;
        loop {
            let name = if shown.state.is_final() { "end" } else { "status" };
            // A status always serialises.
            let event = Event::default().event(name).json_data(&shown);
            yield Ok(event.unwrap_or_default());
            if shown.state.is_final() {
                return;
            }
            shown = loop {
                tokio::time::sleep(WATCH_INTERVAL).await;
                match app.tasks().status(instance, &id).await {
                    Ok(Some(status)) if status != shown => break status,
                    Ok(Some(_)) => {}
                    // Dropped from the history while it was watched: there is nothing more to tell.
                    Ok(None) | Err(_) => return,
                }
            };
        }
    }
}
