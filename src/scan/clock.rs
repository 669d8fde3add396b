//! The time of day beside a clock that nobody sets: whether the first was set back meanwhile.

use std::time::{Duration, Instant};

/// A clock that is set back by less goes unnoticed, since so long may the readings of the two clocks lie apart. A tick is taken
/// to be longer than any clock's by as much.
const UNNOTICED: i128 = 10_000_000;

/// A reading of the time of day, between two of the clock that nobody sets.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    before: Instant,
    nanos: i128,
    after: Instant,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        let before = Instant::now();
        Self { before, nanos: now_nanos(), after: Instant::now() }
    }

    /// What the clock may have read since an `earlier` moment.
    pub(super) fn readings_since(&self, earlier: &Self) -> Readings {
        Readings::between(earlier.nanos, self.nanos, self.after.duration_since(earlier.before))
    }
}

/// What the clock of this machine may have read between two moments, in nanoseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Readings {
    /// The earliest, where the clock was set back. Otherwise it went on from where it stood.
    pub set_back_to: Option<i128>,
    pub latest: i128,
}

impl Readings {
    /// A clock that was set once may have been set right behind the first reading, or right before the last one. `elapsed` is no less
    /// than what went by.
    fn between(first: i128, last: i128, elapsed: Duration) -> Self {
        let elapsed = i128::try_from(elapsed.as_nanos()).unwrap_or(i128::MAX / 2);
        let earliest = last - elapsed;
        let set_back_to = (earliest + UNNOTICED < first).then_some(earliest);
        Self { set_back_to, latest: last.max(first + elapsed) }
    }
}

/// Nanoseconds since the epoch.
pub(super) fn now_nanos() -> i128 {
    jiff::Timestamp::now().as_nanosecond()
}

#[cfg(test)]
impl Moment {
    /// This moment, with another time of day, and no time between its readings.
    pub(super) fn at(self, nanos: i128) -> Self {
        Self { nanos, after: self.before, ..self }
    }

    /// A moment so much later by the clock that nobody sets.
    pub(super) fn later(self, ms: u64) -> Self {
        let later = self.before + Duration::from_millis(ms);
        Self { before: later, after: later, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i128 = 1_000_000_000;

    fn between(first: i128, last: i128, seconds: u64) -> (Option<i128>, i128) {
        let readings = Readings::between(first, last, Duration::from_secs(seconds));
        (readings.set_back_to, readings.latest)
    }

    #[test]
    fn a_clock_that_was_set_back_may_have_read_less_and_more_than_at_both_ends() {
        assert_eq!(between(100 * SECOND, 110 * SECOND, 10), (None, 110 * SECOND));
        assert_eq!(between(100 * SECOND, 110 * SECOND - UNNOTICED, 10), (None, 110 * SECOND));
        // By six seconds: from 100 to 94 at once, or from 110 to 104 in the end.
        assert_eq!(between(100 * SECOND, 104 * SECOND, 10), (Some(94 * SECOND), 110 * SECOND));
        assert_eq!(between(100 * SECOND, 50 * SECOND, 10), (Some(40 * SECOND), 110 * SECOND));
        // Forward: every reading is later than before.
        assert_eq!(between(100 * SECOND, 900 * SECOND, 10), (None, 900 * SECOND));
    }

    #[test]
    fn nobody_sets_the_clock_between_two_lines() {
        let first = Moment::now();
        let readings = Moment::now().readings_since(&first);
        assert!(readings.latest >= first.nanos, "{readings:?}");
    }
}
