//! Reading a manifest: tables at once, the blocks of single directories on demand, each part checked before use.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::section::{FileError, FormatFault, HEAD_BYTES, tag_text};
use super::sections::Sections;
use super::selected::check_selected;
use super::{
    BLOCKS, DIRECTORIES, END, EndRecord, FormatVersion, IDENTITY, MAGIC, RootRecord, SELECTION, TreeRecord, UNSTEADY,
    UnsteadyRecord,
};
use crate::manifest::block::MAX_BLOCK_BYTES;
use crate::manifest::block_view::decode_block;
use crate::manifest::directory::{Directory, DirectoryIndex, Totals};
use crate::manifest::hash::{HashKind, SubtreeHash};
use crate::manifest::identity::{Identity, IdentityRecord};
use crate::manifest::record::decode_problem;
use crate::manifest::table::{DirectoryTable, hash_of_roots, totals_of_roots};
use crate::model::{Blake3Digest, DirectoryType, FileEntry, Problem, RootId, Selection};
use crate::scan::open_regular;
use crate::store::receive;

/// So many bytes of a manifest are taken from a stream, which does not say how long it is. One of a hundred million files has fewer.
pub const MAX_STREAM_BYTES: u64 = 16 << 30;

/// An open manifest file whose tables were checked. Blocks are checked when they are read.
#[derive(Debug)]
pub struct ManifestFile {
    path: PathBuf,
    file: File,
    identity: Identity,
    roots: Vec<FileRoot>,
    totals: Totals,
    sections: Sections,
    blocks_read: AtomicU64,
}

#[derive(Debug)]
struct FileRoot {
    id: RootId,
    tree: Option<FileTree>,
}

#[derive(Debug)]
struct FileTree {
    table: DirectoryTable,
    content: Vec<SubtreeHash>,
    blocks: Vec<Block>,
    /// Sorted by directory.
    unsteady: Vec<(DirectoryIndex, Problem)>,
}

impl FileTree {
    fn is_unsteady(&self, index: DirectoryIndex) -> bool {
        self.unsteady.binary_search_by_key(&index, |(index, _)| *index).is_ok()
    }
}

/// Where a directory's block lies in the file, and its BLAKE3. Length 0 where the directory holds no files.
#[derive(Debug, Clone, Copy)]
struct Block {
    offset: u64,
    bytes: u64,
    hash: [u8; 32],
}

impl ManifestFile {
    /// Opens a manifest: checks its frame and tables, and reads no block.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        match open_regular(path) {
            Ok(file) => Self::of_open(path, file),
            Err(error) => Err(FileError { path: path.to_owned(), fault: error.into() }),
        }
    }

    /// Opens a manifest that comes as a stream, from its first byte to its last: it is kept in a file without a name, which is gone with
    /// the process, and checked as any other. What does not begin as a manifest is refused before more of it is taken. Errors name it so.
    pub fn receive(name: &str, stream: &mut dyn Read) -> Result<Self, FileError> {
        let received = || {
            let mut head = Vec::with_capacity(MAGIC.len());
            (&mut *stream).take(MAGIC.len() as u64).read_to_end(&mut head)?;
            match head.as_slice() {
                [] => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "nothing came").into()),
                head if !Self::begins(head) => return Err(FormatFault::Magic),
                _ => {}
            }
            let file = receive(&mut head.as_slice().chain(stream), MAX_STREAM_BYTES)?;
            Self::checked(Path::new(name), file)
        };
        received().map_err(|fault| FileError { path: PathBuf::from(name), fault })
    }

    /// Whether bytes begin as a manifest does.
    pub fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// The manifest in an open file; errors name this path.
    pub fn of_open(path: &Path, file: File) -> Result<Self, FileError> {
        Self::checked(path, file).map_err(|fault| FileError { path: path.to_owned(), fault })
    }

    fn checked(path: &Path, file: File) -> Result<Self, FormatFault> {
        let length = file.metadata()?.len();
        let sections = Sections::read(&file, length)?;
        let identity = identity(&file, &sections)?;
        let records = sections.value::<Vec<RootRecord>>(&file, DIRECTORIES)?;
        let blocks = sections.one(BLOCKS)?;
        let end = sections.value::<EndRecord>(&file, END)?;
        let mut next_block = blocks.offset + HEAD_BYTES;
        let mut unsteady = unsteady_of_roots(&file, &sections, records.len())?.into_iter();
        let roots =
            records.into_iter().map(|record| file_root(record, unsteady.next().unwrap_or_default(), &mut next_block));
        let roots = roots.collect::<Result<Vec<_>, _>>()?;
        if next_block != blocks.offset + HEAD_BYTES + blocks.bytes {
            return Err(FormatFault::Columns);
        }
        if roots.windows(2).any(|pair| pair[0].id >= pair[1].id) {
            return Err(FormatFault::Columns);
        }
        let tables = || roots.iter().map(|root| (root.id, root.tree.as_ref().map(|tree| &tree.table)));
        let totals = totals_of_roots(tables().filter_map(|(_, table)| table)).ok_or(FormatFault::Sums)?;
        if let Some(selection) = &identity.selection {
            check_selected(selection, tables())?;
        }
        let manifest =
            Self { path: path.to_owned(), file, identity, roots, totals, sections, blocks_read: AtomicU64::new(0) };
        if manifest.end_record() != end {
            return Err(FormatFault::Totals);
        }
        Ok(manifest)
    }

    /// What the manifest is of.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The roots, sorted by id; `None` for an absent one.
    pub fn tables(&self) -> Vec<(RootId, Option<&DirectoryTable>)> {
        self.roots.iter().map(|root| (root.id, root.tree.as_ref().map(|tree| &tree.table))).collect()
    }

    /// The content hashes of a root's directories; empty for an absent root.
    pub fn contents(&self, root: RootId) -> &[SubtreeHash] {
        self.tree(root).map(|tree| tree.content.as_slice()).unwrap_or_default()
    }

    /// The directories of a root of which it is not known that they held just what was listed, with the reasons.
    pub fn unsteady(&self, root: RootId) -> &[(DirectoryIndex, Problem)] {
        self.tree(root).map(|tree| tree.unsteady.as_slice()).unwrap_or_default()
    }

    /// Sums over all roots.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The instance's root hash of the given kind.
    pub fn instance_hash(&self, kind: HashKind) -> SubtreeHash {
        let roots = self.roots.iter();
        hash_of_roots(
            kind,
            roots.map(|root| {
                (root.id, root.tree.as_ref().map(|tree| (&tree.table, tree.content[DirectoryIndex::ROOT.at()])))
            }),
        )
    }

    /// How many blocks were read so far.
    pub fn blocks_read(&self) -> u64 {
        self.blocks_read.load(Relaxed)
    }

    /// The files of a directory, checked against the block's checksum, the directory's record and its hashes.
    pub fn open_directory(&self, root: RootId, index: DirectoryIndex) -> Result<Vec<FileEntry>, FileError> {
        let Some(tree) = self.tree(root) else { return Ok(Vec::new()) };
        self.read_block(tree, index).map_err(|fault| FileError { path: self.path.clone(), fault })
    }

    /// Reads every section, known or not, for its checksum. The files of single directories are checked when they are opened.
    pub fn check_sections(&self) -> Result<(), FileError> {
        self.sections.check(&self.file).map_err(|fault| FileError { path: self.path.clone(), fault })
    }

    /// Reads and checks everything there is in the file: every section, known or not, and every directory.
    pub fn check_all(&self) -> Result<(), FileError> {
        self.check_each(|_, _, _| ())
    }

    /// The same, and hands on the files of each directory as it goes by.
    pub fn check_each(&self, mut each: impl FnMut(RootId, DirectoryIndex, Vec<FileEntry>)) -> Result<(), FileError> {
        let mut checked = || {
            self.sections.check(&self.file)?;
            for (id, tree) in self.roots.iter().filter_map(|root| Some((root.id, root.tree.as_ref()?))) {
                for index in tree.table.indices() {
                    each(id, index, self.read_block(tree, index)?);
                }
            }
            Ok(())
        };
        checked().map_err(|fault| FileError { path: self.path.clone(), fault })
    }

    fn tree(&self, root: RootId) -> Option<&FileTree> {
        let at = self.roots.binary_search_by_key(&root, |root| root.id).ok()?;
        self.roots[at].tree.as_ref()
    }

    fn read_block(&self, tree: &FileTree, index: DirectoryIndex) -> Result<Vec<FileEntry>, FormatFault> {
        let place = tree.blocks[index.at()];
        if place.bytes == 0 {
            return Ok(Vec::new());
        }
        let directory = tree.table.path(index);
        // At most `MAX_BLOCK_BYTES`, checked when the tables were read.
        let mut bytes = vec![0; place.bytes as usize];
        self.file.read_exact_at(&mut bytes, place.offset)?;
        self.blocks_read.fetch_add(1, Relaxed);
        if blake3::hash(&bytes).as_bytes() != &place.hash {
            return Err(FormatFault::Block { directory, offset: place.offset });
        }
        let files = match decode_block(&bytes) {
            Ok(files) => files,
            Err(source) => return Err(FormatFault::BlockContent { directory, source }),
        };
        match tree.table.check_files(index, &files, Some(&tree.content), |index| tree.is_unsteady(index)) {
            Ok(()) => Ok(files),
            Err(source) => Err(FormatFault::BlockFiles { directory, source }),
        }
    }

    fn end_record(&self) -> EndRecord {
        let Totals { files, directories, bytes } = self.totals;
        let hash = |kind| self.instance_hash(kind).digest().map(|digest| digest.0);
        EndRecord { files, directories, bytes, metadata: hash(HashKind::Metadata), content: hash(HashKind::Content) }
    }
}

/// What the manifest is of. Where a selection stands tells how the file is to be read, so it stands in one place: in
/// format 2 in its section, and in format 1, of older programs, among the directory patterns.
fn identity(file: &File, sections: &Sections) -> Result<Identity, FormatFault> {
    let unsound = |tag| move |source| FormatFault::Selection { tag: tag_text(tag), source };
    let record = sections.value::<IdentityRecord>(file, IDENTITY)?;
    let identity = Identity::try_from(record).map_err(unsound(IDENTITY))?;
    let identity = match sections.version {
        FormatVersion::Whole if sections.has(SELECTION) => return Err(FormatFault::Misplaced(tag_text(SELECTION))),
        FormatVersion::Whole => identity,
        FormatVersion::Restricted if identity.selection.is_some() => {
            return Err(FormatFault::Misplaced(tag_text(IDENTITY)));
        }
        FormatVersion::Restricted => {
            let names = sections.value::<Vec<String>>(file, SELECTION)?;
            let selection = Selection::parse(&names).map_err(unsound(SELECTION))?;
            Identity { selection: Some(selection), ..identity }
        }
    };
    match identity.names_its_rules() {
        true => Ok(identity),
        false => Err(FormatFault::Fingerprint),
    }
}

/// Directories of one root that changed while they were read.
type Unsteady = Vec<(DirectoryIndex, Problem)>;

/// The directories that changed while they were read, by the positions of their roots. Ascending, so that none stands twice.
fn unsteady_of_roots(file: &File, sections: &Sections, roots: usize) -> Result<Vec<Unsteady>, FormatFault> {
    let mut of_roots: Vec<Unsteady> = vec![Vec::new(); roots];
    if !sections.has(UNSTEADY) {
        return Ok(of_roots);
    }
    let records = sections.value::<Vec<UnsteadyRecord>>(file, UNSTEADY)?;
    if records.is_empty() || !records.is_sorted_by(|a, b| (a.root, a.directory) < (b.root, b.directory)) {
        return Err(FormatFault::Columns);
    }
    for UnsteadyRecord { root, directory, problem } in records {
        let of_root = of_roots.get_mut(root as usize).ok_or(FormatFault::Columns)?;
        let problem = decode_problem(problem).map_err(|_| FormatFault::Columns)?;
        of_root.push((DirectoryIndex(directory), problem));
    }
    Ok(of_roots)
}

fn file_root(record: RootRecord, unsteady: Unsteady, next_block: &mut u64) -> Result<FileRoot, FormatFault> {
    let directory_type = DirectoryType::from_code(record.directory_type).ok_or(FormatFault::Columns)?;
    let id = RootId::new(directory_type, record.index);
    if record.tree.is_none() && !unsteady.is_empty() {
        return Err(FormatFault::Columns);
    }
    Ok(FileRoot { id, tree: record.tree.map(|tree| file_tree(tree, unsteady, next_block)).transpose()? })
}

fn file_tree(record: TreeRecord, unsteady: Unsteady, next_block: &mut u64) -> Result<FileTree, FormatFault> {
    let count = record.directories.len();
    if record.content.len() != count || record.block_bytes.len() != count {
        return Err(FormatFault::Columns);
    }
    let directories = record.directories.into_iter().map(Directory::try_from).collect::<Result<Vec<_>, _>>()?;
    let table = DirectoryTable::new(directories)?;
    let mut hashes = record.block_hashes.chunks_exact(32);
    let mut blocks = Vec::with_capacity(count);
    for (index, bytes) in table.indices().zip(record.block_bytes) {
        if (bytes > 0) != (table.get(index).files > 0) || bytes > MAX_BLOCK_BYTES as u64 {
            return Err(FormatFault::Columns);
        }
        let hash = match bytes {
            0 => [0; 32],
            _ => hashes.next().and_then(|hash| hash.try_into().ok()).ok_or(FormatFault::Columns)?,
        };
        blocks.push(Block { offset: *next_block, bytes, hash });
        *next_block = next_block.checked_add(bytes).ok_or(FormatFault::Columns)?;
    }
    if hashes.next().is_some() || !hashes.remainder().is_empty() {
        return Err(FormatFault::Columns);
    }
    let content: Vec<_> = record.content.into_iter().map(|hash| SubtreeHash::from(hash.map(Blake3Digest))).collect();
    // Needs no block, and closes subtrees only where what was not listed claims no hash.
    let tree = FileTree { table, content, blocks, unsteady };
    let listed = |index| tree.table.contains(index) && tree.table.get(index).unlisted.is_none();
    if tree.unsteady.iter().any(|(index, _)| !listed(*index) || tree.content[index.at()].is_proven()) {
        return Err(FormatFault::Columns);
    }
    tree.table.check_hashes_without_files(Some(&tree.content), |index| tree.is_unsteady(index))?;
    Ok(tree)
}
