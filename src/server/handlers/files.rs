//! The per-file routes: listing, file, digest.

use std::io::SeekFrom;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _};
use headers::HeaderMapExt as _;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::digest;
use crate::manifest::RootSpec;
use crate::model::{DigestAlgorithm, RelPath, RootId};
use crate::protocol::{DigestBody, ErrorBody, ListingBody, routes};
use crate::scan::ServedFile;
use crate::server::app::App;
use crate::server::caller::{Participant, Source};
use crate::server::error::ApiError;
use crate::server::file_plan::{FilePlan, Validators, plan};
use crate::server::file_target::{BadTarget, FileTarget, parse};
use crate::source::{digest_of, listing, open_served};
use crate::work::{FairSlot, MemoryPermit};

/// Bytes of a file read at a time.
const READ_BYTES: usize = 256 << 10;

/// What the answer to a file request takes in memory, in bytes: a piece that is read while the one before it is sent, or the
/// block of a digest.
const FILE_BYTES: u64 = 1 << 20;

/// What the answer to a listing request takes besides the tree itself, in bytes.
const LISTING_BYTES: u64 = 256 << 10;

/// Every entry of the instance, as a stream: a million of them never stand in memory as one text.
#[utoipa::path(
    get,
    path = routes::FILES,
    tag = "files",
    responses(
        (status = 200, description = "Every entry", body = ListingBody),
        (status = 404, description = "The host has not the role for this", body = ErrorBody),
        (status = 500, description = "A directory could not be listed", body = ErrorBody),
        (status = 503, description = "Too many listings at once", body = ErrorBody),
    ),
)]
pub(in crate::server) async fn list_files(participant: Participant) -> Result<Response, ApiError> {
    let Participant { app, client, connection, instance } = participant;
    let slot = app.listing_slot(client, &connection)?;
    let memory = app.memory_for(client, LISTING_BYTES)?;
    let threads = app.threads(app.config().live_migration.max_concurrent_file_requests);
    // A root that is left out altogether is not listed either.
    let listed =
        |root: &&RootSpec| instance.listed_roots.contains(&root.id) && !root.rules.excludes_directory(&RelPath::root());
    let listed: Vec<RootId> = app.roots(&instance).iter().filter(listed).map(|root| root.id).collect();
    let listing = listing(app.roots(&instance).to_vec(), &listed, threads).await?;
    let pieces = futures_util::stream::iter(listing.into_body()).then(async |piece| {
        // However long the listing is, others have their turn in between.
        tokio::task::yield_now().await;
        Ok::<_, std::convert::Infallible>(piece)
    });
    let body = answer_body(&app, pieces, slot, memory);
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

/// What a file request may ask for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::server) struct FileQuery {
    digest_algorithm: Option<String>,
}

/// One file: its bytes, or with `?digestAlgorithm=` their digest.
#[utoipa::path(
    get,
    path = "/api/v1/live-migration/files/{dirType}/{dirIndex}/{path}",
    tag = "files",
    params(
        ("dirType" = String, Path, description = "Such as data"),
        ("dirIndex" = String, Path, description = "From 0"),
        ("path" = String, Path, description = "Below the directory"),
        ("digestAlgorithm" = Option<String>, Query, description = "MD5 or XXHash32"),
        ("Twintree-Path" = Option<String>, Header, description = "literal: the path is not percent-decoded"),
    ),
    responses(
        (status = 200, description = "The bytes, or with digestAlgorithm the digest, after white space where it takes long",
            content((Vec<u8> = "application/octet-stream"), (DigestBody = "application/json"))),
        (status = 206, description = "The range asked for", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 304, description = "Not modified since"),
        (status = 400, description = "A bad type, index, path or algorithm, or the migration is complete",
            body = ErrorBody),
        (status = 403, description = "It leaves the root", body = ErrorBody),
        (status = 404, description = "No such file, excluded, or the host is no source", body = ErrorBody),
        (status = 412, description = "Another file than the conditions speak of", body = ErrorBody),
        (status = 416, description = "Not a range of the file", body = ErrorBody),
        (status = 500, description = "It could not be read", body = ErrorBody),
        (status = 503, description = "Too many file requests at once", body = ErrorBody),
    ),
)]
pub(in crate::server) async fn get_file(
    source: Source,
    uri: Uri,
    query: Result<Query<FileQuery>, QueryRejection>,
    request: HeaderMap,
) -> Result<Response, ApiError> {
    let Source { app, client, connection, instance } = source;
    app.refuse_if_complete(&instance).await?;
    let slot = app.file_slot(client, &connection)?;
    let memory = app.memory_for(client, FILE_BYTES)?;
    let Query(query) = query.map_err(|rejection| ApiError::Body(rejection.body_text()))?;
    let raw = uri.path().strip_prefix(routes::FILES).unwrap_or_default().trim_start_matches('/');
    let roots = app.roots(&instance);
    let FileTarget { root, mut readings } = parse(raw, |id| roots.iter().any(|root| root.id == id))?;
    let root = roots.iter().find(|known| known.id == root).ok_or(ApiError::NoRoute)?;
    if request.get(routes::PATH_READING).is_some_and(|reading| reading == routes::LITERAL_PATH) {
        // The first one is the path as it stands.
        readings.truncate(1);
    }
    let asked = query.digest_algorithm;
    let algorithm: Option<DigestAlgorithm> = asked
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|error: crate::model::UnknownAlgorithm| ApiError::Algorithm(error))?;
    let Opened { path, file, served } = open_target(root, readings).await?;
    match (algorithm, asked) {
        (Some(algorithm), Some(digest_algorithm)) => {
            let (engine, silence) = (Arc::clone(app.engine()), app.longest_silence());
            let home = root.home.clone();
            let work = async move {
                let digest = digest_of(file, (&home, &path), algorithm, &engine, (slot, memory)).await?.to_string();
                Ok(DigestBody { digest, digest_algorithm })
            };
            digest::answer(work, silence, app.stopping().clone()).await
        }
        _ => stream_file(&app, file, &served, &request, (slot, memory)).await,
    }
}

/// The file that a request means.
struct Opened {
    path: RelPath,
    file: std::fs::File,
    served: ServedFile,
}

/// Opens the file that a path means: of its readings the first that names one. A reading that names an excluded file is
/// refused and not passed over: the client means that file, and must not get another one's bytes in its place.
async fn open_target(root: &RootSpec, readings: Vec<Result<RelPath, BadTarget>>) -> Result<Opened, ApiError> {
    let mut refusal = None;
    for reading in readings {
        let excluded = reading.as_ref().is_ok_and(|path| root.rules.excludes_with_ancestors(path));
        let opened = match reading {
            Ok(path) => {
                let opened = open_served(&root.home, &path).await.map_err(ApiError::from);
                opened.map(|(file, served)| Opened { path, file, served })
            }
            Err(bad) => Err(bad.into()),
        };
        let names_no_file = matches!(opened, Err(ApiError::NoFile | ApiError::Target(_)));
        let opened = if excluded { Err(ApiError::Excluded) } else { opened };
        match opened {
            Err(_) if names_no_file && matches!(refusal, Some(ApiError::Target(BadTarget::Directory))) => {}
            Err(error) if names_no_file => refusal = Some(error),
            opened => return opened,
        }
    }
    Err(refusal.unwrap_or(ApiError::NoFile))
}

async fn stream_file(
    app: &App,
    file: std::fs::File,
    served: &ServedFile,
    request: &HeaderMap,
    (slot, memory): (FairSlot, MemoryPermit),
) -> Result<Response, ApiError> {
    let validators = Validators::of(served).ok_or_else(|| ApiError::Internal("no validators".to_owned()))?;
    let plan = plan(request, served, &validators);
    let (status, start, length) = match plan {
        FilePlan::All => (StatusCode::OK, 0, served.size),
        FilePlan::Part { start, length } => (StatusCode::PARTIAL_CONTENT, start, length),
        FilePlan::NotModified => (StatusCode::NOT_MODIFIED, 0, 0),
        FilePlan::PreconditionFailed => return Err(ApiError::PreconditionFailed),
        FilePlan::Unsatisfiable => return Err(ApiError::Range { size: served.size }),
    };
    let mut headers = HeaderMap::new();
    headers.typed_insert(validators.tag);
    headers.typed_insert(validators.modified);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if plan == FilePlan::NotModified {
        return Ok((status, headers).into_response());
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, length.into());
    if let FilePlan::Part { .. } = plan
        && let Ok(range) = HeaderValue::from_str(&format!("bytes {start}-{}/{}", start + length - 1, served.size))
    {
        headers.insert(CONTENT_RANGE, range);
    }
    let mut file = tokio::fs::File::from_std(file);
    file.seek(SeekFrom::Start(start)).await.map_err(|error| ApiError::Unreadable(error.to_string()))?;
    // A file that has become shorter ends the body before its announced length, which no client takes for a whole file.
    let bytes = ReaderStream::with_capacity(file.take(length), READ_BYTES);
    Ok((status, headers, answer_body(app, bytes, slot, memory)).into_response())
}

/// A body that holds a slot and memory until its last byte was sent or the client hung up. It breaks off where the service stops.
fn answer_body<E: Into<axum::BoxError> + 'static>(
    app: &App,
    bytes: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    slot: FairSlot,
    memory: MemoryPermit,
) -> Body {
    let bytes = bytes.take_until(app.stopping().clone().cancelled_owned());
    Body::from_stream(bytes.map(move |piece| {
        let _held = (&slot, &memory);
        piece
    }))
}
