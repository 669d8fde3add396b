//! The directories of one root as a flat table in pre-order, checked before anything relies on its shape.

use rayon::prelude::*;

use super::directory::{Directory, DirectoryIndex, MAX_DIRECTORIES, Totals};
use super::hash::{HashKind, SubtreeHash, instance_hash, subtree_hash};
use super::shape::{check_shape, sum_of_sizes, sums};
use super::table_error::{FilesError, TableError};
use crate::model::{FileEntry, Name, RelPath, RootId};

/// The directories of one root in pre-order, siblings sorted by the raw bytes of their names.
///
/// Checked on construction, so that every index, parent and path is sound, no path is longer than
/// [`crate::model::MAX_PATH_BYTES`], and the depth therefore at most half of that.
#[derive(Debug, Clone)]
pub struct DirectoryTable {
    directories: Vec<Directory>,
    /// For each directory, the index after its last descendant.
    ends: Vec<u32>,
    totals: Vec<Totals>,
}

impl DirectoryTable {
    /// The most directories a table may hold.
    pub const MAX_DIRECTORIES: usize = MAX_DIRECTORIES;

    /// Checks the shape and derives the sums.
    pub fn new(directories: Vec<Directory>) -> Result<Self, TableError> {
        check_shape(&directories)?;
        let (ends, totals) = sums(&directories)?;
        Ok(Self { directories, ends, totals })
    }

    /// The same table with other metadata hashes, one for each directory.
    pub(super) fn with_metadata(mut self, hashes: Vec<SubtreeHash>) -> Self {
        for (directory, hash) in self.directories.iter_mut().zip(hashes) {
            directory.metadata = hash;
        }
        self
    }

    /// The metadata hashes that these files give, one list for each directory. Directories without children first, side by side; then the
    /// others bottom-up: in pre-order every child comes after its parent, so backwards all children are known.
    pub(super) fn metadata_hashes(&self, files: &[Vec<FileEntry>]) -> Vec<SubtreeHash> {
        let is_leaf = |index: &DirectoryIndex| self.children(*index).next().is_none();
        let hash = |index: DirectoryIndex, hashes: &[SubtreeHash]| {
            self.hash_of(HashKind::Metadata, index, &files[index.at()], |child| hashes[child.at()])
        };
        let indices: Vec<DirectoryIndex> = self.indices().collect();
        let of_leaf = |index: &DirectoryIndex| if is_leaf(index) { hash(*index, &[]) } else { SubtreeHash::Unproven };
        let mut hashes: Vec<SubtreeHash> = indices.par_iter().map(of_leaf).collect();
        for index in indices.into_iter().rev().filter(|index| !is_leaf(index)) {
            hashes[index.at()] = hash(index, &hashes);
        }
        hashes
    }

    /// Whether both tables say the same; see [`SubtreeHash::is_same_claim_as`].
    pub fn is_same_claim_as(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.directories, &other.directories);
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| a.is_same_claim_as(b))
    }

    /// The number of directories, the root included.
    pub fn len(&self) -> usize {
        self.directories.len()
    }

    /// Never true: a table has a root.
    pub fn is_empty(&self) -> bool {
        self.directories.is_empty()
    }

    /// A directory.
    pub fn get(&self, index: DirectoryIndex) -> &Directory {
        &self.directories[index.at()]
    }

    /// Whether the table has such a directory.
    pub fn contains(&self, index: DirectoryIndex) -> bool {
        index.at() < self.directories.len()
    }

    /// All indices in pre-order.
    pub fn indices(&self) -> impl DoubleEndedIterator<Item = DirectoryIndex> + use<> {
        // A table holds at most `MAX_DIRECTORIES`, which is less than 2^32.
        (0..self.directories.len() as u32).map(DirectoryIndex)
    }

    /// A directory and everything below it.
    pub fn subtree(&self, index: DirectoryIndex) -> impl Iterator<Item = DirectoryIndex> + use<> {
        (index.0..self.ends[index.at()]).map(DirectoryIndex)
    }

    /// The sums over everything below.
    pub fn totals(&self, index: DirectoryIndex) -> Totals {
        self.totals[index.at()]
    }

    /// The directories directly in it, with their names, sorted.
    pub fn children(&self, index: DirectoryIndex) -> impl Iterator<Item = (DirectoryIndex, &Name)> {
        let end = self.ends[index.at()];
        let mut next = index.0 + 1;
        std::iter::from_fn(move || {
            if next >= end {
                return None;
            }
            let child = DirectoryIndex(next);
            next = self.ends[child.at()];
            // Only the root has no name, and the root is no child.
            self.get(child).name.as_ref().map(|name| (child, name))
        })
    }

    /// The path from the root.
    pub fn path(&self, index: DirectoryIndex) -> RelPath {
        let mut names = Vec::new();
        let mut current = index;
        while let Some(name) = &self.get(current).name {
            names.push(name.as_bytes());
            current = self.get(current).parent;
        }
        names.reverse();
        // The joined names were checked when the table was made.
        RelPath::new(&names.join(&b'/')).unwrap_or_default()
    }

    /// Recomputes the hashes of all directories that hold no files, which need nothing but the table; `content`, where
    /// given, has one hash for each directory. What does not add up was not made by a twintree that tells the truth.
    ///
    /// A content hash may be unproven although what is at hand proves it only where `excused` says so: something else was
    /// wrong with the directory, and a problem says what.
    pub fn check_hashes_without_files(
        &self,
        content: Option<&[SubtreeHash]>,
        excused: impl Fn(DirectoryIndex) -> bool,
    ) -> Result<(), TableError> {
        for index in self.indices() {
            let directory = self.get(index);
            if content.is_some_and(|content| content[index.at()].is_proven()) && !directory.metadata.is_proven() {
                return Err(TableError::ContentAlone(index.0));
            }
            if directory.files > 0 {
                // Its hash needs its files; but with a child that is unproven it cannot be proven either.
                self.check_children_proven(index, content)?;
                continue;
            }
            let metadata = self.hash_of(HashKind::Metadata, index, &[], |child| self.get(child).metadata);
            if !metadata.is_same_claim_as(&directory.metadata) {
                return Err(TableError::Hash(index.0, HashKind::Metadata));
            }
            if let Some(content) = content {
                let hash = self.hash_of(HashKind::Content, index, &[], |child| content[child.at()]);
                if !is_claim_allowed(content[index.at()], hash, || excused(index)) {
                    return Err(TableError::Hash(index.0, HashKind::Content));
                }
            }
        }
        Ok(())
    }

    fn check_children_proven(&self, index: DirectoryIndex, content: Option<&[SubtreeHash]>) -> Result<(), TableError> {
        for (child, _) in self.children(index) {
            if self.get(index).metadata.is_proven() && !self.get(child).metadata.is_proven() {
                return Err(TableError::Hash(index.0, HashKind::Metadata));
            }
            if content.is_some_and(|content| content[index.at()].is_proven() && !content[child.at()].is_proven()) {
                return Err(TableError::Hash(index.0, HashKind::Content));
            }
        }
        Ok(())
    }

    /// Checks files that are said to be a directory's: their number, size and names, and the hashes they give.
    ///
    /// `content`, where given, has one content hash for each directory. A file that was not read leaves its directory
    /// unproven; then only the metadata hash is checked. For `excused` see [`Self::check_hashes_without_files`].
    pub fn check_files(
        &self,
        index: DirectoryIndex,
        files: &[FileEntry],
        content: Option<&[SubtreeHash]>,
        excused: impl Fn(DirectoryIndex) -> bool,
    ) -> Result<(), FilesError> {
        let directory = self.get(index);
        if files.len() as u64 != directory.files || sum_of_sizes(files) != Some(directory.bytes) {
            return Err(FilesError::Sums(index));
        }
        let path = self.path(index);
        if files.iter().any(|file| path.join(&file.name).is_err()) {
            return Err(FilesError::Path(index));
        }
        if self.children(index).any(|(_, name)| files.binary_search_by(|file| file.name.cmp(name)).is_ok()) {
            return Err(FilesError::Twice(index));
        }
        let metadata = self.hash_of(HashKind::Metadata, index, files, |child| self.get(child).metadata);
        if !metadata.is_same_claim_as(&directory.metadata) {
            return Err(FilesError::Hash(index, HashKind::Metadata));
        }
        if let Some(content) = content {
            let hash = self.hash_of(HashKind::Content, index, files, |child| content[child.at()]);
            if !is_claim_allowed(content[index.at()], hash, || excused(index)) {
                return Err(FilesError::Hash(index, HashKind::Content));
            }
        }
        Ok(())
    }

    /// The hash of a directory from its files and the hashes of its children.
    pub fn hash_of(
        &self,
        kind: HashKind,
        index: DirectoryIndex,
        files: &[FileEntry],
        hash_of_child: impl Fn(DirectoryIndex) -> SubtreeHash,
    ) -> SubtreeHash {
        // A list that is not the whole directory proves nothing about it.
        if self.get(index).unlisted.is_some() || files.len() as u64 != self.get(index).files {
            return SubtreeHash::Unproven;
        }
        subtree_hash(kind, files, self.children(index).map(|(child, name)| (name, hash_of_child(child))))
    }
}

/// The sums over the roots of an instance; `None` where they do not fit 64 bits.
pub fn totals_of_roots<'a>(mut tables: impl Iterator<Item = &'a DirectoryTable>) -> Option<Totals> {
    tables.try_fold(Totals::default(), |sum, table| sum.plus(table.totals(DirectoryIndex::ROOT)))
}

/// The root hash of an instance: its roots in order, each with its table and the content hash of the table's root;
/// `None` for an absent root.
pub fn hash_of_roots<'a>(
    kind: HashKind,
    roots: impl Iterator<Item = (RootId, Option<(&'a DirectoryTable, SubtreeHash)>)>,
) -> SubtreeHash {
    let roots = roots.map(|(id, tree)| {
        let hash = tree.map(|(table, content)| match kind {
            HashKind::Metadata => table.get(DirectoryIndex::ROOT).metadata,
            HashKind::Content => content,
        });
        (id, hash)
    });
    instance_hash(kind, &roots.collect::<Vec<_>>())
}

/// Whether a side may say this of a directory that recomputes to that. Nobody may claim more than what is at hand proves,
/// and less only with an excuse.
fn is_claim_allowed(claimed: SubtreeHash, recomputed: SubtreeHash, excused: impl FnOnce() -> bool) -> bool {
    claimed.is_same_claim_as(&recomputed) || (!claimed.is_proven() && excused())
}
