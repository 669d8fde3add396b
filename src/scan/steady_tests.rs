//! What counts as a steady read, and what does not.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use super::blocks::ReadFailure;
use super::context::Context;
use super::digest_file::digest_file;
use super::identity::FileIdentity;
use super::prefetch::Begun;
use super::steady::{ATTEMPTS, Expected, ReadError, steadily};
use crate::model::{DigestAlgorithm, Name, Reason};

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
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, b"one").unwrap();
    let seen = FileIdentity::of(&rustix::fs::stat(&path).unwrap()).look();
    fs::remove_file(&path).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let (open, name) = (File::open(dir.path()).unwrap(), Name::new(b"f").unwrap());
    for size in [0, 3] {
        let read = digest_file(open.as_fd(), &name, (size, seen), DigestAlgorithm::Md5, None, &Context::default());
        let Begun::Done(Err(ReadError::Problem(problem))) = read else { panic!("a pipe was read") };
        assert_eq!(problem.reason, Reason::NotARegularFile);
    }
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
    assert_eq!(reason(steadily(expected(&path), &Context::default(), || File::open(&path), fail)), Reason::Unreadable);
}
