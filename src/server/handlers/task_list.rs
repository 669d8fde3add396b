//! The list of all tasks that are remembered, made piece by piece while it is sent: it never stands in memory as one text.

use std::io;

use axum::body::Bytes;
use futures_util::Stream;

use crate::protocol::{DamagedTask, ListedTask};
use crate::server::app::App;
use crate::task::Listed;
use crate::work::MemoryPermit;

/// About how many bytes of the list are made at a time.
const PIECE_BYTES: usize = 32 << 10;

/// What a list takes in memory besides the ids, in bytes: a piece, and a status, which may name thousands of tables.
pub(super) const LIST_BYTES: u64 = 1 << 20;

/// What an id takes in memory, in bytes.
pub(super) const ID_BYTES: u64 = 100;

/// The body of the list. A task that is dropped from the history meanwhile is left out.
pub(super) fn body(
    app: App,
    instance: u64,
    listed: Listed,
    memory: MemoryPermit,
) -> impl Stream<Item = io::Result<Bytes>> {
    async_stream::try_stream! {
        let _held = memory;
        let known = listed.ids.into_iter().filter_map(move |id| app.tasks().status_now(instance, &id));
        let known = known.map(|status| ListedTask::Known(Box::new(status)));
        let damaged = listed.damaged.into_iter().map(|id| ListedTask::Damaged(DamagedTask::new(id)));
        let mut text = b"[".to_vec();
        for (position, task) in known.chain(damaged).enumerate() {
            if position > 0 {
                text.push(b',');
            }
            serde_json::to_writer(&mut text, &task).map_err(io::Error::other)?;
            if text.len() >= PIECE_BYTES {
                yield Bytes::from(std::mem::take(&mut text));
                // However long the list is, others have their turn in between.
                tokio::task::yield_now().await;
            }
        }
        text.push(b']');
        yield Bytes::from(text);
    }
}
