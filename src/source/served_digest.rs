//! Opening and hashing one file for a client of the per-file protocol.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::error::ServeError;
use crate::model::{ContentDigest, DigestAlgorithm, Problem, RelPath};
use crate::scan::{Context, Engine, OpenFailure, ReadError, RootHandle, ServedFile, digest_served};
use crate::work::blocking;

/// Opens a file of the root at `home`, and says what it is now.
pub async fn open_served(home: &Path, path: &RelPath) -> Result<(File, ServedFile), ServeError> {
    let (home, path) = (home.to_owned(), path.clone());
    let open = move || {
        let file = open_by_name(&home, &path)?;
        let served = ServedFile::of(&file)?;
        Ok::<_, OpenFailure>((file, served))
    };
    let opened = blocking(open).await.map_err(|died| ServeError::Internal(died.to_string()))?;
    opened.map_err(ServeError::Open)
}

fn open_by_name(home: &Path, path: &RelPath) -> Result<File, OpenFailure> {
    let root = RootHandle::open(home).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => OpenFailure::NotFound,
        _ => OpenFailure::Io(error),
    })?;
    root.open_file(path)
}

/// Hashes the file at `path` of the root at `home`, which is open already. Dropping the future stops the read before its next block; `held` is dropped when the read has
/// stopped, and not before.
pub async fn digest_of(
    file: File,
    (home, path): (&Path, &RelPath),
    algorithm: DigestAlgorithm,
    engine: &Arc<Engine>,
    held: impl Send + 'static,
) -> Result<ContentDigest, ServeError> {
    let context = Context::of(engine);
    let _stop = context.cancel.clone().on_drop();
    let (home, path) = (home.to_owned(), path.clone());
    let digest = blocking(move || {
        let digest = digest_served(file, &|| open_by_name(&home, &path), algorithm, &context);
        context.finished_file();
        drop(held);
        digest
    });
    match digest.await.map_err(|died| ServeError::Internal(died.to_string()))? {
        Ok(digest) => Ok(digest),
        Err(ReadError::Cancelled) => Err(ServeError::Cancelled),
        Err(ReadError::Problem(Problem { reason, detail })) => {
            Err(ServeError::Unreadable(format!("{reason}: {detail}")))
        }
    }
}
