//! The tree of one root while it is built and after: walked first, then hashed, open for reading all the while.
//!
//! A directory's files are kept as a list until they are hashed and as a packed block from then on, so memory follows
//! the names and digests, never the bytes. What is read is filled in from `hashing.rs`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::AcqRel};

use parking_lot::Mutex;

use super::block::{MAX_BLOCK_BYTES, encode_block, most_block_bytes};
use super::block_view::decode_block;
use super::directory::{Directory, DirectoryIndex};
use super::hash::{HashKind, SubtreeHash};
use super::packing::pack;
use super::shape::sum_of_sizes;
use super::table::DirectoryTable;
use super::table_error::TableError;
use crate::exclude::RootRules;
use crate::model::{Content, FileEntry, Listed, Name, Problem, RelPath};
use crate::scan::{Context, DirectoryLook, Look, Looks, RootHandle, WalkedDirectory};

/// The tree of one root.
#[derive(Debug)]
pub struct Tree {
    table: DirectoryTable,
    /// Where it lies on this machine.
    place: Option<Place>,
    files: Vec<Mutex<Files>>,
    /// The looks at the files of each directory: the walk's, and where another file was read, that one's.
    looks: Vec<Mutex<Looks>>,
    /// What second looks at the directories have to find.
    steady: Mutex<Vec<DirectoryLook>>,
    content: Vec<Mutex<Option<SubtreeHash>>>,
    /// Directories that were listed, and of which it is not known that they held just that all the while.
    unsteady: Mutex<BTreeMap<DirectoryIndex, Problem>>,
    /// Those whose content was proven before that was known, with those above them.
    withdrawn: Mutex<Vec<DirectoryIndex>>,
    /// For each directory: its own files, and its child directories, that are not hashed yet.
    pending: Vec<AtomicU32>,
}

/// A root on this machine.
#[derive(Debug)]
pub(super) struct Place {
    pub home: PathBuf,
    pub rules: RootRules,
    /// The root as the walk opened it; `None` where it could not be opened.
    pub handle: Option<RootHandle>,
}

#[derive(Debug, Clone)]
enum Files {
    Listed(Arc<Vec<FileEntry>>),
    Packed(Arc<[u8]>),
}

impl Tree {
    pub(super) fn new(place: Option<Place>, walked: Vec<WalkedDirectory>) -> Result<Self, TableError> {
        let mut files = Vec::with_capacity(walked.len());
        let mut looks = Vec::with_capacity(walked.len());
        let mut steady = Vec::with_capacity(walked.len());
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
                bytes: sum_of_sizes(&walked.files).ok_or(TableError::Overflow(index))?,
                metadata: SubtreeHash::Unproven,
                unlisted: walked.unlisted,
            });
            files.push(walked.files);
            looks.push(Mutex::new(walked.looks));
            steady.push(walked.steady);
            open.push((walked.path, DirectoryIndex(index)));
        }
        let table = DirectoryTable::new(directories)?;
        let metadata = table.metadata_hashes(&files);
        let table = table.with_metadata(metadata);
        let pending = table.indices().map(|i| AtomicU32::new(1 + table.children(i).count() as u32)).collect();
        Ok(Self {
            place,
            looks,
            steady: Mutex::new(steady),
            unsteady: Mutex::default(),
            withdrawn: Mutex::default(),
            files: files.into_iter().map(|files| Mutex::new(Files::Listed(Arc::new(files)))).collect(),
            content: table.indices().map(|_| Mutex::new(None)).collect(),
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
        self.place.as_ref()?.handle.as_ref()
    }

    /// Where it lies on this machine; `None` where it was listed elsewhere.
    pub(super) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// The content hash of a directory; unproven as long as it is not known.
    pub fn content(&self, index: DirectoryIndex) -> SubtreeHash {
        self.content[index.at()].lock().unwrap_or(SubtreeHash::Unproven)
    }

    /// The content hash of a directory, once it was decided; `None` also where there is no such directory.
    pub fn content_if_known(&self, index: DirectoryIndex) -> Option<SubtreeHash> {
        *self.content.get(index.at())?.lock()
    }

    /// The content hashes of all directories.
    pub fn contents(&self) -> Vec<SubtreeHash> {
        self.table.indices().map(|index| self.content(index)).collect()
    }

    /// The files of a directory, with what is known of them by now.
    pub fn files(&self, index: DirectoryIndex) -> Vec<FileEntry> {
        match self.slot(index) {
            Files::Listed(files) => files.to_vec(),
            Files::Packed(bytes) => match decode_block(&bytes) {
                Ok(files) => files,
                // Any list in its place could be taken for the directory's.
                Err(error) => unreachable!("a block that was unpacked when it was packed: {error}"),
            },
        }
    }

    /// The files of a directory as a manifest file holds them and the wire carries them.
    pub fn block(&self, index: DirectoryIndex) -> Arc<[u8]> {
        match self.slot(index) {
            Files::Listed(files) => encode_block(&files).into(),
            Files::Packed(bytes) => bytes,
        }
    }

    /// What it takes in memory at most to make the block of a directory and its frames, in bytes, besides what is kept anyway.
    pub fn block_cost(&self, index: DirectoryIndex) -> u64 {
        match self.slot(index) {
            // As it is encoded, as it is shared, and in frames.
            Files::Listed(files) => 3 * most_block_bytes(&files),
            Files::Packed(bytes) => bytes.len() as u64,
        }
    }

    fn slot(&self, index: DirectoryIndex) -> Files {
        self.files[index.at()].lock().clone()
    }

    /// The files of a directory that is still a list; shared, not copied. Empty once it is packed.
    pub(super) fn listed(&self, index: DirectoryIndex) -> Arc<Vec<FileEntry>> {
        match self.slot(index) {
            Files::Listed(files) => files,
            Files::Packed(_) => Arc::default(),
        }
    }

    /// The looks at the files of a directory: nothing else is known to be what they are.
    pub(super) fn looks(&self, index: DirectoryIndex) -> Looks {
        self.looks[index.at()].lock().clone()
    }

    /// The place of a file among those of a directory that is not read yet.
    pub(super) fn position(&self, index: DirectoryIndex, name: &Name) -> Option<usize> {
        self.listed(index).binary_search_by(|file| file.name.cmp(name)).ok()
    }

    /// The walk's look at a file of a directory that is not read yet.
    pub fn look(&self, index: DirectoryIndex, name: &Name) -> Option<Look> {
        let position = self.position(index, name)?;
        self.looks[index.at()].lock().files.get(position).copied().flatten()
    }

    /// The file at this position is another one than the walk saw, and what is known is known of that. Its directory is listed
    /// again, so that it shows which of the two it is.
    pub(super) fn note_look(&self, index: DirectoryIndex, position: usize, look: Look) {
        if let Some(known) = self.looks[index.at()].lock().files.get_mut(position) {
            *known = Some(look);
        }
        self.steady.lock()[index.at()] = DirectoryLook::UNSTEADY;
    }

    /// Whether a symbolic link in the directory leads to another file by now.
    pub(super) fn targets_changed(&self, index: DirectoryIndex, root: &RootHandle, context: &Context) -> bool {
        let looks = match self.looks[index.at()].lock() {
            looks if looks.targets.is_empty() => return false,
            looks => looks.clone(),
        };
        root.targets_changed(&self.table.path(index), &self.files(index), &looks, context)
    }

    /// What second looks at the directories have to find.
    pub(super) fn steady(&self) -> Vec<DirectoryLook> {
        self.steady.lock().clone()
    }

    /// A directory was listed again, and is what it was.
    pub(super) fn settle(&self, index: DirectoryIndex, look: DirectoryLook, files: Looks) {
        self.steady.lock()[index.at()] = look;
        *self.looks[index.at()].lock() = files;
    }

    /// No more second looks are taken.
    pub(super) fn forget_looks(&self) {
        self.looks.iter().for_each(|looks| drop(std::mem::take(&mut *looks.lock())));
    }

    /// It is not known that the directory held just what was listed: neither its content nor that of the directories above it is
    /// proven. Gives those of which something else was said before, from the bottom up.
    pub(super) fn withdraw(&self, index: DirectoryIndex, problem: Problem) -> Vec<DirectoryIndex> {
        self.unsteady.lock().insert(index, problem);
        let above = std::iter::successors(Some(index), |index| {
            (*index != DirectoryIndex::ROOT).then(|| self.table.get(*index).parent)
        });
        let was_proven = |index: &DirectoryIndex| {
            let before = self.content[index.at()].lock().replace(SubtreeHash::Unproven);
            before.is_some_and(|hash| hash.is_proven())
        };
        let concerned: Vec<DirectoryIndex> = above.filter(|above| was_proven(above) || *above == index).collect();
        self.withdrawn.lock().extend(&concerned);
        concerned
    }

    /// The directories whose content was withdrawn after the first so many.
    pub fn withdrawn_after(&self, position: usize) -> Vec<DirectoryIndex> {
        self.withdrawn.lock().iter().skip(position).copied().collect()
    }

    /// The directories that were listed, and of which it is not known that they held just that all the while, with the reasons.
    pub fn unsteady(&self) -> Vec<(DirectoryIndex, Problem)> {
        self.unsteady.lock().iter().map(|(index, problem)| (*index, problem.clone())).collect()
    }

    /// Fills in what became known of a directory's files, by their positions. With `finished` nothing more will: the files
    /// are packed, and `finished` is called for every directory that is known by that.
    pub(super) fn set_contents(
        &self,
        index: DirectoryIndex,
        contents: Vec<Option<Content>>,
        finished: Option<&dyn Fn(DirectoryIndex, SubtreeHash)>,
    ) {
        let files = {
            let mut slot = self.files[index.at()].lock();
            let Files::Listed(files) = &mut *slot else { return };
            // Copied only where a branch of it is being sent at this moment.
            for (file, content) in Arc::make_mut(files).iter_mut().zip(contents) {
                if let (Listed::File { content: known, .. }, Some(content)) = (&mut file.listed, content) {
                    *known = content;
                }
            }
            Arc::clone(files)
        };
        let Some(finished) = finished else { return };
        let hash = self.is_last_part(index).then(|| self.hash_directory(index, &files));
        if let Some(block) = pack(&files, MAX_BLOCK_BYTES) {
            *self.files[index.at()].lock() = Files::Packed(block.into());
        }
        if let Some(hash) = hash {
            self.finish_upwards(index, hash, finished);
        }
    }

    /// One part of a directory is done; true for the last.
    fn is_last_part(&self, index: DirectoryIndex) -> bool {
        self.pending[index.at()].fetch_sub(1, AcqRel) == 1
    }

    fn hash_directory(&self, index: DirectoryIndex, files: &[FileEntry]) -> SubtreeHash {
        self.table.hash_of(HashKind::Content, index, files, |child| self.content(child))
    }

    /// A directory's hash is known, and with it a part of its parent's.
    fn finish_upwards(&self, index: DirectoryIndex, hash: SubtreeHash, finished: &dyn Fn(DirectoryIndex, SubtreeHash)) {
        let (mut current, mut hash) = (index, hash);
        loop {
            // The count of parts reaches zero once, so nobody else sets this cell.
            *self.content[current.at()].lock() = Some(hash);
            finished(current, hash);
            let parent = self.table.get(current).parent;
            if current == DirectoryIndex::ROOT || !self.is_last_part(parent) {
                return;
            }
            (current, hash) = (parent, self.hash_directory(parent, &self.files(parent)));
        }
    }
}
