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
use super::read::{digest_open_file, hash_open_file};
use crate::model::{Blake3Digest, ContentDigest, DigestAlgorithm, Name, Problem, Reason};

/// How often a file that changes under the read is read before it is given up on.
const ATTEMPTS: usize = 3;

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

/// The same with one digest other than BLAKE3, as the per-file protocol compares them.
pub fn digest_file(
    directory: BorrowedFd<'_>,
    name: &Name,
    expected: Expected,
    algorithm: DigestAlgorithm,
    context: &Context,
) -> Result<ContentDigest, ReadError> {
    let read = |file: &File, size| digest_open_file(file, size, algorithm, context);
    steadily(Some(expected), context, opener(directory, name, context), read).map(|(digest, _)| digest)
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
        && let Some(read) = since_the_walk(size, seen, context, &open, &read)
    {
        return read;
    }
    let mut longer = false;
    for _ in 0..ATTEMPTS {
        let file = open().map_err(io_problem)?;
        let before = look(&file)?;
        if !before.is_regular() {
            return Err(problem(Reason::NotARegularFile, "it is no longer a regular file"));
        }
        if expected.is_some_and(|expected| !expected.fits(&before)) {
            return Err(problem(Reason::ChangedWhileReading, "its size or time changed after it was listed"));
        }
        match read(&file, before.size()) {
            Ok(value) if look(&file)? == before => return Ok((value, before)),
            Ok(_) => {
                context.progress.take_back(before.size());
                longer = false;
            }
            Err(ReadFailure::Short) => longer = false,
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

/// Reads a file that did not change since the walk looked at it, which spares a look of its own before the read. `None`
/// where anything is not as it was: what that is, the ordinary way finds out.
fn since_the_walk<T>(
    size: u64,
    seen: Look,
    context: &Context,
    open: &impl Fn() -> io::Result<File>,
    read: &impl Fn(&File, u64) -> Result<T, ReadFailure>,
) -> Option<Result<(T, FileIdentity), ReadError>> {
    let file = open().ok()?;
    match read(&file, size) {
        Ok(value) => {
            let after = look(&file).ok().filter(|after| after.is_regular() && after.look() == seen);
            if after.is_none() {
                context.progress.take_back(size);
            }
            after.map(|after| Ok((value, after)))
        }
        Err(ReadFailure::Cancelled) => Some(Err(ReadError::Cancelled)),
        Err(ReadFailure::Short | ReadFailure::Longer | ReadFailure::Io(_)) => None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::fs;
    use std::path::Path;

    fn expected(path: &Path) -> Option<Expected> {
        let identity = FileIdentity::of(&rustix::fs::stat(path).unwrap());
        Some(Expected { size: identity.size(), modified_ms: identity.modified_ms()?, look: None })
    }

    fn reason(result: Result<((), FileIdentity), ReadError>) -> Reason {
        match result {
            Err(ReadError::Problem(problem)) => problem.reason,
            other => panic!("{other:?}"),
        }
    }

    /// The bytes are the same again after each read, and so are size and time: only the change time tells.
    #[test]
    fn a_file_that_is_written_during_every_read_is_not_steady() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"one").unwrap();
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        let reads = Cell::new(0);
        let write_during_read = |_: &File, _: u64| {
            reads.set(reads.get() + 1);
            std::thread::sleep(std::time::Duration::from_millis(20));
            fs::write(&path, b"two").unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
            Ok(())
        };
        let result = steadily(expected(&path), &Context::default(), || File::open(&path), write_during_read);
        assert_eq!(reason(result), Reason::ChangedWhileReading);
        assert_eq!(reads.get(), ATTEMPTS);
    }

    /// To open a pipe for reading waits for somebody who writes, unless one says not to wait.
    #[test]
    fn a_pipe_that_took_the_place_of_a_file_does_not_hang_the_scan() {
        use std::os::fd::AsFd as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"one").unwrap();
        let seen = expected(&path).unwrap();
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let (open, name) = (File::open(dir.path()).unwrap(), Name::new(b"f").unwrap());
        let read = digest_file(open.as_fd(), &name, seen, DigestAlgorithm::Md5, &Context::default());
        assert!(matches!(read, Err(ReadError::Problem(problem)) if problem.reason == Reason::NotARegularFile));
    }

    #[test]
    fn a_file_that_settles_down_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"one").unwrap();
        let reads = Cell::new(0);
        let short_once = |_: &File, _: u64| {
            reads.set(reads.get() + 1);
            if reads.get() == 1 { Err(ReadFailure::Short) } else { Ok(()) }
        };
        assert!(steadily(expected(&path), &Context::default(), || File::open(&path), short_once).is_ok());
        assert_eq!(reads.get(), 2);
    }

    #[test]
    fn a_file_that_is_not_what_the_walk_saw_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"one").unwrap();
        let seen = expected(&path);
        fs::write(&path, b"longer").unwrap();
        let result = steadily(seen, &Context::default(), || File::open(&path), |_, _| panic!("must not be read"));
        assert_eq!(reason(result), Reason::ChangedWhileReading);
        fs::remove_file(&path).unwrap();
        assert_eq!(reason(steadily(seen, &Context::default(), || File::open(&path), |_, _| Ok(()))), Reason::Vanished);
    }

    /// The walk's look is as good as one before the read; one that no longer holds costs a second read and proves nothing.
    #[test]
    fn the_look_of_the_walk_stands_for_the_first_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"one").unwrap();
        let seen = FileIdentity::of(&rustix::fs::stat(&path).unwrap());
        let expected = expected(&path).map(|expected| Expected { look: Some(seen.look()), ..expected });
        let reads = Cell::new(0);
        let count = |_: &File, _: u64| {
            reads.set(reads.get() + 1);
            Ok(())
        };
        assert_eq!(steadily(expected, &Context::default(), || File::open(&path), count), Ok(((), seen)));
        assert_eq!(reads.get(), 1);
        // Other bytes; size and modification time are the same again.
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(&path, b"two").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        let (_, now) = steadily(expected, &Context::default(), || File::open(&path), count).unwrap();
        assert_ne!(now, seen);
        assert_eq!(reads.get(), 3);
        // Written under the read that trusts the walk: read again, and then refused as not what was listed.
        let grow = |file: &File, size: u64| {
            fs::write(&path, b"longer").unwrap();
            count(file, size)
        };
        let result = steadily(
            expected.map(|e| Expected { look: Some(now.look()), ..e }),
            &Context::default(),
            || File::open(&path),
            grow,
        );
        assert_eq!(reason(result), Reason::ChangedWhileReading);
    }

    #[test]
    fn a_failing_disk_makes_the_file_unreadable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"one").unwrap();
        let fail = |_: &File, _: u64| Err(ReadFailure::Io(io::Error::from_raw_os_error(5)));
        assert_eq!(
            reason(steadily(expected(&path), &Context::default(), || File::open(&path), fail)),
            Reason::Unreadable
        );
    }
}
