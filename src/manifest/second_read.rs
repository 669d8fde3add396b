//! Reading single files once more, with the digest a task asked for: the evidence for a difference.

use std::os::fd::AsFd as _;

use super::directory::DirectoryIndex;
use super::trees::{Manifest, Root};
use crate::model::{DigestAlgorithm, FileEntry, Listed, Name, Problem, Reason, RootId};
use crate::scan::{
    Cancelled, Context, DigestCache, Expected, FileDigests, ReadError, file_evidence, on_each_disk, problem_of,
};

/// A file to be read a second time.
#[derive(Debug, Clone)]
pub struct SecondRead {
    root: RootId,
    directory: DirectoryIndex,
    name: Name,
    expected: Expected,
}

impl SecondRead {
    /// The file of a directory; `None` where the file was never listed with its metadata.
    pub fn new(root: RootId, directory: DirectoryIndex, file: &FileEntry) -> Option<Self> {
        match file.listed {
            Listed::File { size, modified_ms, .. } => {
                let expected = Expected { size, modified_ms, look: None };
                Some(Self { root, directory, name: file.name.clone(), expected })
            }
            Listed::Unlistable(_) => None,
        }
    }
}

impl SecondRead {
    /// The name in its directory.
    pub fn name(&self) -> &Name {
        &self.name
    }
}

/// Reads all these files, in parallel, and calls `each` with the position and the digests of each. Call it inside a rayon pool.
pub fn read_again(
    manifest: &Manifest,
    files: &[SecondRead],
    algorithm: DigestAlgorithm,
    context: &Context,
    each: &(dyn Fn(usize, Result<FileDigests, Problem>) + Sync),
) -> Result<(), Cancelled> {
    let home = |file: &SecondRead| manifest.root(file.root).and_then(Root::home);
    let done = on_each_disk(files, home, |at, file| {
        context.cancel.check()?;
        let digests = match read_one(manifest, file, algorithm, context) {
            Ok(digests) => Ok(digests),
            Err(ReadError::Problem(problem)) => Err(problem),
            Err(ReadError::Cancelled) => return Err(Cancelled),
        };
        each(at, digests);
        Ok(())
    });
    done.into_iter().collect()
}

fn read_one(
    manifest: &Manifest,
    file: &SecondRead,
    algorithm: DigestAlgorithm,
    context: &Context,
) -> Result<FileDigests, ReadError> {
    let tree = manifest.root(file.root).and_then(|root| root.tree.as_ref());
    let Some((tree, handle)) = tree.and_then(|tree| tree.handle().map(|handle| (tree, handle))) else {
        return Err(ReadError::Problem(Problem::new(Reason::Vanished, "its root is gone")));
    };
    let directory = handle.open_directory(&tree.table().path(file.directory));
    let directory = directory.map_err(|error| ReadError::Problem(problem_of(&error)))?;
    let cache = context.cache().filter(|_| file.root.directory_type.is_written_once());
    let recorded = cache.and_then(DigestCache::view);
    file_evidence(directory.as_fd(), &file.name, file.expected, algorithm, recorded.as_ref(), context)
}
