//! Random small trees and random edits of them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use rustix::fs::{AtFlags, CWD, FileType, Timespec, Timestamps, mknodat, utimensat};

/// The entries of a directory by name.
pub type Nodes = BTreeMap<&'static [u8], Node>;

/// What stands at a name.
#[derive(Debug, Clone)]
pub enum Node {
    Directory(Nodes),
    /// Bytes, and the modification time in microseconds since the epoch.
    File(Vec<u8>, i64),
    Pipe,
    DanglingLink,
    LinkToDirectory,
}

/// What becomes of one entry.
#[derive(Debug, Clone)]
pub enum Edit {
    Remove,
    Replace(Node),
    /// Inverts a file's last byte; does nothing to anything else.
    Flip,
}

/// Names whose order as bytes is not that of their paths, and one that is not UTF-8.
const NAMES: [&[u8]; 5] = [b"a", b"a-b", b"b", b"c", b"\xff"];

/// Times of which some are the same millisecond, before the epoch too.
const TIMES_US: [i64; 6] = [1_000_000, 1_000_400, 1_001_000, -900, -1_500, -1_600];

fn leaf() -> impl Strategy<Value = Node> {
    prop_oneof![
        8 => (prop::collection::vec(0_u8..2, 0..3), select(&TIMES_US[..])).prop_map(|(bytes, time)| Node::File(bytes, time)),
        1 => Just(Node::Pipe),
        1 => Just(Node::DanglingLink),
        1 => Just(Node::LinkToDirectory),
    ]
}

fn node() -> impl Strategy<Value = Node> {
    leaf().prop_recursive(3, 24, 4, |inner| nodes_of(inner).prop_map(Node::Directory))
}

fn nodes_of(node: impl Strategy<Value = Node>) -> impl Strategy<Value = Nodes> {
    prop::collection::btree_map(select(&NAMES[..]), node, 0..5)
}

/// A tree.
pub fn nodes() -> impl Strategy<Value = Nodes> {
    nodes_of(node())
}

/// Edits, each with the way down to the entry it is done to.
pub fn edits() -> impl Strategy<Value = Vec<(Vec<Index>, Edit)>> {
    let edit = prop_oneof![1 => Just(Edit::Remove), 2 => node().prop_map(Edit::Replace), 2 => Just(Edit::Flip)];
    prop::collection::vec((prop::collection::vec(any::<Index>(), 1..4), edit), 0..4)
}

/// Does an edit at the end of the way, or where the way meets no further directory with entries.
pub fn apply(nodes: &mut Nodes, way: &[Index], edit: &Edit) {
    let Some((first, rest)) = way.split_first() else { return };
    if nodes.is_empty() {
        return;
    }
    let name = *first.get(&nodes.keys().copied().collect::<Vec<_>>());
    match (nodes.get_mut(name), edit) {
        (Some(Node::Directory(inner)), _) if !rest.is_empty() && !inner.is_empty() => apply(inner, rest, edit),
        (_, Edit::Remove) => drop(nodes.remove(name)),
        (_, Edit::Replace(node)) => drop(nodes.insert(name, node.clone())),
        (Some(Node::File(bytes, _)), Edit::Flip) => {
            if let Some(last) = bytes.last_mut() {
                *last = !*last;
            }
        }
        (_, Edit::Flip) => {}
    }
}

/// Makes the tree in a new directory.
pub fn grow(nodes: &Nodes, home: &Path) {
    fs::create_dir(home).unwrap();
    for (name, node) in nodes {
        let path = home.join(OsStr::from_bytes(name));
        match node {
            Node::Directory(inner) => grow(inner, &path),
            Node::File(bytes, time) => {
                fs::write(&path, bytes).unwrap();
                let distance = Duration::from_micros(time.unsigned_abs());
                let epoch = SystemTime::UNIX_EPOCH;
                let time = if *time < 0 { epoch - distance } else { epoch + distance };
                File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
            }
            Node::Pipe => {
                mknodat(CWD, &path, FileType::Fifo, 0o600.into(), 0).unwrap();
                let time = Timespec { tv_sec: 1, tv_nsec: 0 };
                let times = Timestamps { last_access: time, last_modification: time };
                utimensat(CWD, &path, &times, AtFlags::empty()).unwrap();
            }
            Node::DanglingLink => symlink("nothing", &path).unwrap(),
            Node::LinkToDirectory => symlink(".", &path).unwrap(),
        }
    }
}
