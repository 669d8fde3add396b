//! What a source sends, by the memory it takes here, before it is kept. Pure.

use crate::manifest::{Directory, DirectoryIndex, Rollup, RootTables, SubtreeHash, Totals, summed_up};
use crate::model::{DifferenceKind, FileEntry, Name, Problem, RelPath, RootId, Selection};
use crate::protocol::{FileRead, FinishedDirectory, ManifestFrame, ReadOutcome};
use crate::scan::{FileDigests, WalkedDirectory};

/// What the allocator adds to a piece of memory, in bytes.
const PIECE: usize = 32;

/// A list that grows has up to twice the room it needs.
const GROWN: usize = 2;

/// The bytes of a frame that stay here once it is accepted.
pub(crate) fn of_frame(frame: &ManifestFrame) -> usize {
    match frame {
        ManifestFrame::Directories(directories) => directories.iter().map(of_directory).sum(),
        // The room for their hashes was counted with the directories.
        ManifestFrame::Content(finished) => {
            finished.iter().filter_map(|one| one.problem.as_ref()).map(of_late_problem).sum()
        }
        _ => PIECE,
    }
}

/// A directory in a table, with the room for its sums, and for the hash of its content: as it is received, as it is handed on,
/// and until it is taken.
fn of_directory(directory: &Directory) -> usize {
    let contents = 2 * size_of::<Option<SubtreeHash>>() + size_of::<FinishedDirectory>() + size_of::<bool>();
    let row = size_of::<Directory>() * GROWN + size_of::<u32>() + size_of::<Totals>() + contents;
    row + directory.name.as_ref().map_or(0, of_name) + of_problem(directory.unlisted.as_ref())
}

/// What was wrong with a directory, as it is handed on and as it is kept, with the place where it is found.
fn of_late_problem(problem: &Problem) -> usize {
    size_of::<(RootId, DirectoryIndex, Problem)>() * GROWN + 2 * of_problem(Some(problem))
}

/// What is summed up by keyspace and table: as differences are counted, as all is summed up, and as the report is written.
pub(super) fn of_sums(tables: &RootTables<'_>) -> usize {
    summed_up(tables)
        .map(|(keyspace, table)| of_sum(keyspace.as_bytes().len() + table.map_or(0, |table| table.as_bytes().len())))
        .sum()
}

/// A line of the sums, with names of so many bytes: each stands in two maps, in the list, and in its JSON, and a byte that is no text
/// takes three.
fn of_sum(names: usize) -> usize {
    let kinds = size_of::<(DifferenceKind, u64)>() * KINDS;
    4 * (3 * names + 2 * PIECE) + 2 * (kinds + size_of::<Rollup>()) * GROWN + size_of::<Rollup>() + SUM_JSON
}

/// How many kinds of differences a node of their map has room for.
const KINDS: usize = 11;

/// A line of the sums without its names as JSON, in bytes.
const SUM_JSON: usize = 300;

/// The files of an opened directory.
pub(super) fn of_files(files: &[FileEntry]) -> usize {
    files.iter().map(of_file).sum()
}

/// A file that was read a second time, as it came and as it is kept.
pub(super) fn of_read(read: &FileRead) -> usize {
    let text = match &read.outcome {
        ReadOutcome::Digests(..) => PIECE,
        ReadOutcome::Problem(problem) => of_problem(Some(problem)),
    };
    (size_of::<FileRead>() + size_of::<FileDigests>()) * GROWN + 3 * (read.name.len() + PIECE) + text
}

/// A file in a list.
pub(super) fn of_file(file: &FileEntry) -> usize {
    size_of::<FileEntry>() * GROWN + of_name(&file.name) + of_problem(file.problem())
}

/// A directory of a listing: its path stands here several times until the table is made. Keyspaces and tables are summed up.
pub(super) fn of_listed(root: RootId, directory: &WalkedDirectory) -> usize {
    let path = directory.path.as_bytes().len();
    let is_summed_up = Selection::covers(root) && matches!(directory.path.names().take(3).count(), 1 | 2);
    let sum = if is_summed_up { of_sum(path) } else { 0 };
    let row = (size_of::<WalkedDirectory>() + size_of::<Directory>()) * GROWN + 4 * (path + PIECE);
    row + of_problem(directory.unlisted.as_ref()) + sum
}

/// An entry that a source cannot vouch for.
pub(super) fn of_unverified(path: &RelPath, problem: &Problem) -> usize {
    2 * (size_of::<(RelPath, Problem)>() + path.as_bytes().len() + PIECE + of_problem(Some(problem)))
}

fn of_name(name: &Name) -> usize {
    name.as_bytes().len() + PIECE
}

/// A problem's text, if there is one.
pub(super) fn of_problem(problem: Option<&Problem>) -> usize {
    problem.map_or(0, |problem| problem.detail.len() + PIECE)
}
