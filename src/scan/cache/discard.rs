//! Throwing away the file of a digest cache so that nothing in it is believed by anybody any more.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::store::{put_out_of_the_way, sync_directory};

/// Removes the file, or empties it where it cannot be removed. It is emptied through `written` as well, where that is open: its name
/// may be gone by now, as with a disk that is not mounted, and come back.
pub(super) fn discard(path: &Path, written: Option<&File>) -> io::Result<()> {
    let emptied = written.map_or(Ok(()), empty);
    match discard_by_name(path)? {
        true => Ok(()),
        false => emptied,
    }
}

/// False where there is nothing of that name.
fn discard_by_name(path: &Path) -> io::Result<bool> {
    let sync = || path.parent().map_or(Ok(()), sync_directory);
    match fs::remove_file(path) {
        Ok(()) => sync().map(|()| true),
        // Fails where the directory is away: what comes back with it is not known.
        Err(error) if error.kind() == io::ErrorKind::NotFound => sync().map(|()| false),
        Err(_) if path.is_file() => empty_by_name(path).map(|()| true),
        // No file at all.
        Err(_) => put_out_of_the_way(path, "damaged", jiff::Timestamp::now().as_millisecond()).map(|_| true),
    }
}

fn empty_by_name(path: &Path) -> io::Result<()> {
    match fs::metadata(path)?.len() {
        0 => Ok(()),
        _ => empty(&File::options().write(true).open(path)?),
    }
}

fn empty(file: &File) -> io::Result<()> {
    file.set_len(0)?;
    file.sync_all()
}

/// Leaves word for the next start that what stands at `path` is not to be believed. It is all that is left to do where it cannot be
/// thrown away; where even this fails, an immutable file in a directory that cannot be written, a person has to.
pub(super) fn mark(path: &Path) {
    let _ = File::create(mark_of(path)).and_then(|mark| mark.sync_all());
    let _ = path.parent().map_or(Ok(()), sync_directory);
}

/// Whether there is such a word.
pub(super) fn is_marked(path: &Path) -> bool {
    // What cannot be looked at may be one.
    !matches!(fs::symlink_metadata(mark_of(path)), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Takes it back. Where that fails, the next start throws away one cache more.
pub(super) fn unmark(path: &Path) {
    let _ = fs::remove_file(mark_of(path));
}

fn mark_of(path: &Path) -> PathBuf {
    path.with_extension("redb.discredited")
}
