//! What a source sends, by the memory it takes here, before it is kept. Pure.

use crate::manifest::{Directory, DirectoryIndex, SubtreeHash, Totals};
use crate::model::{Content, FileEntry, Listed, Name, Problem, RelPath, RootId};
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
    let problem = match &file.listed {
        Listed::Unlistable(problem) | Listed::File { content: Content::Unverified(problem), .. } => Some(problem),
        Listed::File { .. } => None,
    };
    size_of::<FileEntry>() * GROWN + of_name(&file.name) + of_problem(problem)
}

/// A directory of a listing: its path stands here several times until the table is made.
pub(super) fn of_listed(directory: &WalkedDirectory) -> usize {
    let path = directory.path.as_bytes().len() + PIECE;
    (size_of::<WalkedDirectory>() + size_of::<Directory>()) * GROWN + 4 * path + of_problem(directory.unlisted.as_ref())
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
