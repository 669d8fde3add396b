//! An instance's manifest while it is built and after: walked first, then hashed, open for reading all the while.
//!
//! A directory's files are kept as a list until they are hashed and as a packed block from then on, so memory follows
//! the names and digests, never the bytes.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::AcqRel};
use std::sync::{Arc, Mutex, OnceLock};

use rayon::prelude::*;

use super::block::{self, MAX_BLOCK_BYTES};
use super::hash::{HashKind, SubtreeHash, subtree_hash};
use super::identity::Identity;
use super::table::{Directory, DirectoryIndex, DirectoryTable, Totals, hash_of_roots};
use super::table_error::TableError;
use crate::exclude::RootRules;
use crate::model::{Content, FileEntry, Listed, Name, RelPath, RootId};
use crate::scan::{
    Cancelled, Context, Expected, ReadError, RootHandle, WalkedDirectory, WalkedRoot, hash_file, walk_root,
};

/// How many small files of one directory one job reads.
const FILES_PER_JOB: usize = 32;

/// A root to be walked.
#[derive(Debug, Clone)]
pub struct RootSpec {
    /// Its name in the instance.
    pub id: RootId,
    /// Where it lies.
    pub home: PathBuf,
    /// What to leave out.
    pub rules: RootRules,
}

/// Why a manifest could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// It was asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The tree is beyond what a manifest can hold.
    #[error("{root}: {source}")]
    Table {
        /// The root.
        root: RootId,
        /// The limit.
        source: TableError,
    },
}

/// The trees of an instance.
#[derive(Debug)]
pub struct Manifest {
    /// What it is of.
    pub identity: Identity,
    roots: Vec<Root>,
}

/// One root of a manifest.
#[derive(Debug)]
pub struct Root {
    /// Its name in the instance.
    pub id: RootId,
    /// Its tree; `None` where the root is missing on disk.
    pub tree: Option<Tree>,
}

/// The tree of one root.
#[derive(Debug)]
pub struct Tree {
    table: DirectoryTable,
    handle: Option<RootHandle>,
    files: Vec<Mutex<Files>>,
    content: Vec<OnceLock<SubtreeHash>>,
    /// For each directory: its own files, and its child directories, that are not hashed yet.
    pending: Vec<AtomicU32>,
}

#[derive(Debug, Clone)]
enum Files {
    Listed(Arc<Vec<FileEntry>>),
    Packed(Arc<[u8]>),
}

impl Manifest {
    /// Walks all roots and hashes their metadata. Call it inside a rayon pool.
    pub fn walk(identity: Identity, roots: &[RootSpec], context: &Context) -> Result<Self, BuildError> {
        let mut walked: Vec<Root> = roots
            .par_iter()
            .map(|spec| {
                let tree = match walk_root(&spec.home, &spec.rules, context)? {
                    WalkedRoot::Absent => None,
                    WalkedRoot::Present { handle, directories } => Some(
                        Tree::new(handle, directories).map_err(|source| BuildError::Table { root: spec.id, source })?,
                    ),
                };
                Ok(Root { id: spec.id, tree })
            })
            .collect::<Result<_, BuildError>>()?;
        walked.sort_by_key(|root| root.id);
        Ok(Self { identity, roots: walked })
    }

    /// A manifest of directories that were listed elsewhere; its files cannot be read here. Each root's directories are in
    /// pre-order, the root itself first.
    pub fn of_listed(
        identity: Identity,
        roots: impl IntoIterator<Item = (RootId, Vec<WalkedDirectory>)>,
    ) -> Result<Self, BuildError> {
        let tree = |(id, directories)| match Tree::new(None, directories) {
            Ok(tree) => Ok(Root { id, tree: Some(tree) }),
            Err(source) => Err(BuildError::Table { root: id, source }),
        };
        let mut roots: Vec<Root> = roots.into_iter().map(tree).collect::<Result<_, _>>()?;
        roots.sort_by_key(|root| root.id);
        Ok(Self { identity, roots })
    }

    /// Reads and hashes every file. `finished` is told of each directory once its content hash is known, children
    /// before their parents. Call it inside a rayon pool, once.
    pub fn hash_contents(
        &self,
        context: &Context,
        finished: &(dyn Fn(usize, DirectoryIndex, SubtreeHash) + Sync),
    ) -> Result<(), Cancelled> {
        self.roots.par_iter().enumerate().try_for_each(|(number, root)| match &root.tree {
            Some(tree) => tree.hash_contents(context, &|index, hash| finished(number, index, hash)),
            None => Ok(()),
        })
    }

    /// The roots, sorted by id.
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// The root with this id.
    pub fn root(&self, id: RootId) -> Option<&Root> {
        self.roots.iter().find(|root| root.id == id)
    }

    /// Sums over all roots.
    pub fn totals(&self) -> Totals {
        self.roots.iter().filter_map(|root| root.tree.as_ref()).fold(Totals::default(), |sum, tree| {
            let own = tree.table.totals(DirectoryIndex::ROOT);
            Totals {
                files: sum.files + own.files,
                directories: sum.directories + own.directories,
                bytes: sum.bytes + own.bytes,
            }
        })
    }

    /// The instance's root hash of the given kind.
    pub fn instance_hash(&self, kind: HashKind) -> SubtreeHash {
        let roots = self.roots.iter().map(|root| {
            let tree = root.tree.as_ref();
            (root.id, tree.map(|tree| (&tree.table, tree.content(DirectoryIndex::ROOT))))
        });
        hash_of_roots(kind, roots)
    }
}

impl Tree {
    fn new(handle: Option<RootHandle>, walked: Vec<WalkedDirectory>) -> Result<Self, TableError> {
        let mut files = Vec::with_capacity(walked.len());
        let mut directories = Vec::with_capacity(walked.len());
        let mut open: Vec<(RelPath, DirectoryIndex)> = Vec::new();
        for (index, walked) in (0..).zip(walked) {
            let parent = walked.path.parent();
            while open.last().is_some_and(|(path, _)| Some(path) != parent.as_ref()) {
                open.pop();
            }
            directories.push(Directory {
                parent: open.last().map_or(DirectoryIndex::ROOT, |(_, parent)| *parent),
                name: walked.path.names().last().and_then(|name| Name::new(name).ok()),
                link: walked.link,
                files: walked.files.len() as u64,
                bytes: walked.files.iter().map(FileEntry::size).fold(0, u64::saturating_add),
                metadata: SubtreeHash::Unproven,
                unlisted: walked.unlisted,
            });
            files.push(walked.files);
            open.push((walked.path, DirectoryIndex(index)));
        }
        let table = DirectoryTable::new(directories)?;
        let metadata = metadata_hashes(&table, &files);
        let table = table.with_metadata(metadata);
        let pending = table.indices().map(|i| AtomicU32::new(1 + table.children(i).count() as u32)).collect();
        Ok(Self {
            handle,
            files: files.into_iter().map(|files| Mutex::new(Files::Listed(Arc::new(files)))).collect(),
            content: table.indices().map(|_| OnceLock::new()).collect(),
            pending,
            table,
        })
    }

    /// The directories.
    pub fn table(&self) -> &DirectoryTable {
        &self.table
    }

    /// The open root on disk; `None` where it could not be opened.
    pub fn handle(&self) -> Option<&RootHandle> {
        self.handle.as_ref()
    }

    /// The content hash of a directory; unproven as long as it is not known.
    pub fn content(&self, index: DirectoryIndex) -> SubtreeHash {
        self.content[index.at()].get().copied().unwrap_or(SubtreeHash::Unproven)
    }

    /// The content hash of a directory, once it was decided; `None` also where there is no such directory.
    pub fn content_if_known(&self, index: DirectoryIndex) -> Option<SubtreeHash> {
        self.content.get(index.at())?.get().copied()
    }

    /// The content hashes of all directories.
    pub fn contents(&self) -> Vec<SubtreeHash> {
        self.table.indices().map(|index| self.content(index)).collect()
    }

    /// The files of a directory, with what is known of them by now.
    pub fn files(&self, index: DirectoryIndex) -> Vec<FileEntry> {
        match self.slot(index) {
            Files::Listed(files) => files.to_vec(),
            Files::Packed(bytes) => match block::decode(&bytes) {
                Ok(files) => files,
                // Any list in its place could be taken for the directory's.
                Err(error) => unreachable!("a block that was unpacked when it was packed: {error}"),
            },
        }
    }

    /// The files of a directory as a manifest file holds them.
    pub(super) fn block(&self, index: DirectoryIndex) -> Arc<[u8]> {
        match self.slot(index) {
            Files::Listed(files) => block::encode(&files).into(),
            Files::Packed(bytes) => bytes,
        }
    }

    fn slot(&self, index: DirectoryIndex) -> Files {
        self.files[index.at()].lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    fn hash_contents(
        &self,
        context: &Context,
        finished: &(dyn Fn(DirectoryIndex, SubtreeHash) + Sync),
    ) -> Result<(), Cancelled> {
        let indices: Vec<DirectoryIndex> = self.table.indices().collect();
        indices.into_par_iter().with_max_len(1).try_for_each(|index| {
            self.hash_files(index, context)?;
            self.finish_upwards(index, finished);
            Ok(())
        })
    }

    /// Hashes the files directly in a directory and packs them.
    fn hash_files(&self, index: DirectoryIndex, context: &Context) -> Result<(), Cancelled> {
        context.cancel.check()?;
        let Files::Listed(listed) = self.slot(index) else { return Ok(()) };
        if listed.is_empty() {
            return Ok(());
        }
        let directory = self.handle.as_ref().map(|handle| handle.open_directory(&self.table.path(index)));
        let directory = match directory {
            Some(Ok(directory)) => Ok(directory),
            Some(Err(error)) => Err(Content::Unverified(crate::scan::problem_of(&error))),
            None => Err(Content::NotRead),
        };
        let mut files = listed.to_vec();
        drop(listed);
        files.par_iter_mut().with_max_len(FILES_PER_JOB).try_for_each(|file| {
            if let Listed::File { size, modified_ms, content: content @ Content::NotRead } = &mut file.listed {
                let expected = Expected { size: *size, modified_ms: *modified_ms };
                *content = match &directory {
                    Ok(directory) => read(directory, &file.name, expected, context)?,
                    Err(unreadable) => unreadable.clone(),
                };
            }
            context.progress.finished_file();
            Ok::<_, Cancelled>(())
        })?;
        let packed = pack(files, MAX_BLOCK_BYTES);
        *self.files[index.at()].lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = packed;
        Ok(())
    }

    /// One part of a directory is done; where it was the last, its hash is known, and a part of its parent is done.
    fn finish_upwards(&self, index: DirectoryIndex, finished: &(dyn Fn(DirectoryIndex, SubtreeHash) + Sync)) {
        let mut current = index;
        while self.pending[current.at()].fetch_sub(1, AcqRel) == 1 {
            let files = self.files(current);
            let hash = self.table.hash_of(HashKind::Content, current, &files, |child| self.content(child));
            // The count reaches zero once, so nobody else sets this cell.
            let _ = self.content[current.at()].set(hash);
            finished(current, hash);
            if current == DirectoryIndex::ROOT {
                return;
            }
            current = self.table.get(current).parent;
        }
    }
}

/// Packs files where that loses nothing: the block is within the limit and unpacks to the very same files. Otherwise they
/// stay a list, which takes more memory and is as good.
fn pack(files: Vec<FileEntry>, limit: usize) -> Files {
    let block = block::encode(&files);
    let whole = block.len() <= limit && block::decode(&block).is_ok_and(|unpacked| unpacked == files);
    if whole { Files::Packed(block.into()) } else { Files::Listed(Arc::new(files)) }
}

fn read(
    directory: &std::os::fd::OwnedFd,
    name: &Name,
    expected: Expected,
    context: &Context,
) -> Result<Content, Cancelled> {
    use std::os::fd::AsFd as _;
    match hash_file(directory.as_fd(), name, expected, &[], context) {
        Ok(digests) => Ok(Content::Digest(digests.blake3)),
        Err(ReadError::Problem(problem)) => Ok(Content::Unverified(problem)),
        Err(ReadError::Cancelled) => Err(Cancelled),
    }
}

/// Bottom-up: in pre-order every child comes after its parent, so backwards all children are known.
fn metadata_hashes(table: &DirectoryTable, files: &[Vec<FileEntry>]) -> Vec<SubtreeHash> {
    let mut hashes = vec![SubtreeHash::Unproven; table.len()];
    for index in table.indices().rev() {
        let hash = match table.get(index).unlisted {
            Some(_) => SubtreeHash::Unproven,
            None => {
                let children = table.children(index).map(|(child, name)| (name, hashes[child.at()]));
                subtree_hash(HashKind::Metadata, &files[index.at()], children)
            }
        };
        hashes[index.at()] = hash;
    }
    hashes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &[u8]) -> FileEntry {
        let content = Content::Digest(crate::model::Blake3Digest([1; 32]));
        FileEntry { name: Name::new(name).unwrap(), listed: Listed::File { size: 1, modified_ms: 2, content } }
    }

    /// A directory whose block would be beyond the limit was once packed all the same, and unpacked to no files at all:
    /// two such directories had the same content hash, whatever was in them.
    #[test]
    fn files_that_cannot_be_packed_stay_as_they_are() {
        let files = vec![file(b"a"), file(b"b")];
        assert!(matches!(pack(files.clone(), MAX_BLOCK_BYTES), Files::Packed(_)));
        for (files, limit) in [(files, 10), (vec![file(b"b"), file(b"a")], MAX_BLOCK_BYTES)] {
            match pack(files.clone(), limit) {
                Files::Listed(kept) => assert_eq!(*kept, files),
                Files::Packed(_) => panic!("packed"),
            }
        }
    }
}
