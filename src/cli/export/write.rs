//! One manifest as one file of each table.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::place::{file_name, partition};
use crate::cli::args::ExportArgs;
use crate::cli::exit_code::CommandError;
use crate::cli::given::Scopes;
use crate::manifest::{ByKey, DirectoryIndex, DirectoryTable, ManifestFile, SubtreeHash, by_key};
use crate::model::{Problem, Reason, RelPath, RootId, Side};
use crate::report::parquet::{
    DIRECTORIES, DirectoryFacts, DirectoryRow, DirectoryState, FILES, FileRow, Origin, Table, TableError, TableSchema,
};
use crate::scan::Cancel;
use crate::store::{Whole, make_directories};

/// A manifest to write.
pub(super) struct Job {
    pub path: PathBuf,
    /// The pair that it is part of, and which side of it.
    pub pair: Option<(String, Side)>,
}

/// Rows of both tables.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub files: u64,
    pub directories: u64,
}

/// Writes a manifest. Whatever is wrong with it anywhere, nothing of it is put in place; both tables are, or neither: a row in
/// `directories` says that its files are there.
pub(super) fn export(
    job: &Job,
    args: &ExportArgs,
    cancel: &Cancel,
    scopes: &mut Scopes,
) -> Result<Written, CommandError> {
    let manifest = ManifestFile::open(&job.path)?;
    manifest.check_sections()?;
    check_numbers(&job.path, &manifest)?;
    let origin = Origin {
        run: args.run.clone(),
        pair: job.pair.clone(),
        cluster: args.cluster.clone(),
        identity: manifest.identity().clone(),
    };
    let partition = partition(origin.identity.created_ms, args.cluster.as_deref());
    let name = file_name(&manifest, &origin);
    let place = |table: &str| args.output.join(table).join(&partition);
    let (files_at, directories_at) = (place(FILES.name), place(DIRECTORIES.name));
    let (mut files, mut directories) = (begin(&files_at, &name)?, begin(&directories_at, &name)?);
    let written = rows(&manifest, &origin, [&mut files, &mut directories], cancel)?;
    files.finish().map_err(|error| writing(&files_at, error))?;
    directories.finish().map_err(|error| writing(&directories_at, error))?;
    scopes.note(&job.path, &origin.identity);
    Ok(written)
}

/// Writes the rows of both tables.
fn rows(
    manifest: &ManifestFile,
    origin: &Origin,
    [files, directories]: [&mut Whole; 2],
    cancel: &Cancel,
) -> Result<Written, CommandError> {
    let mut tables =
        Tables { files: table(files, &FILES, origin)?, directories: table(directories, &DIRECTORIES, origin)?, cancel };
    for (root, table) in manifest.tables() {
        tables.root(manifest, root, table)?;
    }
    let Tables { files, directories, .. } = tables;
    Ok(Written {
        files: files.finish().map_err(|error| of_table(FILES.name, error))?,
        directories: directories.finish().map_err(|error| of_table(DIRECTORIES.name, error))?,
    })
}

fn of_table(table: &str, error: TableError) -> CommandError {
    CommandError::Failed(format!("the table {table}: {error}"))
}

/// Refuses numbers that a column cannot hold; no disk has so much.
fn check_numbers(path: &Path, manifest: &ManifestFile) -> Result<(), CommandError> {
    let totals = manifest.totals();
    let fits = i64::try_from(totals.bytes.max(totals.files)).is_ok();
    let fits = fits && manifest.tables().iter().all(|(root, _)| i32::try_from(root.index).is_ok());
    match fits {
        true => Ok(()),
        false => {
            Err(CommandError::Failed(format!("{}: its sizes or indices are beyond what a table holds", path.display())))
        }
    }
}

fn writing(place: &Path, error: impl std::fmt::Display) -> CommandError {
    CommandError::Failed(format!("{}: {error}", place.display()))
}

fn begin(directory: &Path, name: &str) -> Result<Whole, CommandError> {
    let begun = make_directories(directory).and_then(|()| Whole::begin_shared(directory, name));
    begun.map_err(|error| writing(directory, error))
}

/// A table in a file.
type InFile<'a, R> = Table<'a, BufWriter<&'a mut File>, R>;

fn table<'a, R>(
    whole: &'a mut Whole,
    schema: &'static TableSchema<R>,
    origin: &'a Origin,
) -> Result<InFile<'a, R>, CommandError> {
    let out = BufWriter::with_capacity(1 << 20, whole.file());
    Table::begin(schema, origin, out).map_err(|error| of_table(schema.name, error))
}

/// Both tables of a manifest while they are written.
struct Tables<'a> {
    files: InFile<'a, FileRow>,
    directories: InFile<'a, DirectoryRow>,
    cancel: &'a Cancel,
}

impl Tables<'_> {
    fn root(
        &mut self,
        manifest: &ManifestFile,
        root: RootId,
        table: Option<&DirectoryTable>,
    ) -> Result<(), CommandError> {
        let Some(table) = table else {
            let directory = DirectoryFacts { root, path: RelPath::root() };
            return self.directory(DirectoryRow {
                directory,
                metadata: SubtreeHash::Unproven,
                content: SubtreeHash::Unproven,
                files: 0,
                bytes: 0,
                link: false,
                state: DirectoryState::Absent,
            });
        };
        // Directories are left and come back to, so what their files share is looked for.
        let mut open: Vec<(DirectoryIndex, Arc<DirectoryFacts>)> = Vec::new();
        let mut read = |index| manifest.open_directory(root, index).map_err(CommandError::from);
        by_key(table, &mut read, &mut |entry| match entry {
            ByKey::Directory(index) => {
                let parent = table.get(index).parent;
                while open.last().is_some_and(|(above, _)| *above != parent || index == DirectoryIndex::ROOT) {
                    open.pop();
                }
                let path = table.path(index);
                open.push((index, Arc::new(DirectoryFacts { root, path: path.clone() })));
                self.cancel.check().map_err(|_| CommandError::Cancelled)?;
                self.directory(row(manifest, root, table, index, path))
            }
            ByKey::File(index, file) => {
                while open.last().is_some_and(|(above, _)| *above != index) {
                    open.pop();
                }
                let Some((_, directory)) = open.last() else { return Ok(()) };
                let problem = file.problem().map_or(0, |problem| problem.detail.len());
                let bytes = file.name.as_bytes().len() + problem;
                let pushed = self.files.push(FileRow { directory: Arc::clone(directory), file }, bytes);
                pushed.map_err(|error| of_table(FILES.name, error))
            }
        })
    }

    fn directory(&mut self, row: DirectoryRow) -> Result<(), CommandError> {
        let bytes = row.directory.path.as_bytes().len();
        let pushed = self.directories.push(row, bytes);
        pushed.map_err(|error| of_table(DIRECTORIES.name, error))
    }
}

fn row(
    manifest: &ManifestFile,
    root: RootId,
    table: &DirectoryTable,
    index: DirectoryIndex,
    path: RelPath,
) -> DirectoryRow {
    let directory = table.get(index);
    let changed = manifest.unsteady(root);
    let changed = changed.binary_search_by_key(&index, |(index, _)| *index).ok().map(|at| &changed[at].1);
    DirectoryRow {
        directory: DirectoryFacts { root, path },
        metadata: directory.metadata,
        content: manifest.contents(root).get(index.at()).copied().unwrap_or(SubtreeHash::Unproven),
        files: directory.files,
        bytes: directory.bytes,
        link: directory.link,
        state: state(directory.unlisted.as_ref(), changed, index),
    }
}

/// What is known of a directory as such.
fn state(unlisted: Option<&Problem>, changed: Option<&Problem>, index: DirectoryIndex) -> DirectoryState {
    let why = |problem: &Problem| format!("{}: {}", problem.reason, problem.detail);
    match (unlisted, changed) {
        (Some(problem), _) if problem.reason == Reason::Vanished && index == DirectoryIndex::ROOT => {
            DirectoryState::Nowhere(why(problem))
        }
        (Some(problem), _) => DirectoryState::Unlisted(why(problem)),
        (None, Some(problem)) => DirectoryState::Changed(why(problem)),
        (None, None) => DirectoryState::Listed,
    }
}
