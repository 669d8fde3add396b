//! The threads that read: as many as the cores where the page cache feeds them, and more where they wait for a disk.
//!
//! Each thread reads, hashes and reads again, so that there are as many reads in flight as threads. Which number is best depends on
//! the disk and on who else uses it, and so it is found while reading ([`depth`]).

mod crew;
mod depth;
mod media;

use std::num::NonZeroUsize;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use crew::Crew;
pub(super) use crew::{in_flight, turn};
use depth::{Depth, Window};

use super::priority::give_way;

/// How many reads may be in flight for each thread that was asked for: a network volume that answers after a millisecond needs tens of
/// them for its full rate.
const READS_PER_THREAD: usize = 32;

/// The most reads in flight, but for more cores or a larger number that was asked for. Each takes a buffer of a mebibyte where files
/// are large.
const MOST_READS: usize = 64;

/// How often it is looked at whether more reads would bring more.
const WINDOW: Duration = Duration::from_millis(20);

/// A window in which less came from the media says little; it is made longer.
const WINDOW_BYTES: u64 = 8 << 20;

/// The longest window.
const LONGEST_WINDOW: Duration = Duration::from_millis(500);

/// How many threads a piece of work may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads {
    /// How many it begins with.
    first: NonZeroUsize,
    /// How many it may have where they wait for a disk.
    most: NonZeroUsize,
}

impl Threads {
    /// A single one.
    pub const ONE: Self = Self { first: NonZeroUsize::MIN, most: NonZeroUsize::MIN };

    /// As many as were configured, else as many as the machine has cores, and more while they wait for a disk; in proportion fewer
    /// where a task asks for less.
    pub fn choose(configured: Option<NonZeroUsize>, asked: u32) -> Self {
        let asked = NonZeroUsize::new(asked as usize).unwrap_or(NonZeroUsize::MIN);
        let Some(configured) = configured else {
            let first = cores().min(asked);
            let most = asked.get().saturating_mul(READS_PER_THREAD).min(MOST_READS).max(first.get());
            return Self { first, most: NonZeroUsize::new(most).unwrap_or(first) };
        };
        let both = configured.min(asked);
        Self { first: both, most: both }
    }

    /// Those for work that waits for no disk.
    pub fn computing(self) -> Self {
        Self { most: self.first, ..self }
    }

    /// As many as a command was asked for, else as for a task that asks for all.
    pub fn of_command(asked: Option<NonZeroUsize>) -> Self {
        Self::choose(asked, u32::MAX)
    }
}

fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// A rayon pool whose threads read files. While they wait for the disk more of them are woken, as long as that brings more.
#[derive(Debug)]
pub struct Readers {
    pool: ThreadPool,
    crew: Arc<Crew>,
    /// `None` where the number of threads was asked for.
    depth: Option<Mutex<Depth>>,
}

impl Readers {
    /// Starts the threads. Fails where the system has none left.
    pub fn start(threads: Threads) -> Result<Self, ThreadPoolBuildError> {
        let Threads { first, most } = threads;
        let crew = Crew::new(first.get());
        let woken = Arc::clone(&crew);
        let pool = ThreadPoolBuilder::new()
            .num_threads(most.get())
            .thread_name(|number| format!("read-{number}"))
            .start_handler(move |number| {
                // There are many of them, and they are there to wait.
                if number >= first.get() {
                    give_way();
                }
                woken.join(number);
            })
            .build()
            // Those that did start would sleep for ever.
            .inspect_err(|_| crew.end())?;
        let depth = (first < most).then(|| Mutex::new(Depth::new(first.get(), most.get())));
        Ok(Self { pool, crew, depth })
    }

    /// Runs the work in the pool and waits for it. Its parallel jobs may open, list and read files.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let Some(depth) = &self.depth else { return self.pool.install(work) };
        let (done, waiting) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let watch = move || look_after(&self.crew, &mut depth.lock(), &waiting);
            // Where the system has no thread left the work goes on with as many readers as are awake.
            let _watcher = std::thread::Builder::new().name("read-depth".to_owned()).spawn_scoped(scope, watch);
            // Dropped also where the work panics.
            let _done = done;
            self.pool.install(work)
        })
    }
}

impl Drop for Readers {
    /// Lets those threads end that were never woken.
    fn drop(&mut self) {
        self.crew.end();
    }
}

/// Finds the depth until the work is done.
fn look_after(crew: &Crew, depth: &mut Depth, done: &mpsc::Receiver<()>) {
    let Some(mut read) = media::media_bytes() else { return };
    let mut begun = Instant::now();
    while let Err(mpsc::RecvTimeoutError::Timeout) = done.recv_timeout(WINDOW) {
        let Some(now) = media::media_bytes() else { return };
        let window = Window { elapsed: begun.elapsed(), media_bytes: now.saturating_sub(read) };
        if window.media_bytes < WINDOW_BYTES && window.elapsed < LONGEST_WINDOW {
            continue;
        }
        crew.allow(depth.next(window));
        (read, begun) = (now, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;
    use crate::scan::context::Context;
    use crate::scan::steady::{Expected, hash_identified, look_at};
    use rayon::prelude::*;
    use std::os::fd::AsFd as _;

    #[test]
    fn a_task_gets_what_it_asks_for_up_to_what_there_is() {
        let four = NonZeroUsize::new(4);
        let numbers = |configured, asked| {
            let threads = Threads::choose(configured, asked);
            (threads.first.get(), threads.most.get())
        };
        assert_eq!(numbers(four, 20), (4, 4));
        assert_eq!(numbers(four, 2), (2, 2));
        assert_eq!(numbers(four, 0), (1, 1));
        assert_eq!(numbers(None, 1), (1, READS_PER_THREAD));
        assert_eq!(numbers(None, u32::MAX), (cores().get(), MOST_READS.max(cores().get())));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn threads_beyond_the_cores_give_way_to_all_others() {
        let readers = Readers::start(Threads::choose(None, 2)).unwrap();
        readers.crew.allow(MOST_READS);
        let own = rustix::process::getpriority_process(None).unwrap();
        let priorities = readers.pool.broadcast(|_| rustix::process::getpriority_process(None).unwrap());
        let first = cores().get().min(2);
        assert!(priorities.iter().filter(|priority| **priority == own).count() >= first, "{priorities:?}");
        let behind = priorities.iter().filter(|priority| **priority == (own + 5).min(19)).count();
        assert!(behind >= MOST_READS - first, "{priorities:?}");
    }

    #[test]
    fn work_is_done_whoever_is_awake() {
        for threads in [Threads::ONE, Threads::choose(None, 1), Threads::choose(None, 20)] {
            let readers = Readers::start(threads).unwrap();
            for _ in 0..3 {
                assert_eq!(readers.run(|| (0..100_000_u64).into_par_iter().sum::<u64>()), 4_999_950_000);
            }
        }
    }

    /// Pieces of a large file are hashed by whoever is free, and whoever waits for a piece takes other files meanwhile.
    #[test]
    fn who_reads_in_turns_waits_for_nobody_who_waits_for_a_turn() {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<Name> = (0..12).map(|number| Name::new(format!("{number}").as_bytes()).unwrap()).collect();
        for name in &names {
            std::fs::write(dir.path().join(name.to_string()), vec![7; 9 << 20]).unwrap();
        }
        let (done, waiting) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let four = NonZeroUsize::new(4);
            let readers = Readers::start(Threads::choose(four, 4)).unwrap();
            readers.crew.allow(1);
            let open = std::fs::File::open(dir.path()).unwrap();
            let read = |name: &Name| {
                let look = look_at(open.as_fd(), name).unwrap();
                let expected = Expected { size: look.size(), modified_ms: look.modified_ms().unwrap(), look: None };
                hash_identified(open.as_fd(), name, expected, &[], &Context::default()).unwrap().0.blake3
            };
            let digests: Vec<_> = readers.run(|| names.par_iter().with_max_len(1).map(read).collect());
            let _ = done.send(digests);
        });
        let digests = waiting.recv_timeout(Duration::from_secs(60)).expect("it hangs");
        assert_eq!(digests, vec![blake3::hash(&vec![7; 9 << 20]).into(); 12]);
    }

    #[test]
    fn a_panic_goes_on_to_the_caller() {
        let readers = Readers::start(Threads::choose(None, 2)).unwrap();
        let run = std::panic::AssertUnwindSafe(|| readers.run(|| -> u32 { panic!("on purpose") }));
        assert!(std::panic::catch_unwind(run).is_err());
        assert_eq!(readers.run(|| 7), 7);
    }
}
