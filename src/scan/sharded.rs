//! Counters that many threads add to without disturbing each other.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// How many threads can count side by side; more share.
const SHARDS: usize = 16;

/// A set of counters of which each thread has its own. Aligned to two cache lines, for processors that fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard<T>(T);

/// The counters `T`, as often as threads may be counting at once. What one shard goes below zero the others have more.
#[derive(Debug, Default)]
pub(super) struct Sharded<T>([Shard<T>; SHARDS]);

impl<T> Sharded<T> {
    /// The counters of this thread.
    pub(super) fn own(&self) -> &T {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static NUMBER: usize = THREADS.fetch_add(1, Relaxed);
        }
        &self.0[NUMBER.with(|number| number % SHARDS)].0
    }

    /// The most that any thread has of one counter.
    pub(super) fn most(&self, counter: impl Fn(&T) -> &AtomicU64) -> u64 {
        self.0.iter().map(|shard| counter(&shard.0).load(Relaxed)).max().unwrap_or_default()
    }

    /// One counter over all threads.
    pub(super) fn sum(&self, counter: impl Fn(&T) -> &AtomicU64) -> u64 {
        self.0.iter().fold(0, |sum, shard| sum.wrapping_add(counter(&shard.0).load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_count_is_summed_up_whatever_they_take_back() {
        let counter: Sharded<AtomicU64> = Sharded::default();
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| counter.own().fetch_add(3, Relaxed));
            }
            scope.spawn(|| counter.own().fetch_sub(100, Relaxed));
        });
        assert_eq!(counter.sum(|counter| counter), 20);
    }
}
