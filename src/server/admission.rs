//! Reading the body of a request that was admitted by its head: within its limit, within the memory there is, and within a time.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use futures_util::StreamExt as _;

use super::app::App;
use super::error::ApiError;
use crate::work::{Client, MemoryPermit};

/// How long a client may send nothing of a body.
const SILENCE: Duration = Duration::from_secs(30);

/// The slowest pace at which a body is taken, in bytes a second; a slow line between two data centres is much faster.
const SLOWEST_PACE: u64 = 64 << 10;

/// After so many bytes of a body others have their turn: a body that comes as fast as it is read never waits by itself.
const TURN_BYTES: usize = 256 << 10;

/// The body of a request of at most `limit` bytes. It is counted as it comes, and as long as anybody has a piece of it.
///
/// To be called once nothing else in the head of the request speaks against it.
pub(super) async fn read_body(app: &App, client: Client, body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let announced = body.size_hint().exact();
    // What would not fit now is refused before its first byte.
    let mut memory = app.memory_for(client, announced.unwrap_or_default())?;
    // It is counted by what comes: an announcement alone costs nobody anything.
    memory.shrink_to(0);
    let most = announced.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(limit);
    let reading = read(app, &mut memory, body, most.min(limit));
    let bytes = tokio::time::timeout(longest(most as u64), reading).await.map_err(|_| ApiError::BodyTooSlow)??;
    Ok(memory.hold(bytes))
}

async fn read(app: &App, memory: &mut MemoryPermit, body: Body, limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut pieces = body.into_data_stream();
    let (mut bytes, mut turn) = (Vec::new(), 0);
    loop {
        let piece = tokio::time::timeout(SILENCE, pieces.next()).await.map_err(|_| ApiError::BodyTooSlow)?;
        let Some(piece) = piece else { return Ok(bytes) };
        let piece = piece.map_err(|error| ApiError::Body(error.to_string()))?;
        if bytes.len() + piece.len() > limit {
            return Err(ApiError::BodyTooLarge(limit));
        }
        let room = bytes.capacity() - bytes.len();
        if room < piece.len() {
            // As a vector grows by itself, but counted before, and never beyond the limit.
            let capacity = (2 * bytes.capacity()).clamp(piece.len() + bytes.len(), limit);
            let more = (capacity - bytes.capacity()) as u64;
            memory.grow(more).inspect_err(|_| app.metrics().count_refused_memory())?;
            bytes.reserve_exact(capacity - bytes.len());
        }
        bytes.extend_from_slice(&piece);
        turn += piece.len();
        if turn >= TURN_BYTES {
            turn = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// How long a body of so many bytes may take: a minute, and what it takes at the slowest pace. Pure.
fn longest(bytes: u64) -> Duration {
    Duration::from_secs(60 + bytes / SLOWEST_PACE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_body_may_take_longer_than_a_small_one_and_none_for_ever() {
        assert_eq!(longest(0), Duration::from_secs(60));
        assert_eq!(longest(64 << 20), Duration::from_secs(60 + 1024));
    }
}
