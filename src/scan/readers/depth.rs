//! How many reads are kept in flight, found while reading: a disk with latency wants many, a spinning one few, and where the page
//! cache feeds the threads more of them than cores only get in each other's way. Pure.

use std::time::Duration;

/// A trial of more reads goes on where they brought at least this much more, as a ratio of bytes a second.
const WORTH_MORE: f64 = 1.05;

/// More reads stay in flight unless they brought less than this.
const HARMFUL: f64 = 0.9;

/// Fewer reads stay in flight where they brought at least this much more: heads that seek less.
const WORTH_FEWER: f64 = 1.1;

/// How many times as many reads a trial of more takes. Few steps: a short scan is over before many.
const STEP_UP: usize = 4;

/// How many windows pass before the first trial after one that did not go on; each further one takes twice as many.
const PATIENCE: u32 = 10;

/// The longest patience, in windows.
const MOST_PATIENCE: u32 = 320;

/// What was seen for a while.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// How long it was.
    pub elapsed: Duration,
    /// Bytes that came from the media meanwhile.
    pub media_bytes: u64,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Nothing is tried for so many windows.
    Settled(u32),
    /// Another depth is tried; before it was `from`, at so many bytes a second.
    Trial { from: usize, rate: f64 },
}

/// The number of reads in flight, and what is being tried.
#[derive(Debug)]
pub(super) struct Depth {
    first: usize,
    most: usize,
    /// The most at the time, where others read as well.
    bound: usize,
    now: usize,
    phase: Phase,
    upward: bool,
    patience: u32,
}

impl Depth {
    /// Begins with `now` reads, of at most `most`.
    pub(super) fn new(now: usize, most: usize) -> Self {
        Self { first: now, most, bound: most, now, phase: Phase::Settled(0), upward: true, patience: PATIENCE }
    }

    /// How many reads to keep in flight next, at most `bound`. A window in which nothing came from the media teaches nothing, and
    /// ends what was tried: the page cache feeds at least as many as this began with.
    pub(super) fn next(&mut self, window: Window, bound: usize) -> usize {
        self.bound = bound.clamp(1, self.most);
        if self.now > self.bound {
            // What was tried is no longer what is.
            (self.now, self.phase) = (self.bound, Phase::Settled(self.patience));
        }
        if window.media_bytes == 0 {
            if let Phase::Trial { from, .. } = self.phase {
                self.now = from.min(self.bound);
                self.phase = Phase::Settled(self.patience);
            }
            return self.now.max(self.first).min(self.bound);
        }
        let rate = window.media_bytes as f64 / window.elapsed.as_secs_f64().max(1e-9);
        match self.phase {
            Phase::Settled(0) => self.begin_trial(rate),
            Phase::Settled(left) => self.phase = Phase::Settled(left - 1),
            Phase::Trial { from, rate: before } => self.end_trial(from, rate / before, rate),
        }
        self.now
    }

    fn begin_trial(&mut self, rate: f64) {
        let from = self.now;
        self.now = if self.upward { from.saturating_mul(STEP_UP).min(self.bound) } else { (from / 2).max(1) };
        if self.now == from {
            return self.settle();
        }
        self.phase = Phase::Trial { from, rate };
    }

    fn end_trial(&mut self, from: usize, gain: f64, rate: f64) {
        let (stays, goes_on) = match self.upward {
            true => (gain >= HARMFUL, gain >= WORTH_MORE),
            false => (gain >= WORTH_FEWER, gain >= WORTH_FEWER),
        };
        if !stays {
            self.now = from.min(self.bound);
        }
        match goes_on {
            true => self.begin_trial(rate),
            false => self.settle(),
        }
    }

    /// The next trial goes the other way.
    fn settle(&mut self) {
        self.phase = Phase::Settled(self.patience);
        self.patience = (self.patience * 2).min(MOST_PATIENCE);
        self.upward = !self.upward;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a device gives with so many reads in flight, in bytes a second.
    fn run(device: impl Fn(usize) -> f64, cores: usize, windows: usize) -> Vec<usize> {
        let mut depth = Depth::new(cores, 64);
        let mut now = cores;
        let elapsed = Duration::from_millis(20);
        let step = |_| {
            let window = Window { elapsed, media_bytes: (device(now) * elapsed.as_secs_f64()) as u64 };
            now = depth.next(window, 64);
            now
        };
        (0..windows).map(step).collect()
    }

    /// Each read takes a millisecond, up to what the device gives at most.
    fn network_volume(depth: usize) -> f64 {
        (depth as f64 * 1e8).min(1e9)
    }

    /// Every further reader makes the heads seek more.
    fn spinning(depth: usize) -> f64 {
        2e8 / (depth as f64).sqrt()
    }

    #[test]
    fn a_disk_with_latency_gets_many_reads_soon() {
        assert_eq!(run(network_volume, 2, 3), [8, 32, 64]);
        let later = run(network_volume, 2, 2000);
        let few = later.iter().skip(3).filter(|depth| **depth < 32).count();
        assert!(few < 20, "{few} windows with too few reads");
    }

    #[test]
    fn a_spinning_disk_ends_with_one() {
        for cores in [2, 16] {
            let last = run(spinning, cores, 3000).split_off(1000);
            let many = last.iter().filter(|depth| **depth > 1).count();
            assert!(many < 40, "{many} of 2000 windows with several reads");
        }
    }

    #[test]
    fn what_the_page_cache_feeds_is_left_alone() {
        assert_eq!(run(|_| 0.0, 2, 100), [2; 100]);
    }

    /// A trial must not last for as long as the page cache feeds the rest.
    #[test]
    fn a_trial_ends_where_nothing_comes_from_the_media_any_more() {
        let elapsed = Duration::from_millis(20);
        for windows in 1..200 {
            let (mut depth, mut now) = (Depth::new(8, 64), 8);
            for _ in 0..windows {
                now = depth.next(Window { elapsed, media_bytes: (spinning(now) * 0.02) as u64 }, 64);
            }
            let cached = depth.next(Window { elapsed, media_bytes: 0 }, 64);
            assert!(cached >= 8, "{cached} after {windows} windows, {now} before");
        }
    }

    /// Others came, and went again.
    #[test]
    fn a_bound_holds_at_once_and_the_search_goes_on_below_it() {
        let (mut depth, mut now, elapsed) = (Depth::new(2, 64), 2, Duration::from_millis(20));
        for window in 0..6_000 {
            let bound = if (1_000..4_000).contains(&window) { 16 } else { 64 };
            let device = if bound == 16 { spinning } else { network_volume };
            now = depth.next(Window { elapsed, media_bytes: (device(now) * 0.02) as u64 }, bound);
            assert!(now <= bound);
            match window {
                999 | 5_999 => assert!(now >= 32, "{now} in window {window}"),
                3_999 => assert!(now <= 2, "{now} reads of a spinning disk"),
                _ => {}
            }
        }
    }

    #[test]
    fn the_most_is_never_exceeded_and_none_is_never_tried() {
        for depth in run(|depth| if depth % 3 == 0 { 1e9 } else { 1e6 * depth as f64 }, 3, 5000) {
            assert!((1..=64).contains(&depth));
        }
    }
}
