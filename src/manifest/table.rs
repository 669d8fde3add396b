//! The directories of one root as a flat table in pre-order, checked before anything relies on its shape.

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
                if !is_claim_allowed(content[index.at()], hash, excused(index)) {
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
            if !is_claim_allowed(content[index.at()], hash, excused(index)) {
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
fn is_claim_allowed(claimed: SubtreeHash, recomputed: SubtreeHash, excused: bool) -> bool {
    claimed.is_same_claim_as(&recomputed) || (!claimed.is_proven() && excused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PathError, Problem};

    fn directory(parent: u32, name: &str, files: u64) -> Directory {
        Directory {
            parent: DirectoryIndex(parent),
            name: (!name.is_empty()).then(|| Name::new(name.as_bytes()).unwrap()),
            link: false,
            files,
            bytes: files * 10,
            metadata: SubtreeHash::Unproven,
            unlisted: None,
        }
    }

    fn table(directories: Vec<Directory>) -> Result<DirectoryTable, TableError> {
        DirectoryTable::new(directories)
    }

    fn never(_: DirectoryIndex) -> bool {
        false
    }

    /// Neither a directory without files nor one with them may keep its hash to itself without a reason.
    #[test]
    fn an_unproven_claim_of_what_is_proven_needs_an_excuse() {
        let empty = table(vec![directory(0, "", 0)]).unwrap();
        let metadata = empty.hash_of(HashKind::Metadata, DirectoryIndex::ROOT, &[], |_| SubtreeHash::Unproven);
        let empty = table(vec![Directory { metadata, ..directory(0, "", 0) }]).unwrap();
        let unproven = [SubtreeHash::Unproven];
        let refused = Err(TableError::Hash(0, HashKind::Content));
        assert_eq!(empty.check_hashes_without_files(Some(&unproven), never), refused);
        assert_eq!(empty.check_hashes_without_files(Some(&unproven), |_| true), Ok(()));
        // An excuse is none for a hash that is another one.
        let other = [SubtreeHash::Proven(crate::model::Blake3Digest([7; 32]))];
        assert_eq!(empty.check_hashes_without_files(Some(&other), |_| true), refused);
    }

    #[test]
    fn children_paths_and_sums_follow_from_pre_order() {
        let rows = [(0, "", 1), (0, "a", 2), (1, "x", 3), (1, "y", 0), (0, "b", 4)];
        let table = table(rows.map(|(p, n, f)| directory(p, n, f)).to_vec()).unwrap();
        let children = |i| table.children(DirectoryIndex(i)).map(|(c, _)| c.0).collect::<Vec<_>>();
        assert_eq!((children(0), children(1), children(4)), (vec![1, 4], vec![2, 3], vec![]));
        assert_eq!(table.path(DirectoryIndex(3)).to_string(), "a/y");
        assert_eq!(table.totals(DirectoryIndex(0)), Totals { files: 10, directories: 4, bytes: 100 });
        assert_eq!(table.totals(DirectoryIndex(1)), Totals { files: 5, directories: 2, bytes: 50 });
        assert_eq!(table.subtree(DirectoryIndex(1)).map(|d| d.0).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_table_has_the_directories_up_to_its_length() {
        let table = table(vec![directory(0, "", 0), directory(0, "a", 0)]).unwrap();
        assert_eq!([0, 1, 2, 9].map(|index| table.contains(DirectoryIndex(index))), [true, true, false, false]);
        assert!(!table.is_empty());
    }

    #[test]
    fn files_must_have_the_number_and_the_bytes_of_the_record() {
        let table = table(vec![directory(0, "", 1)]).unwrap();
        let file = |name: &str, size| FileEntry {
            name: Name::new(name.as_bytes()).unwrap(),
            listed: crate::model::Listed::File { size, modified_ms: 5, content: crate::model::Content::NotRead },
        };
        let root = DirectoryIndex::ROOT;
        for files in [vec![file("a", 9)], vec![file("a", 4), file("b", 6)], vec![]] {
            assert_eq!(table.check_files(root, &files, None, never), Err(FilesError::Sums(root)), "{files:?}");
        }
        let hash = table.check_files(root, &[file("a", 10)], None, never);
        assert_eq!(hash, Err(FilesError::Hash(root, HashKind::Metadata)));
    }

    #[test]
    fn a_list_that_is_not_the_whole_directory_has_no_hash() {
        let table = table(vec![directory(0, "", 1)]).unwrap();
        let hash = table.hash_of(HashKind::Content, DirectoryIndex::ROOT, &[], |_| SubtreeHash::Unproven);
        assert!(!hash.is_proven());
    }

    /// A peer that could not list a directory has no hash of it, whatever it sends.
    #[test]
    fn nothing_above_what_was_not_listed_can_be_proven() {
        let some = SubtreeHash::Proven(crate::model::Blake3Digest([1; 32]));
        let unlisted = |metadata| Directory {
            metadata,
            unlisted: Some(Problem::new(crate::model::Reason::Unreadable, "no")),
            ..directory(0, "a", 0)
        };
        let root = |metadata, files| Directory { metadata, ..directory(0, "", files) };
        let check = |root, child| table(vec![root, child]).unwrap().check_hashes_without_files(None, never);
        let unproven = SubtreeHash::Unproven;
        assert_eq!(check(root(unproven, 1), unlisted(unproven)), Ok(()));
        assert_eq!(check(root(unproven, 1), unlisted(some)), Err(TableError::Hash(1, HashKind::Metadata)));
        assert_eq!(check(root(some, 1), unlisted(unproven)), Err(TableError::Hash(0, HashKind::Metadata)));
        assert_eq!(check(root(some, 0), unlisted(unproven)), Err(TableError::Hash(0, HashKind::Metadata)));
    }

    #[test]
    fn shapes_that_are_no_tree_are_refused() {
        let root = || directory(0, "", 0);
        let refused = |rows: Vec<Directory>| table(rows).unwrap_err();
        assert_eq!(refused(vec![]), TableError::Empty);
        assert_eq!(refused(vec![directory(0, "a", 0)]), TableError::Root(0));
        assert_eq!(refused(vec![root(), root()]), TableError::Root(1));
        assert_eq!(refused(vec![root(), directory(1, "a", 0)]), TableError::Parent(1));
        assert_eq!(refused(vec![root(), directory(9, "a", 0)]), TableError::Parent(1));
        let closed = vec![root(), directory(0, "a", 0), directory(0, "b", 0), directory(1, "c", 0)];
        assert_eq!(refused(closed), TableError::Parent(3));
        assert_eq!(refused(vec![root(), directory(0, "b", 0), directory(0, "a", 0)]), TableError::Order(2));
        assert_eq!(refused(vec![root(), directory(0, "a", 0), directory(0, "a", 0)]), TableError::Order(2));
        let mut unlisted = directory(0, "a", 1);
        unlisted.link = true;
        assert_eq!(refused(vec![root(), unlisted]), TableError::NotEntered(1));
        let bytes = Directory { bytes: 1, ..directory(0, "a", 0) };
        assert_eq!(refused(vec![root(), bytes]), TableError::Bytes(1));
        let huge = vec![directory(0, "", u64::MAX / 10), directory(0, "a", u64::MAX / 10)];
        assert!(matches!(refused(huge), TableError::Overflow(_)));
        let deep: Vec<_> =
            (0..5000_u32).map(|i| directory(i.saturating_sub(1), if i == 0 { "" } else { "d" }, 0)).collect();
        assert!(matches!(refused(deep), TableError::Path(2049, PathError::PathTooLong)));
    }
}
