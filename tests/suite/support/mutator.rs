//! A tree that never stands still, and of which one thing is known all the while: it is not equal to its twin.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::disk::{Time, set_time};
use super::random::Random;

const TIME: Time = Time { seconds: 1_700_000_000, nanoseconds: 0 };

/// The directories of a tree. All exist on both sides at the begin.
const DIRECTORIES: [&str; 6] = ["a", "b", "c/d", "c/e", "f/g/h", "x"];

/// The ways in which the file that makes the difference moves. At every moment it stands somewhere in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// From one directory to another; the twin has no such file.
    Rename,
    /// Within one directory that takes several reads to list; the twin has no such file.
    NewNames,
    /// The directory it stands in moves; the twin has no such directory.
    Directory,
    /// It changes places with a file of the same size and time; the twin has that one's bytes under both names.
    Exchange,
    /// The directory it stands in changes places with one that is as the twin's.
    ExchangeDirectories,
    /// The root changes places with another one, which holds it in another place.
    ExchangeRoots,
}

pub const MOTIONS: [Motion; 6] = [
    Motion::Rename,
    Motion::NewNames,
    Motion::Directory,
    Motion::Exchange,
    Motion::ExchangeDirectories,
    Motion::ExchangeRoots,
];

/// Two trees, one of which is to be set in motion.
pub struct Twins {
    pub moving: PathBuf,
    pub still: PathBuf,
    motion: Motion,
    at: Arc<Mutex<Position>>,
}

impl Twins {
    /// Makes both trees; the directories named must not exist yet.
    pub fn new(moving: PathBuf, still: PathBuf, motion: Motion) -> Self {
        let at = Position { odd: "a/odd-0".to_owned(), directory: "a/odd".to_owned() };
        let twins = Self { moving, still, motion, at: Arc::new(Mutex::new(at)) };
        twins.make(&twins.moving);
        twins.make(&twins.still);
        let other = twins.other_root();
        let odd = |path: PathBuf| file(&path, b"OTHER");
        match motion {
            Motion::Rename | Motion::NewNames => odd(twins.moving.join("a/odd-0")),
            Motion::Directory => odd(twins.moving.join("a/odd/deep/file")),
            Motion::Exchange => odd(twins.moving.join("a/one")),
            Motion::ExchangeDirectories => odd(twins.moving.join("a/one")),
            Motion::ExchangeRoots => {
                twins.make(&other);
                odd(twins.moving.join("a/one"));
                odd(other.join("x/one"));
            }
        }
        twins
    }

    fn make(&self, root: &Path) {
        for directory in DIRECTORIES {
            for name in ["one", "two"] {
                file(&root.join(directory).join(name), b"bytes");
            }
        }
        if self.motion == Motion::NewNames {
            for number in 0..400 {
                file(&root.join(format!("a/{number:0100}")), b"bytes");
            }
        }
    }

    fn other_root(&self) -> PathBuf {
        self.moving.with_file_name("other-root")
    }

    /// Sets the tree in motion until what is returned is dropped; it goes on from where it stopped the last time.
    pub fn start(&self, seed: u64) -> Moving {
        let stop = Arc::new(AtomicBool::new(false));
        let moves = Arc::new(AtomicU64::new(0));
        let (root, other, motion) = (self.moving.clone(), self.other_root(), self.motion);
        let (stopped, counted, at) = (Arc::clone(&stop), Arc::clone(&moves), Arc::clone(&self.at));
        let thread = std::thread::spawn(move || {
            let mut random = Random::new(seed);
            // From nearly always to a few times in a scan.
            let pause = *random.pick(&[0, 20, 200, 1_000, 5_000, 20_000]);
            let mut at = at.lock().unwrap();
            while !stopped.load(SeqCst) {
                at.move_on(&root, &other, motion, &mut random);
                noise(&root, &mut random);
                counted.fetch_add(1, SeqCst);
                std::thread::sleep(Duration::from_micros(random.below(pause + 1) as u64));
            }
        });
        Moving { stop, moves, thread: Some(thread) }
    }
}

/// Where the odd file is by now.
struct Position {
    odd: String,
    directory: String,
}

impl Position {
    fn move_on(&mut self, root: &Path, other: &Path, motion: Motion, random: &mut Random) {
        let exchange = |a: &Path, b: &Path| renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).unwrap();
        match motion {
            Motion::Rename => {
                let to = format!("{}/odd-{}", random.pick(&DIRECTORIES), random.below(3));
                fs::rename(root.join(&self.odd), root.join(&to)).unwrap();
                self.odd = to;
            }
            Motion::NewNames => {
                // Names are hashed by the file system, so each stands elsewhere in the listing.
                let to = format!("a/odd-{}", random.below(1_000));
                fs::rename(root.join(&self.odd), root.join(&to)).unwrap();
                self.odd = to;
            }
            Motion::Directory => {
                let to = format!("{}/odd{}", random.pick(&DIRECTORIES), random.below(2));
                if to != self.directory {
                    fs::rename(root.join(&self.directory), root.join(&to)).unwrap();
                    self.directory = to;
                }
            }
            Motion::Exchange => {
                let names = ["a/one", "c/d/one"];
                exchange(&root.join(names[0]), &root.join(names[1]));
            }
            Motion::ExchangeDirectories => exchange(&root.join("a"), &root.join("c/e")),
            Motion::ExchangeRoots => exchange(root, other),
        }
    }
}

/// What changes a directory and nothing that is compared.
fn noise(root: &Path, random: &mut Random) {
    let directory = root.join(random.pick(&DIRECTORIES));
    match random.below(8) {
        0 => {
            let passing = directory.join("passing");
            let _ = fs::write(&passing, "x");
            let _ = fs::remove_file(&passing);
        }
        1 => drop(fs::set_permissions(&directory, Permissions::from_mode(0o755))),
        _ => {}
    }
}

/// A tree in motion.
pub struct Moving {
    stop: Arc<AtomicBool>,
    moves: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Moving {
    /// How often it moved.
    pub fn moves(&self) -> u64 {
        self.moves.load(SeqCst)
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "the mutator failed");
    }
}

fn file(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    set_time(path, TIME);
}
