//! Which threads of a pool are awake, and how many of them may read at once.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::media::thread_media_bytes;

/// How often who waits for a turn looks at what it holds.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

thread_local! {
    /// Those of the pool to which this thread belongs.
    static OWN: RefCell<Option<Arc<Crew>>> = const { RefCell::new(None) };
    /// How much of what this thread read from media is counted.
    static COUNTED: Cell<u64> = const { Cell::new(0) };
}

/// The threads of one pool. All exist from the start; those above `awake` sleep, and never sleep again once they were woken, for then
/// they may hold work that others wait for. Where fewer shall read than are awake, they take turns.
#[derive(Debug)]
pub(super) struct Crew {
    awake: AtomicUsize,
    allowed: AtomicUsize,
    /// How many read in turns.
    reading: Mutex<usize>,
    woken: Condvar,
    freed: Condvar,
    /// Bytes that its threads made disks read.
    media: AtomicU64,
}

impl Crew {
    pub(super) fn new(awake: usize) -> Arc<Self> {
        Arc::new(Self {
            awake: awake.into(),
            allowed: awake.into(),
            reading: Mutex::default(),
            woken: Condvar::new(),
            freed: Condvar::new(),
            media: AtomicU64::new(0),
        })
    }

    /// Makes the calling thread one of the pool's, and lets it sleep until it is wanted.
    pub(super) fn join(self: &Arc<Self>, number: usize) {
        OWN.set(Some(Arc::clone(self)));
        let mut reading = self.reading.lock();
        while number >= self.awake.load(Relaxed) {
            self.woken.wait(&mut reading);
        }
    }

    /// Bytes that its threads made disks and network file systems read, as far as they looked ([`count_media`]).
    pub(super) fn media_bytes(&self) -> u64 {
        self.media.load(Relaxed)
    }

    /// So many may read at once from now on.
    pub(super) fn allow(&self, reads: usize) {
        // Under the lock, so that nobody goes to sleep between looking and this.
        let _reading = self.reading.lock();
        self.allowed.store(reads, Relaxed);
        self.awake.fetch_max(reads, Relaxed);
        self.woken.notify_all();
        self.freed.notify_all();
    }

    /// Nobody waits any more.
    pub(super) fn end(&self) {
        self.allow(usize::MAX);
    }

    fn take(self: &Arc<Self>, while_waiting: impl Fn()) -> Option<Turn> {
        let all = || self.allowed.load(Relaxed) >= self.awake.load(Relaxed);
        if all() {
            return None;
        }
        let mut reading = self.reading.lock();
        while !all() && *reading >= self.allowed.load(Relaxed) {
            self.freed.wait_for(&mut reading, LOOK_INTERVAL);
            MutexGuard::unlocked(&mut reading, &while_waiting);
        }
        *reading += 1;
        Some(Turn(Arc::clone(self)))
    }
}

/// The right to read, until it is dropped.
pub(in crate::scan) struct Turn(Arc<Crew>);

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.reading.lock() -= 1;
        self.0.freed.notify_one();
    }
}

/// Waits until this thread may read, where its pool reads in turns. Whoever has a turn must not wait for other threads of the pool, for
/// these may wait for a turn. `while_waiting` is called now and then meanwhile.
pub(in crate::scan) fn turn(while_waiting: impl Fn()) -> Option<Turn> {
    OWN.with_borrow(|own| own.as_ref().and_then(|own| own.take(while_waiting)))
}

/// Counts for this thread's pool what the thread made disks read since it last did. Called behind whatever may have waited for one, and not
/// behind what the page cache gave: it costs a system call.
pub(in crate::scan) fn count_media() {
    OWN.with_borrow(|own| {
        let Some(crew) = own else { return };
        let now = thread_media_bytes();
        crew.media.fetch_add(now.saturating_sub(COUNTED.replace(now)), Relaxed);
    });
}

/// How many threads of this thread's pool may read at once; one where it belongs to none.
pub(in crate::scan) fn in_flight() -> usize {
    OWN.with_borrow(|own| own.as_ref().map_or(1, |own| own.allowed.load(Relaxed).min(own.awake.load(Relaxed))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_read_at_once_than_are_allowed() {
        let crew = Crew::new(8);
        crew.allow(2);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (crew, now, most) = (&crew, &now, &most);
                scope.spawn(move || {
                    crew.join(number);
                    for _ in 0..20 {
                        let _turn = turn(|| ());
                        most.fetch_max(now.fetch_add(1, Relaxed) + 1, Relaxed);
                        std::thread::sleep(Duration::from_micros(100));
                        now.fetch_sub(1, Relaxed);
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 2);
    }

    #[test]
    fn a_thread_sleeps_until_it_is_wanted_and_the_end_wakes_all() {
        let crew = Crew::new(1);
        let woken = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for number in 0..4 {
                let (crew, woken) = (&crew, &woken);
                scope.spawn(move || {
                    crew.join(number);
                    woken.fetch_add(1, Relaxed);
                });
            }
            crew.allow(2);
            while woken.load(Relaxed) < 2 {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!(woken.load(Relaxed), 2);
            crew.end();
        });
        assert_eq!(woken.into_inner(), 4);
    }

    #[test]
    fn a_thread_of_no_pool_reads_at_once() {
        assert!(turn(|| ()).is_none());
    }
}
