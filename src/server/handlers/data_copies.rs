//! Data copies: known routes, and not served.

use crate::server::caller::Destination;
use crate::server::error::ApiError;

/// 404 in the API's error form.
pub(in crate::server) async fn refuse(_: Destination) -> ApiError {
    ApiError::NoDataCopies
}
