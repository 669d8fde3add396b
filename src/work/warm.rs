//! Recording digests ahead of time, while the database still runs: what does not change any more is not read again when
//! the node is down.

use std::sync::Arc;

use super::pool::in_readers;
use crate::manifest::RootSpec;
use crate::model::Provenance;
use crate::scan::{Context, Engine, Threads, warm_roots};

/// Records the digests that are missing below these roots, on one thread; only files that are written once are read. Tells
/// how much was read; `None` where nothing is remembered or the work died. Dropping the future stops the work.
pub async fn warm(roots: Vec<RootSpec>, engine: Arc<Engine>) -> Option<Provenance> {
    let context = Context::of(&engine);
    let _stop = context.cancel.clone().on_drop();
    let cache = Arc::clone(engine.cache()?);
    let work = context.clone();
    let warmed = in_readers(Threads::ONE, move || {
        let written_once = roots.iter().filter(|root| root.id.directory_type.is_written_once());
        warm_roots(written_once.map(|root| (root.home.as_path(), &root.rules)), &cache, &work)
    });
    match warmed.await {
        Ok(Ok(())) => Some(context.progress.provenance()),
        Ok(Err(_)) => None,
        Err(died) => {
            tracing::warn!(error = %died, "digests could not be recorded ahead of time");
            None
        }
    }
}
