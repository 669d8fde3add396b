//! How many threads a piece of work may use. Pure but for the number of cores.

use std::num::NonZeroUsize;

/// How many reads may be in flight for each thread that was asked for: a network volume that answers after a millisecond needs tens of
/// them for its full rate.
const READS_PER_THREAD: usize = 32;

/// The most reads in flight, but for more cores or a larger number that was asked for. Each takes a buffer of a mebibyte where files
/// are large, and two around the page cache.
pub(super) const MOST_READS: usize = 64;

/// How many threads a piece of work may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads {
    /// How many it begins with.
    pub(super) first: NonZeroUsize,
    /// How many it may have where they wait for a disk.
    pub(super) most: NonZeroUsize,
    /// They are as many as were asked for, however many disks there are; else each disk has its own.
    pub(super) for_all_disks: bool,
}

impl Threads {
    /// A single one.
    pub const ONE: Self = Self { first: NonZeroUsize::MIN, most: NonZeroUsize::MIN, for_all_disks: true };

    /// As many as were configured, else as many as the machine has cores, and more while they wait for a disk; in proportion fewer
    /// where a task asks for less.
    pub fn choose(configured: Option<NonZeroUsize>, asked: u32) -> Self {
        let asked = NonZeroUsize::new(asked as usize).unwrap_or(NonZeroUsize::MIN);
        let Some(configured) = configured else {
            let first = cores().min(asked);
            let most = asked.get().saturating_mul(READS_PER_THREAD).min(MOST_READS).max(first.get());
            return Self { first, most: NonZeroUsize::new(most).unwrap_or(first), for_all_disks: false };
        };
        let both = configured.min(asked);
        Self { first: both, most: both, for_all_disks: true }
    }

    /// Those for work that waits for no disk.
    pub fn computing(self) -> Self {
        Self { most: self.first, for_all_disks: true, ..self }
    }

    /// Whether there may be more of them than it begins with.
    pub(super) fn may_grow(self) -> bool {
        self.first < self.most
    }

    /// As many as a command was asked for, else as for a task that asks for all.
    pub fn of_command(asked: Option<NonZeroUsize>) -> Self {
        Self::choose(asked, u32::MAX)
    }
}

pub(super) fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
