//! Reading single files once more, with the digest a task asked for: the evidence for a difference.

use std::os::fd::AsFd as _;

use rayon::prelude::*;

use crate::manifest::{DirectoryIndex, Manifest};
use crate::model::{DigestAlgorithm, FileEntry, Listed, Name, Problem, Reason, RootId};
use crate::scan::{Cancelled, Context, DigestCache, Expected, FileDigests, ReadError, file_evidence, problem_of};

/// A file to be read anew.
#[derive(Debug, Clone)]
pub(super) struct Target {
    root: RootId,
    directory: DirectoryIndex,
    name: Name,
    expected: Expected,
}

impl Target {
    /// The file of a directory; `None` where the file was never listed with its metadata.
    pub(super) fn new(root: RootId, directory: DirectoryIndex, file: &FileEntry) -> Option<Self> {
        match file.listed {
            Listed::File { size, modified_ms, .. } => {
                let expected = Expected { size, modified_ms, look: None };
                Some(Self { root, directory, name: file.name.clone(), expected })
            }
            Listed::Unlistable(_) => None,
        }
    }
}

impl Target {
    /// The name in its directory.
    pub(super) fn name(&self) -> &Name {
        &self.name
    }
}

/// Reads all targets, in parallel, and tells of each by its position. Call it inside a rayon pool.
pub(super) fn read_anew(
    manifest: &Manifest,
    targets: &[Target],
    algorithm: DigestAlgorithm,
    context: &Context,
    each: &(dyn Fn(usize, Result<FileDigests, Problem>) + Sync),
) -> Result<(), Cancelled> {
    targets.par_iter().enumerate().with_max_len(1).try_for_each(|(at, target)| {
        let digests = match read_one(manifest, target, algorithm, context) {
            Ok(digests) => Ok(digests),
            Err(ReadError::Problem(problem)) => Err(problem),
            Err(ReadError::Cancelled) => return Err(Cancelled),
        };
        each(at, digests);
        Ok(())
    })
}

fn read_one(
    manifest: &Manifest,
    target: &Target,
    algorithm: DigestAlgorithm,
    context: &Context,
) -> Result<FileDigests, ReadError> {
    let tree = manifest.root(target.root).and_then(|root| root.tree.as_ref());
    let Some((tree, handle)) = tree.and_then(|tree| tree.handle().map(|handle| (tree, handle))) else {
        return Err(ReadError::Problem(Problem::new(Reason::Vanished, "its root is gone")));
    };
    let directory = handle.open_directory(&tree.table().path(target.directory));
    let directory = directory.map_err(|error| ReadError::Problem(problem_of(&error)))?;
    let cache = context.cache().filter(|_| target.root.directory_type.is_written_once());
    let recorded = cache.and_then(DigestCache::view);
    file_evidence(directory.as_fd(), &target.name, target.expected, algorithm, recorded.as_ref(), context)
}
