//! Data copies: known routes, and not served. Each answers 404 in the API's error form.

use crate::protocol::{ErrorBody, routes};
use crate::server::caller::Destination;
use crate::server::error::ApiError;

/// Would list copies.
#[utoipa::path(
    get,
    path = routes::DATA_COPIES,
    tag = "copies",
    responses(
        (status = 404, description = "Not served", body = ErrorBody),
    ),
)]
pub(in crate::server) async fn list(_: Destination) -> ApiError {
    ApiError::NoDataCopies
}

/// Would start a copy.
#[utoipa::path(
    post,
    path = routes::DATA_COPIES,
    tag = "copies",
    responses(
        (status = 404, description = "Not served", body = ErrorBody),
    ),
)]
pub(in crate::server) async fn create(_: Destination) -> ApiError {
    ApiError::NoDataCopies
}

/// Would show a copy.
#[utoipa::path(
    get,
    path = routes::DATA_COPY,
    tag = "copies",
    params(
        ("task_id" = String, Path, description = "The task"),
    ),
    responses(
        (status = 404, description = "Not served", body = ErrorBody),
    ),
)]
pub(in crate::server) async fn get(_: Destination) -> ApiError {
    ApiError::NoDataCopies
}

/// Would cancel a copy.
#[utoipa::path(
    patch,
    path = routes::DATA_COPY,
    tag = "copies",
    params(
        ("task_id" = String, Path, description = "The task"),
    ),
    responses(
        (status = 404, description = "Not served", body = ErrorBody),
    ),
)]
pub(in crate::server) async fn cancel(_: Destination) -> ApiError {
    ApiError::NoDataCopies
}
