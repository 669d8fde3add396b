//! Files that are written through memory maps, and what recorded digests are worth then. The maps are another program's, as they are
//! in life.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use twintree::model::{CacheMode, Name};
use twintree::scan::{Begun, Context, DigestCache, Expected, FileContent, FileIdentity, file_content};

use crate::support::material::missing;
use crate::support::trees::{leased_directory, settle};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A program that has mapped the first page of a file, with no descriptor of it left, and writes to it on command.
struct Mapped {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

const PROGRAM: &str = "
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
page = mmap.mmap(fd, 4096)
os.close(fd)
first = page[0]
print('mapped', flush=True)
for order in sys.stdin:
    page[0:1] = order[:1].encode()
    if order[0].isupper():
        page.flush()
    print('written', flush=True)
";

impl Mapped {
    /// `None` where there is no Python.
    fn start(file: &Path) -> Option<Self> {
        let mut command = Command::new("python3");
        command.args(["-c", PROGRAM]).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut child) = command.spawn() else {
            missing("python3", "a program that maps files");
            return None;
        };
        let (orders, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut mapped = Self { child, orders, answers };
        mapped.expect("mapped\n");
        Some(mapped)
    }

    /// Writes the first byte of the file; a capital letter is synced to the disk (`msync(2)`).
    fn write(&mut self, byte: char) {
        writeln!(self.orders, "{byte}").unwrap();
        self.expect("written\n");
    }

    fn expect(&mut self, answer: &str) {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert_eq!(line, answer);
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory with the file `f`, and a cache that trusts.
struct Trusting {
    home: PathBuf,
    cache: DigestCache,
}

impl Trusting {
    fn new(home: &Path) -> Self {
        fs::write(home.join("f"), [b'a'; 10_000]).unwrap();
        Self { home: home.to_owned(), cache: DigestCache::open(&home.join("state"), CacheMode::Trust, DAY).unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.home.join("f")
    }

    fn identity(&self) -> FileIdentity {
        FileIdentity::of(&rustix::fs::stat(self.file()).unwrap())
    }

    /// What a scan knows of the file.
    fn content(&self) -> FileContent {
        let (context, known) = self.scan();
        assert_eq!(context.progress.provenance().trusted_files, u64::from(known.trusted));
        known
    }

    fn scan(&self) -> (Context, FileContent) {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = fs::metadata(self.file()).unwrap();
        let modified_ms = metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000;
        let expected = Expected { size: metadata.len(), modified_ms, look: Some(self.identity().look()) };
        let (open, name, context) = (File::open(&self.home).unwrap(), Name::new(b"f").unwrap(), Context::default());
        let read = file_content(open.as_fd(), &name, expected, self.cache.view().as_ref(), None, &context);
        let Begun::Done(known) = read else { panic!("a read for a record was left pending") };
        let known = known.unwrap();
        self.cache.flush();
        (context, known)
    }

    fn bytes_now(&self) -> twintree::model::Blake3Digest {
        blake3::hash(&fs::read(self.file()).unwrap()).into()
    }
}

/// The program that broke trust: a page is dirty before the record and is written again after it. The bytes are others then, and
/// nothing that a look can see is.
#[test]
fn a_page_that_is_dirty_before_the_record_and_written_after_it_is_never_trusted() {
    let Some(home) = leased_directory() else { return };
    let trusting = Trusting::new(home.path());
    let Some(mut mapped) = Mapped::start(&trusting.file()) else { return };
    mapped.write('b');
    settle();
    let (before, read) = (trusting.identity(), trusting.content());
    mapped.write('C');
    if trusting.identity() != before {
        // Were it always so, nothing would have to be done.
        eprintln!("the system wrote the page back meanwhile: not tested this time");
        return;
    }
    let now = trusting.content();
    assert_ne!(now.digest, read.digest);
    assert_eq!((now.digest, now.trusted), (trusting.bytes_now(), false));
    drop(mapped);
    settle();
    assert!(!trusting.content().trusted, "it was never recorded");
    assert!(trusting.content().trusted, "and is, as soon as nobody can write any more");
}

/// What is mapped after the record shows in the times as soon as it is written.
#[test]
fn a_page_that_is_mapped_after_the_record_and_written_is_never_trusted() {
    let Some(home) = leased_directory() else { return };
    let trusting = Trusting::new(home.path());
    settle();
    assert!(!trusting.content().trusted);
    assert!(trusting.content().trusted);
    let Some(mut mapped) = Mapped::start(&trusting.file()) else { return };
    assert!(trusting.content().trusted, "it is mapped, and has its bytes");
    for byte in ['b', 'C', 'd'] {
        mapped.write(byte);
        for _ in 0..2 {
            let now = trusting.content();
            assert_eq!((now.digest, now.trusted), (trusting.bytes_now(), false));
        }
    }
}

/// There a map that was read before it is written leaves no trace at all, whenever it was made.
#[test]
#[cfg(target_os = "linux")]
fn nothing_is_recorded_in_a_file_system_that_lies_in_memory() {
    let Ok(home) = tempfile::tempdir_in("/dev/shm") else {
        return missing("shm", "a file system in memory at /dev/shm");
    };
    let trusting = Trusting::new(home.path());
    settle();
    let (context, read) = trusting.scan();
    assert_eq!(context.progress.provenance().unrecordable_files, 1, "and it is said");
    let before = trusting.identity();
    let Some(mut mapped) = Mapped::start(&trusting.file()) else { return };
    mapped.write('b');
    assert_eq!(trusting.identity(), before, "no look can tell");
    let now = trusting.content();
    assert_ne!(now.digest, read.digest);
    assert_eq!((now.digest, now.trusted), (trusting.bytes_now(), false));
}

/// Whoever is not the owner gets no lease, and so has no record to trust.
#[test]
#[cfg(target_os = "linux")]
fn nothing_is_recorded_of_the_files_of_others_without_the_privilege() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let Some(home) = leased_directory() else { return };
    let trusting = Trusting::new(home.path());
    if std::os::unix::fs::chown(trusting.file(), Some(12345), None).is_err() {
        return missing("root", "files cannot be given away");
    }
    settle();
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            let mut sets = capabilities(None).unwrap();
            sets.effective.remove(CapabilitySet::LEASE);
            set_capabilities(None, sets).unwrap();
            for _ in 0..2 {
                let (context, read) = trusting.scan();
                let unrecordable = context.progress.provenance().unrecordable_files;
                assert_eq!((read.digest, read.trusted, unrecordable), (trusting.bytes_now(), false, 1));
            }
        });
        work.join().unwrap();
    });
    assert!(!trusting.content().trusted, "who has the privilege records it");
    assert!(trusting.content().trusted);
}
