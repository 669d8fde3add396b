//! The entries of one directory: their names, and what stands behind each.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, statat};
use rustix::io::Errno;

use super::identity::{FileId, FileIdentity, Look, directory_ms};
use super::steady::problem_of;
use crate::model::{Content, Listed, Name, Problem, Reason};

/// All names first, then the looks: the directory is read in few calls, and its stream is closed early. Sorted already here,
/// where an entry is no more than its name.
pub(super) fn names(fd: &OwnedFd) -> Result<Vec<(Name, FileType)>, Problem> {
    let failed = |errno: Errno| problem_of(&errno.into());
    let mut names = Vec::new();
    for entry in Dir::read_from(fd).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push((Name::new(name).map_err(unrepresentable)?, entry.file_type()));
        }
    }
    names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(names)
}

/// An entry that is no directory.
pub(super) struct FoundFile {
    pub listed: Listed,
    pub look: Option<Look>,
    /// Which file it is, where it has further names.
    pub linked: Option<FileId>,
    /// A symbolic link leads to it: it can be another one while its directory stays as it is.
    pub target: bool,
}

/// What stands behind a name.
pub(super) enum Found {
    Directory,
    /// With the target's modification time.
    LinkToDirectory(i64),
    File(FoundFile),
}

/// What an entry is. A directory needs no look of its own: nothing of its metadata is compared.
pub(super) fn look(directory: BorrowedFd<'_>, name: &Name, hint: FileType) -> Found {
    if hint == FileType::Directory {
        return Found::Directory;
    }
    let stat = |flags| statat(directory, name.as_bytes(), flags);
    match stat(AtFlags::SYMLINK_NOFOLLOW) {
        // An entry that was in the directory's stream and is no longer has vanished; it is not as if it had never been.
        Err(errno) => unseen(problem_of(&errno.into())),
        Ok(own) => match FileType::from_raw_mode(own.st_mode) {
            FileType::Directory => Found::Directory,
            FileType::Symlink => match stat(AtFlags::empty()) {
                Err(errno) => unseen(link_problem(errno)),
                Ok(target) if FileType::from_raw_mode(target.st_mode) == FileType::Directory => {
                    Found::LinkToDirectory(directory_ms(&target))
                }
                Ok(target) => file(&target, true),
            },
            _ => file(&own, false),
        },
    }
}

/// What could not be looked at.
fn unseen(problem: Problem) -> Found {
    Found::File(FoundFile { listed: Listed::Unlistable(problem), look: None, linked: None, target: false })
}

fn link_problem(errno: Errno) -> Problem {
    let detail = match errno {
        Errno::NOENT => "the symbolic link points to nothing".to_owned(),
        other => format!("the symbolic link cannot be followed: {}", io::Error::from(other)),
    };
    Problem::new(Reason::Unreadable, detail)
}

fn file(stat: &rustix::fs::Stat, target: bool) -> Found {
    let content = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Content::NotRead,
        other => Content::Unverified(Problem::new(Reason::NotARegularFile, describe(other))),
    };
    let identity = FileIdentity::of(stat);
    let Some(modified_ms) = identity.modified_ms() else {
        let detail = "its modification time is beyond 64 bits of milliseconds, and cannot be compared";
        return unseen(Problem::new(Reason::Unreadable, detail));
    };
    let linked = stat.st_nlink > 1 && content == Content::NotRead;
    let listed = Listed::File { size: identity.size(), modified_ms, content };
    let linked = linked.then(|| identity.file_id());
    Found::File(FoundFile { listed, look: Some(identity.look()), linked, target })
}

/// What a thing is that is neither file nor directory, for people.
pub(super) fn describe(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "it is a named pipe",
        FileType::Socket => "it is a socket",
        FileType::CharacterDevice => "it is a character device",
        FileType::BlockDevice => "it is a block device",
        _ => "it is neither a file nor a directory",
    }
}

/// The directory holds an entry that the model has no place for, so nothing in it can be listed.
pub(super) fn unrepresentable(error: impl std::fmt::Display) -> Problem {
    Problem::new(Reason::Unreadable, format!("an entry in it cannot be named: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two such times would look the same if both were cut off at what 64 bits hold.
    #[test]
    fn a_file_whose_time_does_not_fit_64_bits_of_milliseconds_is_unlistable() {
        let mut stat = rustix::fs::fstat(tempfile::tempfile().unwrap()).unwrap();
        stat.st_mtime = i64::MAX / 1000;
        stat.st_mtime_nsec = 0;
        assert!(matches!(
            file(&stat, false),
            Found::File(FoundFile { listed: Listed::File { .. }, look: Some(_), .. })
        ));
        for seconds in [i64::MAX / 1000 + 1, i64::MAX, i64::MIN] {
            stat.st_mtime = seconds;
            assert!(
                matches!(file(&stat, false), Found::File(FoundFile { listed: Listed::Unlistable(problem), look: None, .. })
                if problem.reason == Reason::Unreadable)
            );
        }
    }
}
