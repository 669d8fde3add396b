//! A rayon pool whose threads read, and the thread beside it that finds how many of them shall.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use super::crew::Crew;
use super::depth::{Depth, Window};
use super::threads::Threads;
use crate::scan::priority::give_way;

/// How often it is looked at whether more reads would bring more.
const WINDOW: Duration = Duration::from_millis(20);

/// A window in which less came from the media says little; it is made longer.
const WINDOW_BYTES: u64 = 8 << 20;

/// The longest window.
const LONGEST_WINDOW: Duration = Duration::from_millis(500);

/// Threads that read. While they wait for a disk more of them are woken, as long as that brings more.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) threads: ThreadPool,
    pub(super) crew: Arc<Crew>,
    /// Dropped, it ends the thread that looks after the depth.
    _watched: mpsc::Sender<()>,
}

impl Pool {
    /// Starts the threads; each calls `on_start` first. No more of them read than `bound` says at the time. Fails where the system has
    /// none left.
    pub(super) fn start(
        threads: Threads,
        on_start: impl Fn() + Send + Sync + 'static,
        bound: impl Fn() -> usize + Send + 'static,
    ) -> Result<Self, ThreadPoolBuildError> {
        let (first, most) = (threads.first.get(), threads.most.get());
        let crew = Crew::new(first);
        let woken = Arc::clone(&crew);
        let pool = ThreadPoolBuilder::new()
            .num_threads(most)
            .thread_name(|number| format!("read-{number}"))
            .start_handler(move |number| {
                on_start();
                // There are many of them, and they are there to wait.
                if number >= first {
                    give_way();
                }
                woken.join(number);
            })
            .build()
            // Those that did start would sleep for ever.
            .inspect_err(|_| crew.end())?;
        let (_watched, ended) = mpsc::channel();
        if threads.may_grow() {
            let (crew, depth) = (Arc::clone(&crew), Depth::new(first, most));
            // Where the system has no thread left the work goes on with as many readers as are awake.
            let watch = std::thread::Builder::new().name("read-depth".to_owned());
            let _ = watch.spawn(move || look_after(&crew, depth, bound, &ended));
        }
        Ok(Self { threads: pool, crew, _watched })
    }
}

impl Drop for Pool {
    /// Lets those threads end that were never woken.
    fn drop(&mut self) {
        self.crew.end();
    }
}

/// Finds the depth until the pool is dropped.
fn look_after(crew: &Crew, mut depth: Depth, bound: impl Fn() -> usize, ended: &mpsc::Receiver<()>) {
    let (mut read, mut begun) = (0, Instant::now());
    while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(WINDOW) {
        let now = crew.media_bytes();
        let window = Window { elapsed: begun.elapsed(), media_bytes: now - read };
        if window.media_bytes < WINDOW_BYTES && window.elapsed < LONGEST_WINDOW {
            continue;
        }
        crew.allow(depth.next(window, bound()));
        (read, begun) = (now, Instant::now());
    }
}
