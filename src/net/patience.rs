//! How long a peer is borne that keeps a conversation alive and brings nothing. Pure.
//!
//! Silence is bounded by time-outs. A peer that says that it is busy, or sends a byte now and then, is never silent: what
//! bounds it is what it brings. At the begin it has [`Patience::USUAL`] of time; what it brings earns more, by a pace that any
//! sound one keeps, and never more than the usual on top of now. So however it spends its time, a conversation ends by then,
//! plus what everything it ever brought has earned.

use std::time::{Duration, Instant};

/// The patience with one conversation.
#[derive(Debug, Clone)]
pub struct Patience {
    whole: Duration,
    begun: Instant,
    until: Instant,
    earned: Duration,
}

/// What came of a conversation so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Brought {
    /// Directories, and the content of directories.
    pub directories: u64,
    /// Files that were listed, hashed or read.
    pub files: u64,
    /// Bytes that were hashed, or came.
    pub bytes: u64,
}

impl Brought {
    /// What a directory earns: ten in a second are slow.
    const DIRECTORY: Duration = Duration::from_millis(100);
    /// What a file earns: a hundred in a second are slow.
    const FILE: Duration = Duration::from_millis(10);
    /// The bytes that earn a second: any medium is faster.
    const BYTES_PER_SECOND: u64 = 1 << 20;

    fn worth(&self) -> Duration {
        let times = |unit: Duration, count: u64| Duration::from_millis(count.saturating_mul(unit.as_millis() as u64));
        let bytes = Duration::from_secs(self.bytes / Self::BYTES_PER_SECOND);
        bytes.saturating_add(times(Self::DIRECTORY, self.directories)).saturating_add(times(Self::FILE, self.files))
    }
}

impl Patience {
    /// How long a peer may be busy without bringing anything. A walk of some million directories on a slow disk, and the
    /// hashing of the first large file where nothing tells how far it is, take less.
    pub const USUAL: Duration = Duration::from_secs(3600);

    /// Patience with a conversation that begins at `now`.
    pub fn new(whole: Duration, now: Instant) -> Self {
        Self { whole, begun: now, until: now + whole, earned: Duration::ZERO }
    }

    /// The same patience, and the time of work that says nothing before its end.
    pub fn with(mut self, work: Brought) -> Self {
        self.until = self.until.checked_add(work.worth()).unwrap_or(self.until);
        self
    }

    /// All that came since the conversation began, as of `now`. What a peer repeats, after its connection broke, earns
    /// nothing.
    pub fn brought(&mut self, so_far: Brought, now: Instant) {
        let worth = so_far.worth();
        let fresh = worth.saturating_sub(self.earned);
        self.earned = self.earned.max(worth);
        self.until = self.until.checked_add(fresh).map_or(now + self.whole, |until| until.min(now + self.whole));
    }

    /// When it ends.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// How long the conversation had by then.
    pub fn lasted(&self) -> Duration {
        self.until - self.begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn files(files: u64) -> Brought {
        Brought { files, ..Brought::default() }
    }

    #[test]
    fn what_is_brought_earns_time_and_what_is_repeated_does_not() {
        let begin = Instant::now();
        let mut patience = Patience::new(HOUR, begin);
        let later = begin + HOUR / 2;
        patience.brought(files(6_000), later);
        assert_eq!(patience.until(), begin + HOUR + Duration::from_secs(60));
        for repeated in [0, 1, 6_000] {
            patience.brought(files(repeated), later);
            assert_eq!(patience.until(), begin + HOUR + Duration::from_secs(60));
        }
        patience.brought(files(u64::MAX), later);
        assert_eq!(patience.until(), later + HOUR, "never more than the usual from now on");
        patience.brought(Brought { bytes: u64::MAX, directories: u64::MAX, files: u64::MAX }, later);
        assert_eq!(patience.until(), later + HOUR);
    }

    /// Something new once in a while is not enough.
    #[test]
    fn a_peer_that_trickles_is_given_up_in_the_end() {
        let begin = Instant::now();
        let mut patience = Patience::new(HOUR, begin);
        let mut now = begin;
        for minute in 1..=600 {
            if now >= patience.until() {
                assert!((60..65).contains(&minute), "{minute}");
                return;
            }
            now = begin + Duration::from_secs(60 * minute);
            patience.brought(files(minute), now);
        }
        panic!("for ever");
    }
}
