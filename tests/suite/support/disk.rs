//! Trees in memory, and the same trees on disk.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Timespec, Timestamps, mknodat, utimensat};

/// The entries of a directory by their names.
pub type Entries = BTreeMap<Vec<u8>, Node>;

/// A modification time; before the epoch the seconds are negative, the nanoseconds never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    pub seconds: i64,
    pub nanoseconds: u32,
}

/// One entry.
#[derive(Clone)]
pub enum Node {
    File { bytes: Vec<u8>, time: Time, unreadable: bool },
    Pipe { time: Time },
    Link(Target),
    Directory(Entries),
}

/// Where a symbolic link points.
#[derive(Debug, Clone)]
pub enum Target {
    Relative(Vec<u8>),
    /// The absolute path of something below the directory that holds both sides.
    Absolute(Vec<u8>),
}

/// Makes a directory with these entries. Links into `base` are absolute ones.
pub fn write(entries: &Entries, directory: &Path, base: &Path) {
    fs::create_dir_all(directory).unwrap();
    for (name, node) in entries {
        let path = directory.join(OsStr::from_bytes(name));
        match node {
            Node::Directory(entries) => write(entries, &path, base),
            Node::Link(Target::Relative(target)) => symlink(OsStr::from_bytes(target), &path).unwrap(),
            Node::Link(Target::Absolute(target)) => symlink(base.join(OsStr::from_bytes(target)), &path).unwrap(),
            Node::Pipe { time } => {
                mknodat(CWD, &path, FileType::Fifo, 0o600.into(), 0).unwrap();
                set_time(&path, *time);
            }
            Node::File { bytes, time, unreadable } => {
                fs::write(&path, bytes).unwrap();
                set_time(&path, *time);
                if *unreadable {
                    fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
                }
            }
        }
    }
}

/// Sets the modification time of whatever stands at the path, without opening it.
pub fn set_time(path: &Path, time: Time) {
    let time = Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::empty()).unwrap();
}

/// Removes symbolic links that lead nowhere, until there is none: one may have led to another.
pub fn remove_broken_links(directory: &Path) {
    while remove_once(directory) {}
}

fn remove_once(directory: &Path) -> bool {
    let mut removed = false;
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            removed |= remove_once(&entry.path());
        } else if kind.is_symlink() && fs::metadata(entry.path()).is_err() {
            fs::remove_file(entry.path()).unwrap();
            removed = true;
        }
    }
    removed
}
