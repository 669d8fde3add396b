//! Random faults in trees.

use super::disk::{Entries, Node, Target, Time as Modified};
use super::random::Random;
use super::random_trees::{OUTSIDE, Palette, time};

/// What a fault does to one entry or directory of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Another time in the same millisecond, which is none to the protocol.
    SameMillisecond,
    /// Another byte; size and time stay.
    Byte,
    /// A file that permissions forbid to read.
    Unreadable,
    /// A link to another file of the same size and time.
    Retargeted,
    /// A pipe with the size and time of an empty file.
    PipeForEmptyFile,
    Removed,
    Added,
    Size,
    Time,
    FileForDirectory,
    DirectoryForFile,
    EmptyDirectory,
    Renamed,
    LinkForDirectory,
}

use Fault::*;

/// Faults that leave the metadata as it is, so that content decides.
pub const OF_CONTENT: [Fault; 5] = [SameMillisecond, Byte, Unreadable, Retargeted, PipeForEmptyFile];

/// All of them, those that change metadata more than once as often.
pub const ANY: [Fault; 14] = [
    SameMillisecond,
    Byte,
    Unreadable,
    Retargeted,
    PipeForEmptyFile,
    Removed,
    Added,
    Size,
    Time,
    FileForDirectory,
    DirectoryForFile,
    EmptyDirectory,
    Renamed,
    LinkForDirectory,
];

/// Plants a fault somewhere in the tree, where there is an entry for it.
pub fn plant(fault: Fault, tree: &mut Entries, random: &mut Random, palette: Palette) {
    let (directory, depth) = descend(tree, random, 0);
    match fault {
        Added => {
            let node = palette.file(random);
            directory.insert(palette.name(random), node);
        }
        EmptyDirectory => {
            directory.entry(palette.name(random)).or_insert(Node::Directory(Entries::new()));
        }
        Removed => {
            take(directory, random, |_| true);
        }
        Renamed => {
            if let Some((name, node)) = take(directory, random, |_| true) {
                directory.entry([&name[..], b"-x"].concat()).or_insert(node);
            }
        }
        _ => {
            let found = take(directory, random, |node| suits(fault, node));
            if let Some((name, node)) = found {
                directory.insert(name, changed(fault, node, random, depth));
            }
        }
    }
}

/// A random directory of the tree, and how many names below the root it is.
fn descend<'a>(entries: &'a mut Entries, random: &mut Random, depth: usize) -> (&'a mut Entries, usize) {
    let subdirectories = entries.values().filter(|node| matches!(node, Node::Directory(_))).count();
    if subdirectories == 0 || random.percent(30) {
        return (entries, depth);
    }
    let chosen = random.below(subdirectories);
    let mut directories = entries.values_mut().filter_map(|node| match node {
        Node::Directory(entries) => Some(entries),
        _ => None,
    });
    descend(directories.nth(chosen).unwrap(), random, depth + 1)
}

fn take(entries: &mut Entries, random: &mut Random, suits: impl Fn(&Node) -> bool) -> Option<(Vec<u8>, Node)> {
    let names: Vec<Vec<u8>> = entries.iter().filter(|(_, node)| suits(node)).map(|(name, _)| name.clone()).collect();
    if names.is_empty() {
        return None;
    }
    let name = random.pick(&names).clone();
    let node = entries.remove(&name)?;
    Some((name, node))
}

fn suits(fault: Fault, node: &Node) -> bool {
    match (fault, node) {
        (PipeForEmptyFile, Node::File { bytes, .. }) => bytes.is_empty(),
        (Byte, Node::File { bytes, .. }) => !bytes.is_empty(),
        (SameMillisecond | Time, Node::File { .. } | Node::Pipe { .. }) => true,
        (Unreadable | Size | DirectoryForFile, Node::File { .. }) => true,
        (Retargeted, Node::Link(Target::Absolute(target) | Target::Relative(target))) => {
            OUTSIDE[..3].iter().any(|file| target.ends_with(file))
        }
        (FileForDirectory | LinkForDirectory, Node::Directory(_)) => true,
        _ => false,
    }
}

fn changed(fault: Fault, node: Node, random: &mut Random, depth: usize) -> Node {
    match (fault, node) {
        (SameMillisecond, Node::File { bytes, time, unreadable }) => {
            Node::File { bytes, time: same_millisecond(time, random), unreadable }
        }
        (SameMillisecond, Node::Pipe { time }) => Node::Pipe { time: same_millisecond(time, random) },
        (Time, Node::File { bytes, time, unreadable }) => {
            Node::File { bytes, time: other_time(time, random), unreadable }
        }
        (Time, Node::Pipe { time }) => Node::Pipe { time: other_time(time, random) },
        (Byte, Node::File { mut bytes, time, unreadable }) => {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            Node::File { bytes, time, unreadable }
        }
        (Unreadable, Node::File { bytes, time, .. }) => Node::File { bytes, time, unreadable: true },
        (PipeForEmptyFile, Node::File { time, .. }) => Node::Pipe { time },
        (Size, Node::File { mut bytes, time, unreadable }) => {
            if bytes.pop().is_none() {
                bytes.push(7);
            }
            Node::File { bytes, time, unreadable }
        }
        (Retargeted, Node::Link(_)) => {
            let file = *random.pick(&OUTSIDE[..3]);
            Node::Link(Target::Relative([&b"../".repeat(depth + 2), file].concat()))
        }
        (DirectoryForFile, file) => {
            Node::Directory(if random.percent(50) { Entries::from([(b"in".to_vec(), file)]) } else { Entries::new() })
        }
        (FileForDirectory, _) => Node::File { bytes: Vec::new(), time: time(random), unreadable: false },
        (LinkForDirectory, _) => Node::Link(Target::Absolute(OUTSIDE[3].to_vec())),
        (_, node) => node,
    }
}

fn same_millisecond(time: Modified, random: &mut Random) -> Modified {
    let nanoseconds = time.nanoseconds - time.nanoseconds % 1_000_000 + random.below(1_000_000) as u32;
    Modified { nanoseconds, ..time }
}

/// By a millisecond up or down, or by seconds.
fn other_time(time: Modified, random: &mut Random) -> Modified {
    let Modified { seconds, nanoseconds } = time;
    match random.below(3) {
        0 if nanoseconds >= 1_000_000 => Modified { seconds, nanoseconds: nanoseconds - 1_000_000 },
        1 if nanoseconds < 999_000_000 => Modified { seconds, nanoseconds: nanoseconds + 1_000_000 },
        _ => Modified { seconds: seconds + 1 + random.below(90_000) as i64, nanoseconds },
    }
}
