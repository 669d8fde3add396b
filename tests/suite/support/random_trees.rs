//! Random trees: names, times, contents and kinds of entries that have been trouble somewhere.

use super::disk::{Entries, Node, Target, Time};
use super::random::Random;

/// Names that order, escape, decode or read strangely; and those that a data directory has.
const NAMES: &[&[u8]] = &[
    b"a",
    b"a-b",
    b"a.b",
    b"a b",
    b"ab",
    b"a0",
    b"A",
    b"b",
    b"backups",
    b"nb-1-big-Data.db",
    b"nb-10-big-Data.db",
    b"nb-1-big-TOC.txt",
    b"system.log",
    b".hidden",
    b"...",
    b" ",
    b"%41",
    b"100%",
    b"a%2Fb",
    b"\"quoted\"",
    b"it's",
    b"back\\slash",
    b"tab\there",
    b"\x01\x1b[2J\x7f",
    b"?x=1&y#z",
    b"+",
    b"-rf",
    b"~",
    b"${DATA_FILE_DIR}",
    b"*",
    b"[x]",
    b"{a,b}",
    "\u{e9}".as_bytes(),
    "e\u{301}".as_bytes(),
    "\u{1f980}".as_bytes(),
    "\u{fffd}".as_bytes(),
];

/// Names with what ends a line somewhere; Java's `.` does not match these, and Python's does as the oracle uses it.
const NAMES_OF_LINES: &[&[u8]] = &[b"new\nline", b"carriage\rreturn", "\u{85}".as_bytes(), "x\u{2028}y".as_bytes()];

/// Names that are not UTF-8; not every system has them.
const STRAY_NAMES: &[&[u8]] = &[b"\xff", b"\xfe", b"\xe2\x82", b"\xed\xa0\x80", b"a\xff", b"\xc3.db"];

/// What is outside of both sides: files that symbolic links point to, and a directory.
pub const OUTSIDE: [&[u8]; 4] = [b"outside/file", b"outside/same", b"outside/other", b"outside/directory"];

/// What a tree may be made of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Palette {
    /// Files that nobody can read, and pipes.
    pub unverifiable: bool,
    /// Files that permissions forbid to read.
    pub unreadable: bool,
    /// Names with line terminators.
    pub lines: bool,
}

impl Palette {
    pub fn name(self, random: &mut Random) -> Vec<u8> {
        match random.below(20) {
            0 if self.lines => random.pick(NAMES_OF_LINES).to_vec(),
            1 | 2 if cfg!(target_os = "linux") => random.pick(STRAY_NAMES).to_vec(),
            3 => [&random.pick(NAMES)[..], &[b'x'; 200]].concat(),
            4..8 => random.pick(&NAMES[..8]).to_vec(),
            _ => random.pick(NAMES).to_vec(),
        }
    }

    pub fn file(self, random: &mut Random) -> Node {
        let length = match random.below(100) {
            0..10 => 0,
            // More than is read at a time.
            10 => 256 * 1024 + random.below(3),
            _ => 1 + random.below(60),
        };
        let unreadable = self.unverifiable && self.unreadable && random.percent(5);
        Node::File { bytes: random.bytes(length), time: time(random), unreadable }
    }

    /// The directory at `here`, a path below the directory that holds both sides; `depth` names below its root.
    pub fn directory(self, random: &mut Random, here: &[u8], depth: usize) -> Entries {
        let mut entries = Entries::new();
        let count = match random.below(20) {
            0..3 => 0,
            3 => 12 + random.below(24),
            _ => 1 + random.below(6),
        };
        for _ in 0..count {
            let name = match depth {
                2 if random.percent(15) => b"snapshots".to_vec(),
                _ => self.name(random),
            };
            let node = match random.below(100) {
                0..28 if depth < 4 => Node::Directory(self.directory(random, &[here, b"/", &name].concat(), depth + 1)),
                28..31 if self.unverifiable => Node::Pipe { time: time(random) },
                31..45 => Node::Link(link(random, &entries, here, depth)),
                _ => self.file(random),
            };
            entries.insert(name, node);
        }
        entries
    }
}

/// A link to a sibling, to a directory on the way up, or out of the root; never one that is broken, for now.
fn link(random: &mut Random, siblings: &Entries, here: &[u8], depth: usize) -> Target {
    if !siblings.is_empty() && random.percent(50) {
        let (name, _) = siblings.iter().nth(random.below(siblings.len())).unwrap();
        return match random.below(3) {
            0 => Target::Absolute([here, b"/", name].concat()),
            1 => Target::Relative([b"./", &name[..]].concat()),
            _ => Target::Relative(name.clone()),
        };
    }
    let outside = *random.pick(&OUTSIDE);
    match random.below(5) {
        0 => Target::Relative(b".".to_vec()),
        1 => Target::Relative(b"..".to_vec()),
        2 => Target::Absolute(outside.to_vec()),
        _ => Target::Relative([&b"../".repeat(depth + 2), outside].concat()),
    }
}

/// Recent, long ago, before the epoch, and around the boundaries of seconds and milliseconds.
pub fn time(random: &mut Random) -> Time {
    let seconds = match random.below(6) {
        0 => -1,
        1 => 0,
        2 => -(random.below(2_000_000_000) as i64),
        _ => 1_600_000_000 + random.below(200_000_000) as i64,
    };
    let nanoseconds = match random.below(4) {
        0 => 0,
        1 => 999_999_999,
        _ => random.below(1_000_000_000) as u32,
    };
    Time { seconds, nanoseconds }
}
