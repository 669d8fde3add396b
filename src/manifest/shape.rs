//! The shape of a table of directories: checked in one pass, summed up in another. Pure.

use super::directory::{Directory, DirectoryIndex, MAX_DIRECTORIES, Totals};
use super::table_error::TableError;
use crate::model::{FileEntry, MAX_PATH_BYTES, Name, PathError};

/// One pass with the stack of directories that are still open: whatever is not on it cannot be a parent.
pub(super) fn check_shape(directories: &[Directory]) -> Result<(), TableError> {
    if directories.is_empty() {
        return Err(TableError::Empty);
    }
    if directories.len() > MAX_DIRECTORIES {
        return Err(TableError::TooMany(directories.len()));
    }
    struct Open<'a> {
        index: u32,
        path_bytes: usize,
        last_child: Option<&'a Name>,
    }
    let mut open: Vec<Open<'_>> = Vec::new();
    for (index, directory) in (0..).zip(directories) {
        match (&directory.name, index) {
            (None, 0) if directory.parent == DirectoryIndex::ROOT && !directory.link => {
                open.push(Open { index, path_bytes: 0, last_child: None });
            }
            (Some(name), 1..) => {
                while open.last().is_some_and(|top| top.index != directory.parent.0) {
                    open.pop();
                }
                let parent = open.last_mut().ok_or(TableError::Parent(index))?;
                if parent.last_child.is_some_and(|elder| elder >= name) {
                    return Err(TableError::Order(index));
                }
                parent.last_child = Some(name);
                let path_bytes = parent.path_bytes + usize::from(parent.path_bytes > 0) + name.as_bytes().len();
                if path_bytes > MAX_PATH_BYTES {
                    return Err(TableError::Path(index, PathError::PathTooLong));
                }
                let parent = &directories[parent.index as usize];
                if parent.link || parent.unlisted.is_some() {
                    return Err(TableError::NotEntered(directory.parent.0));
                }
                open.push(Open { index, path_bytes, last_child: None });
            }
            _ => return Err(TableError::Root(index)),
        }
        if directory.files > 0 && (directory.link || directory.unlisted.is_some()) {
            return Err(TableError::NotEntered(index));
        }
        if directory.files == 0 && directory.bytes > 0 {
            return Err(TableError::Bytes(index));
        }
        if directory.link && directory.unlisted.is_some() {
            return Err(TableError::Link(index));
        }
    }
    Ok(())
}

/// The bytes of a directory's files; `None` where they do not fit 64 bits: no directory has that.
pub(super) fn sum_of_sizes(files: &[FileEntry]) -> Option<u64> {
    files.iter().map(FileEntry::size).try_fold(0, u64::checked_add)
}

/// Backwards, every directory is complete before it is added to its parent.
pub(super) fn sums(directories: &[Directory]) -> Result<(Vec<u32>, Vec<Totals>), TableError> {
    let mut ends: Vec<u32> = (1..=directories.len() as u32).collect();
    let mut totals = vec![Totals::default(); directories.len()];
    for (at, directory) in directories.iter().enumerate().rev() {
        let overflow = || TableError::Overflow(at as u32);
        let own = &mut totals[at];
        own.files = own.files.checked_add(directory.files).ok_or_else(overflow)?;
        own.bytes = own.bytes.checked_add(directory.bytes).ok_or_else(overflow)?;
        let own = *own;
        if at == 0 {
            break;
        }
        let parent = directory.parent.at();
        ends[parent] = ends[parent].max(ends[at]);
        let sum = &mut totals[parent];
        sum.files = sum.files.checked_add(own.files).ok_or_else(overflow)?;
        sum.bytes = sum.bytes.checked_add(own.bytes).ok_or_else(overflow)?;
        sum.directories += own.directories + 1;
    }
    Ok((ends, totals))
}
