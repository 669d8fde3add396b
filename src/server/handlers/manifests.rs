//! The manifest exchange, from the source's side.

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::id;
use crate::model::{RootId, Selection};
use crate::protocol::{
    BRANCHES_MEDIA_TYPE, ErrorBody, MANIFEST_MEDIA_TYPE, MAX_BRANCH_REQUEST_BYTES, ManifestRequest, common_version,
    routes,
};
use crate::server::admission::read_body;
use crate::server::app::App;
use crate::server::caller::Source;
use crate::server::connections::Cut;
use crate::server::error::ApiError;
use crate::source::{ANSWER_BYTES, Offer, STREAM_BYTES, answer_branches, manifest_stream};

/// The largest manifest request, in bytes: room for the keyspaces of the largest task request, and more.
pub(in crate::server) const MAX_REQUEST_BYTES: usize = 256 << 10;

/// Walks and hashes the instance while streaming what is known of it; attaches to a build under way where the request
/// names one.
#[utoipa::path(
    post,
    path = routes::MANIFESTS,
    tag = "manifests",
    request_body(content = ManifestRequest),
    responses(
        (status = 200, description = "The frames of a manifest",
            body = Vec<u8>, content_type = "application/vnd.twintree.manifest.v1"),
        (status = 400, description = "Not a manifest request, or the migration is complete", body = ErrorBody),
        (status = 404, description = "The host has not the role for this", body = ErrorBody),
        (status = 408, description = "The body came too slowly", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 500, description = "The migration status cannot be read", body = ErrorBody),
        (status = 503, description = "Too many manifests at once, or there is no memory for it now", body = ErrorBody),
    ),
)]
pub(in crate::server) async fn stream_manifest(source: Source, body: Body) -> Result<Response, ApiError> {
    let Source { app, client, connection, instance } = source;
    if !app.config().twintree.serve_manifests {
        return Err(ApiError::NoRoute);
    }
    app.refuse_if_complete(&instance).await?;
    let memory = app.memory_for(client, STREAM_BYTES)?;
    let bytes = read_body(&app, client, body, MAX_REQUEST_BYTES).await?;
    let request: ManifestRequest =
        serde_json::from_slice(&bytes).map_err(|error| ApiError::Body(format!("not a manifest request: {error}")))?;
    let asked = (request.lowest_version, request.highest_version);
    let version = common_version(asked).ok_or(ApiError::Version(asked.0, asked.1))?;
    let wanted: Option<Vec<RootId>> = request
        .roots
        .map(|roots| roots.iter().map(|root| root.parse()).collect::<Result<_, _>>())
        .transpose()
        .map_err(|error: crate::model::UnknownRoot| ApiError::Body(error.to_string()))?;
    let selection = request.keyspaces.as_deref().map(Selection::parse).transpose();
    let selection = selection.map_err(|error| ApiError::Body(format!("keyspaces: {error}")))?;
    let threads = app.threads(request.max_concurrency);
    let job = app.job(&instance, wanted.as_deref(), selection.as_ref(), threads);
    let offer = app.offers().attach_or_start(client, instance.id, request.resume, job).await?;
    let resumed = request.resume == Some(offer.id);
    let task = request.task.map(|task| task.to_string()).unwrap_or_default();
    tracing::info!(task, manifest = %offer.id, instance = instance.id, resumed, "a manifest is streamed");
    let followed = only_while_offered(&offer, connection);
    let stream = manifest_stream(offer, version, app.turns().clone()).map(move |frame| {
        let _held = (&memory, &followed);
        frame
    });
    Ok(frames(&app, MANIFEST_MEDIA_TYPE, stream))
}

/// Opens branches of a manifest.
#[utoipa::path(
    post,
    path = routes::BRANCHES,
    tag = "manifests",
    params(
        ("manifest_id" = String, Path, description = "The manifest"),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "The frames of an answer",
            body = Vec<u8>, content_type = "application/vnd.twintree.branches.v1"),
        (status = 400, description = "Not a branch request", body = ErrorBody),
        (status = 404, description = "No such manifest, or the host is no source", body = ErrorBody),
        (status = 409, description = "The manifest is not ready", body = ErrorBody),
        (status = 408, description = "The body came too slowly", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 503, description = "There is no memory for it now", body = ErrorBody),
    ),
)]
pub(in crate::server) async fn open_branches(
    source: Source,
    path: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Response, ApiError> {
    let Source { app, client, connection, instance } = source;
    let id = id(path);
    let offer = id.parse().ok().and_then(|id: Uuid| app.offers().get(instance.id, id));
    let offer = offer.ok_or(ApiError::NoManifest(id))?;
    let followed = only_while_offered(&offer, connection);
    let memory = app.memory_for(client, ANSWER_BYTES)?;
    let bytes = read_body(&app, client, body, MAX_BRANCH_REQUEST_BYTES).await?;
    let threads = app.threads(app.config().live_migration.max_concurrent_file_requests);
    // However many ask, few have more threads than there are cores.
    let slot = app.second_read_slots().take(client, CancellationToken::new()).ok();
    let threads = if slot.is_some() { threads } else { threads.computing() };
    let stream = answer_branches(offer, threads, app.turns().clone(), bytes, memory).await?.map(move |frame| {
        let _held = (&followed, &slot);
        frame
    });
    Ok(frames(&app, BRANCHES_MEDIA_TYPE, stream))
}

/// Forgets a manifest and stops what is still hashed for it.
#[utoipa::path(
    delete,
    path = routes::MANIFEST,
    tag = "manifests",
    params(
        ("manifest_id" = String, Path, description = "The manifest"),
    ),
    responses(
        (status = 204, description = "Forgotten"),
        (status = 404, description = "No such manifest, or the host is no source", body = ErrorBody),
    ),
)]
pub(in crate::server) async fn release_manifest(
    source: Source,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let Source { app, instance, .. } = source;
    let id = id(path);
    let released = id.parse().is_ok_and(|id: Uuid| app.offers().release(instance.id, id));
    if released { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::NoManifest(id)) }
}

/// Cuts the connection when the manifest is dropped from the offers while the answer lasts. An answer that its client takes slowly is
/// not asked for its next frame, so that it cannot end by itself, and its tree would stay in memory.
fn only_while_offered(offer: &Offer, connection: Cut) -> DropGuard {
    let (dropped, answered) = (offer.dropped().clone(), CancellationToken::new());
    let until_answered = answered.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = dropped.cancelled() => connection.0.cancel(),
            () = until_answered.cancelled() => {}
        }
    });
    answered.drop_guard()
}

/// A stream that nothing on the way may hold back, keep or change. Where the service stops it is cut short: without
/// its last frame it is an interrupted exchange, which the destination tries again.
fn frames(app: &App, media_type: &'static str, stream: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let stream = stream.take_until(app.stopping().clone().cancelled_owned());
    let body = Body::from_stream(stream.map(Ok::<_, std::convert::Infallible>));
    ([(CONTENT_TYPE, media_type), (CACHE_CONTROL, "no-store, no-transform")], body).into_response()
}
