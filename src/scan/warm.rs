//! Reading ahead of time: recording the digests of files that have none yet, so that a later scan need not read them.

use std::os::fd::AsFd as _;
use std::path::Path;

use rayon::prelude::*;

use super::cache::{CacheView, DigestCache, now_nanos, settled};
use super::context::{Cancelled, Context};
use super::identity::FileIdentity;
use super::steady::{Expected, ReadError, hash_identified, look_at};
use super::walk::{WalkedRoot, walk_root};
use crate::exclude::RootRules;
use crate::model::{FileEntry, Listed};

/// How many small files of one directory one job reads.
const FILES_PER_JOB: usize = 32;

/// Records the digests of all files of a root that have none and changed long enough ago. What cannot be read is left to
/// the scan that needs it. Call it inside a rayon pool.
pub fn warm_root(home: &Path, rules: &RootRules, cache: &DigestCache, context: &Context) -> Result<(), Cancelled> {
    let WalkedRoot::Present { handle: Some(handle), directories } = walk_root(home, rules, context)? else {
        return Ok(());
    };
    let warmed = directories.par_iter().with_max_len(1).try_for_each(|directory| {
        let (Ok(open), Some(view)) = (handle.open_directory(&directory.path), cache.view()) else { return Ok(()) };
        directory.files.par_iter().with_max_len(FILES_PER_JOB).try_for_each(|file| {
            let wanted = look_at(open.as_fd(), &file.name).filter(|identity| is_wanted(identity, &view));
            wanted.map_or(Ok(()), |identity| record(&open, file, &identity, cache, context))
        })
    });
    cache.flush();
    warmed
}

fn is_wanted(identity: &FileIdentity, view: &CacheView<'_>) -> bool {
    identity.is_regular() && settled(identity, now_nanos()) && view.digest(identity).is_none()
}

fn record(
    directory: &std::os::fd::OwnedFd,
    file: &FileEntry,
    identity: &FileIdentity,
    cache: &DigestCache,
    context: &Context,
) -> Result<(), Cancelled> {
    let Listed::File { .. } = file.listed else { return Ok(()) };
    let look = Some(identity.look());
    let expected = Expected { size: identity.size(), modified_ms: identity.modified_ms(), look };
    let began = now_nanos();
    match hash_identified(directory.as_fd(), &file.name, expected, &[], context) {
        Ok((digests, identity)) => {
            cache.record(&identity, digests.blake3, began);
            context.progress.finished_file();
            Ok(())
        }
        Err(ReadError::Problem(_)) => Ok(()),
        Err(ReadError::Cancelled) => Err(Cancelled),
    }
}
