//! Looks at a directory: whether a second one that finds what the first did shows that nothing changed in between. Pure.
//!
//! A change time is what the clock of the file system read at the change, cut to its tick: two changes within one tick leave the same
//! one. So the first look counts only where the tick of the change it shows was over, and only as long as that clock cannot
//! have read the same once more. Where the clock is this machine's, the time of day tells: read before the look, or a
//! change that came between the two would seem old. Where it is another one's (a server's, which may be ahead or
//! behind), or the change time lies ahead of the time of day (which was set back), only waiting tells: what shows the same
//! change time a tick later will show another one from then on.

use std::time::Duration;

use super::clock::Moment;
use super::identity::{FileIdentity, Look};

/// What is known of a directory's names: whether a second look has to find what the first one did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DirectoryLook {
    /// There is nothing to look at a second time: it was not listed, or not here.
    #[default]
    None,
    /// The look before its names were read. Whatever changes them from then on changes it.
    Steady(Look),
    /// The same, until the time of day comes to the change time, which lies ahead of it: a change at that moment leaves it as it is.
    Ahead(Look),
    /// It changed while it was listed, or a further change could leave it as it is: it is to be listed again.
    Unsteady {
        /// The look before its names were read.
        seen: Option<Look>,
        /// No sooner than after so many milliseconds.
        wait_ms: u32,
    },
}

impl DirectoryLook {
    /// One that is to be listed again at once.
    pub const UNSTEADY: Self = Self::Unsteady { seen: None, wait_ms: 0 };

    /// The look at a directory whose names are read from now on. `began` is the time of day of before the look, in nanoseconds since
    /// the epoch, `rested` a look of at least its [`wait`](Self::wait) ago, and `own_clock` says that change times there are by
    /// this machine's clock.
    pub(super) fn first(found: &FileIdentity, began: i128, own_clock: bool, rested: Option<Look>) -> Self {
        let look = found.look();
        let tick_is_over = began - found.changed_nanos() >= tick_nanos(found);
        match (own_clock, tick_is_over, rested == Some(look)) {
            (true, true, _) | (false, _, true) => Self::Steady(look),
            (true, false, true) => Self::Ahead(look),
            (true, false, false) | (false, _, false) => Self::Unsteady { seen: Some(look), wait_ms: found.tick_ms() },
        }
    }

    /// Whether the directory may hold other names than after this first look, by a second one that was over `at` a moment. `since` is
    /// one of before the first look, or of before another second look that showed nothing.
    pub(super) fn may_have_changed(self, found: &FileIdentity, since: &Moment, at: &Moment) -> bool {
        let readings = at.readings_since(since);
        let again = |earliest| earliest < found.changed_nanos() + tick_nanos(found);
        match self {
            Self::None => false,
            Self::Unsteady { .. } => true,
            Self::Steady(first) => found.look() != first || readings.set_back_to.is_some_and(again),
            Self::Ahead(first) => found.look() != first || readings.latest >= found.changed_nanos(),
        }
    }

    /// How long to wait before the directory is listed again.
    pub fn wait(self) -> Duration {
        match self {
            Self::Unsteady { wait_ms, .. } => Duration::from_millis(u64::from(wait_ms)),
            Self::None | Self::Steady(_) | Self::Ahead(_) => Duration::ZERO,
        }
    }

    /// What the next first look may find again, once the wait is over.
    pub fn seen(self) -> Option<Look> {
        match self {
            Self::Unsteady { seen, .. } => seen,
            Self::None | Self::Steady(_) | Self::Ahead(_) => None,
        }
    }
}

fn tick_nanos(found: &FileIdentity) -> i128 {
    i128::from(found.tick_ms()) * 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i128 = 1_000_000;
    const CHANGED: (i64, i64) = (1_700_000_000, 500 * 1_000_000);

    fn found(changed: (i64, i64)) -> FileIdentity {
        let kind = rustix::fs::FileType::Directory;
        FileIdentity { device: 1, inode: 2, size: 4096, modified: (1_600_000_000, 0), changed, kind }
    }

    fn first(changed: (i64, i64), began_after: i128, own_clock: bool, rested: Option<Look>) -> DirectoryLook {
        let found = found(changed);
        DirectoryLook::first(&found, found.changed_nanos() + began_after, own_clock, rested)
    }

    fn steady(look: DirectoryLook) -> bool {
        matches!(look, DirectoryLook::Steady(_))
    }

    #[test]
    fn a_first_look_counts_once_the_tick_of_the_last_change_is_over_and_not_before() {
        assert!(steady(first(CHANGED, 20 * MS, true, None)));
        assert!(!steady(first(CHANGED, 20 * MS - 1, true, None)));
        let whole = (CHANGED.0, 0);
        assert!(steady(first(whole, 2_100 * MS, true, None)));
        let early = first(whole, 2_100 * MS - 1, true, None);
        assert_eq!((early.wait(), early.seen()), (Duration::from_millis(2_100), Some(found(whole).look())));
    }

    /// A thread that is held up between its clock and its look sees a change that came in between, however long that took.
    #[test]
    fn a_change_behind_the_reading_of_the_clock_is_never_old() {
        for began_after in [-1, -20 * MS, -30 * MS, -3_600_000 * MS] {
            assert!(!steady(first(CHANGED, began_after, true, None)), "{began_after}");
        }
        assert!(!steady(first((i64::MAX, 1), -i128::from(i64::MAX), true, None)));
    }

    #[test]
    fn what_shows_the_same_change_a_tick_later_counts_by_any_clock() {
        let (look, other) = (found(CHANGED).look(), found((CHANGED.0, 7)).look());
        for began_after in [-3_600_000 * MS, 0, 3_600_000 * MS] {
            assert!(!steady(first(CHANGED, began_after, false, None)), "{began_after}");
            assert!(!steady(first(CHANGED, began_after, false, Some(other))), "{began_after}");
            assert!(steady(first(CHANGED, began_after, false, Some(look))), "{began_after}");
        }
        assert_eq!(first(CHANGED, -MS, true, Some(look)), DirectoryLook::Ahead(look));
        assert!(!steady(first(CHANGED, -MS, true, Some(other))));
    }

    fn may_have_changed(look: DirectoryLook, since: i128, at: i128, elapsed_ms: u64) -> bool {
        let begin = Moment::now().at(0);
        let changed = found(CHANGED).changed_nanos();
        let (since, at) = (begin.at(changed + since), begin.later(elapsed_ms).at(changed + at));
        look.may_have_changed(&found(CHANGED), &since, &at)
    }

    #[test]
    fn a_second_look_shows_nothing_where_the_clock_may_have_read_the_change_time_again() {
        let steady = DirectoryLook::Steady(found(CHANGED).look());
        assert!(!may_have_changed(steady, 500 * MS, 1_500 * MS, 1_000));
        assert!(!may_have_changed(steady, 5 * MS, 1_005 * MS, 1_000), "the first look came later than that");
        assert!(!may_have_changed(steady, 500 * MS, 9_500 * MS, 1_000), "set forward");
        assert!(may_have_changed(steady, 500 * MS, 900 * MS, 1_000), "set back, maybe by way of the change time");
        assert!(!may_have_changed(steady, 5_000 * MS, 5_400 * MS, 1_000), "set back, and not as far");
        let other = DirectoryLook::Steady(found((CHANGED.0, 7)).look());
        assert!(may_have_changed(other, 500 * MS, 1_500 * MS, 1_000));
        assert!(may_have_changed(DirectoryLook::UNSTEADY, 500 * MS, 1_500 * MS, 1_000));
        assert!(!may_have_changed(DirectoryLook::None, 500 * MS, 1_500 * MS, 1_000));
    }

    #[test]
    fn a_change_time_ahead_holds_until_the_clock_comes_to_it() {
        let ahead = DirectoryLook::Ahead(found(CHANGED).look());
        assert!(!may_have_changed(ahead, -5_000 * MS, -4_000 * MS, 1_000));
        assert!(may_have_changed(ahead, -500 * MS, 500 * MS, 1_000));
        assert!(may_have_changed(ahead, -500 * MS, -4_000 * MS, 1_000), "it was reached, and the clock set back");
        assert!(may_have_changed(DirectoryLook::Ahead(found((CHANGED.0, 7)).look()), -5_000 * MS, -4_000 * MS, 1_000));
    }
}
