//! Reading a file between two looks at its identity, so that a digest is that of one state of the file.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Mode, OFlags, fstat, openat, statat};

use super::blocks::ReadFailure;
use super::cancel::Cancelled;
use super::context::Context;
use super::digests::FileDigests;
use super::identity::{FileIdentity, Look};
use super::read::hash_open_file;
use crate::model::{Blake3Digest, DigestAlgorithm, Name, Problem, Reason};

/// How often a file that changes under the read is read before it is given up on.
pub(super) const ATTEMPTS: usize = 3;

/// What the walk saw, and the digest must belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Bytes.
    pub size: u64,
    /// Milliseconds since the epoch.
    pub modified_ms: i64,
    /// The walk's whole look at the file, where it was kept: it then is the first of the two looks around the read.
    pub look: Option<Look>,
}

impl Expected {
    /// Whether the walk would see this file as it did.
    pub(super) fn fits(&self, identity: &FileIdentity) -> bool {
        identity.size() == self.size && identity.modified_ms() == Some(self.modified_ms)
    }
}

/// Why there is no digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// The file could not be read steadily.
    Problem(Problem),
    /// The scan was cancelled.
    Cancelled,
}

impl From<Cancelled> for ReadError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

/// Hashes the file `name` in the open directory, following a symbolic link as the listing did.
///
/// The digest is that of the file the walk described: a file whose size or time is no longer `expected` is
/// [`Reason::ChangedWhileReading`], whatever its bytes are now.
/// With it comes the identity that the file had before and after the read.
pub(super) fn hash_identified(
    directory: BorrowedFd<'_>,
    name: &Name,
    expected: Expected,
    also: &[DigestAlgorithm],
    context: &Context,
) -> Result<(FileDigests, FileIdentity), ReadError> {
    let read = |file: &File, size| hash_open_file(file, size, also, context);
    steadily(Some(expected), context, opener(directory, name, context), read)
}

/// The BLAKE3 of the file `name`, whatever was recorded of it; `None` where it is no longer the file of the expected look. The file
/// was counted as hashed before.
pub fn digest_again(
    directory: BorrowedFd<'_>,
    name: &Name,
    expected: Expected,
    context: &Context,
) -> Result<Option<Blake3Digest>, ReadError> {
    let (digests, identity) = hash_identified(directory, name, expected, &[], context)?;
    context.progress.take_back(identity.size());
    Ok((Some(identity.look()) == expected.look).then_some(digests.blake3))
}

/// Whether a further name still leads to the file of exactly the `listed` look, and so to bytes that were read under another name of
/// the same look. It then counts as known by that.
pub fn is_further_name(directory: BorrowedFd<'_>, name: &Name, listed: Look, context: &Context) -> bool {
    let now = look_at(directory, name).filter(|identity| identity.is_regular() && identity.look() == listed);
    now.iter().for_each(|identity| context.progress.linked(identity.size()));
    now.is_some()
}

/// Opens the file of this name for reading, following a symbolic link as the listing did, and counts that.
pub(super) fn opener<'a>(
    directory: BorrowedFd<'a>,
    name: &'a Name,
    context: &'a Context,
) -> impl Fn() -> io::Result<File> + 'a {
    move || {
        context.progress.opened();
        // NONBLOCK: a pipe that took the file's place since the walk must not hang the scan.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        Ok(openat(directory, name.as_bytes(), flags, Mode::empty()).map(File::from)?)
    }
}

/// The rule itself, apart from what is opened and how it is read. Without `expected` any regular file will do. Bytes of a read that
/// counts for nothing are not counted as hashed.
pub(super) fn steadily<T>(
    expected: Option<Expected>,
    context: &Context,
    open: impl Fn() -> io::Result<File>,
    read: impl Fn(&File, u64) -> Result<T, ReadFailure>,
) -> Result<(T, FileIdentity), ReadError> {
    if let Some(Expected { size, look: Some(seen), .. }) = expected
        && let Ok(file) = open()
    {
        match since_the_walk(&file, (size, seen), context, &read) {
            Since::Unchanged(value, identity) => return Ok((value, identity)),
            Since::Cancelled => return Err(ReadError::Cancelled),
            Since::Otherwise | Since::WouldWait => {}
        }
    }
    between_looks(|identity| expected.is_none_or(|expected| expected.fits(identity)), context, open, read)
}

/// Reads a file that `fits` between two looks that are the same, which is tried a few times.
pub(super) fn between_looks<T>(
    fits: impl Fn(&FileIdentity) -> bool,
    context: &Context,
    open: impl Fn() -> io::Result<File>,
    read: impl Fn(&File, u64) -> Result<T, ReadFailure>,
) -> Result<(T, FileIdentity), ReadError> {
    let mut longer = false;
    for _ in 0..ATTEMPTS {
        let file = open().map_err(io_problem)?;
        let before = look(&file)?;
        if !before.is_regular() {
            return Err(problem(Reason::NotARegularFile, "it is no longer a regular file"));
        }
        if !fits(&before) {
            return Err(problem(
                Reason::ChangedWhileReading,
                "it changed, or became another file, after it was listed",
            ));
        }
        match read(&file, before.size()) {
            Ok(value) if look(&file)? == before => return Ok((value, before)),
            Ok(_) => {
                context.progress.take_back(before.size());
                longer = false;
            }
            // No read at this pace ends so.
            Err(ReadFailure::Short | ReadFailure::WouldWait) => longer = false,
            Err(ReadFailure::Longer) => longer = true,
            Err(ReadFailure::Io(error)) => return Err(io_problem(error)),
            Err(ReadFailure::Cancelled) => return Err(ReadError::Cancelled),
        }
    }
    Err(match longer {
        true => problem(Reason::Unreadable, "it has more bytes than its size says"),
        false => problem(Reason::ChangedWhileReading, format!("it changed during each of {ATTEMPTS} reads")),
    })
}

/// What came of reading a file that the walk had looked at.
pub(super) enum Since<T> {
    /// It did not change since.
    Unchanged(T, FileIdentity),
    /// Anything is not as it was: what that is, the ordinary way finds out.
    Otherwise,
    /// Nothing was read: it would wait for a disk.
    WouldWait,
    /// The scan was cancelled.
    Cancelled,
}

/// Reads a file of the size and the look that the walk `saw`, which spares a look of its own before the read.
pub(super) fn since_the_walk<T>(
    file: &File,
    (size, seen): (u64, Look),
    context: &Context,
    read: impl FnOnce(&File, u64) -> Result<T, ReadFailure>,
) -> Since<T> {
    match read(file, size) {
        Ok(value) => match look(file).ok().filter(|after| after.is_regular() && after.look() == seen) {
            Some(after) => Since::Unchanged(value, after),
            None => {
                context.progress.take_back(size);
                Since::Otherwise
            }
        },
        Err(ReadFailure::WouldWait) => Since::WouldWait,
        Err(ReadFailure::Cancelled) => Since::Cancelled,
        Err(ReadFailure::Short | ReadFailure::Longer | ReadFailure::Io(_)) => Since::Otherwise,
    }
}

/// The file of this name as it is now, following a symbolic link as the listing did.
pub(super) fn look_at(directory: BorrowedFd<'_>, name: &Name) -> Option<FileIdentity> {
    statat(directory, name.as_bytes(), AtFlags::empty()).ok().map(|stat| FileIdentity::of(&stat))
}

fn look(file: &File) -> Result<FileIdentity, ReadError> {
    fstat(file).map(|stat| FileIdentity::of(&stat)).map_err(|errno| io_problem(errno.into()))
}

fn problem(reason: Reason, detail: impl Into<String>) -> ReadError {
    ReadError::Problem(Problem::new(reason, detail))
}

fn io_problem(error: io::Error) -> ReadError {
    ReadError::Problem(problem_of(&error))
}

/// A file that is gone has vanished; every other error makes it unreadable.
pub fn problem_of(error: &io::Error) -> Problem {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => Reason::Vanished,
        _ => Reason::Unreadable,
    };
    Problem::new(reason, error.to_string())
}
