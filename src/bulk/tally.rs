//! How far a run is, in numbers and in a sentence. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ending::Ending;

/// The comparisons of a run, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many ended in which way.
    pub ended: BTreeMap<Ending, u64>,
    /// How many are still to be made, or under way.
    pub to_go: u64,
}

impl Tally {
    /// One more has ended.
    pub fn end(&mut self, ending: Ending) {
        *self.ended.entry(ending).or_default() += 1;
    }

    /// How many have ended.
    pub fn total_ended(&self) -> u64 {
        self.ended.values().sum()
    }

    /// Such as `28 equal, 1 different, 1 unreachable, 12 to go, 40 min left`.
    pub fn sentence(&self, left: Option<Duration>) -> String {
        let equal = self.ended.get(&Ending::Equal).copied().unwrap_or_default();
        let mut parts = vec![format!("{equal} equal")];
        let others = self.ended.iter().filter(|(ending, _)| **ending != Ending::Equal);
        parts.extend(others.map(|(ending, count)| format!("{count} {}", ending.words())));
        if self.to_go > 0 {
            parts.push(format!("{} to go", self.to_go));
            parts.extend(left.map(|left| format!("{} left", rough(left))));
        }
        parts.join(", ")
    }
}

/// How long what is to go will take, if it goes on as it did: so many ended in so much time. `None` before the first has.
pub(super) fn left(ended: u64, elapsed: Duration, to_go: u64) -> Option<Duration> {
    let each = elapsed.as_secs_f64() / (ended > 0).then_some(ended as f64)?;
    Duration::try_from_secs_f64(each * to_go as f64).ok()
}

impl Tally {
    /// See [`Tally::sentence`]; `before` had ended when this run began or went on, `elapsed` ago.
    pub fn left(&self, before: u64, elapsed: Duration) -> Option<Duration> {
        left(self.total_ended().saturating_sub(before), elapsed, self.to_go)
    }
}

/// A length of time in one unit, as a guess deserves.
fn rough(time: Duration) -> String {
    match time.as_secs_f64() {
        ..90.0 => format!("{:.0} s", time.as_secs_f64()),
        ..5400.0 => format!("{:.0} min", time.as_secs_f64() / 60.0),
        _ => format!("{:.0} h", time.as_secs_f64() / 3600.0),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{Outcome, RootId, Scope, ScopeLimits, SourceRules, Tally as Found};
    use crate::protocol::{ReportBody, ReportSummary};

    /// A result in which nothing was compared.
    pub(in crate::bulk) fn report() -> ReportBody {
        let scope = Scope {
            roots: vec![RootId::DATA_0],
            selection: None,
            files_excluded: vec![],
            directories_excluded: vec![],
            source_rules: SourceRules::Same,
            limits: ScopeLimits::default(),
        };
        let outcome = Outcome::new(scope, Found::default(), vec![]);
        ReportBody::local(&outcome, vec![], ReportSummary::default(), "s".to_owned(), (1, 2))
    }

    #[test]
    fn the_sentence_names_what_there_is() {
        let mut tally = Tally { to_go: 12, ..Tally::default() };
        assert_eq!(tally.sentence(None), "0 equal, 12 to go");
        (0..28).for_each(|_| tally.end(Ending::Equal));
        tally.end(Ending::Unreachable);
        tally.end(Ending::Different);
        let left = tally.left(0, Duration::from_secs(6000));
        assert_eq!(tally.sentence(left), "28 equal, 1 different, 1 unreachable, 12 to go, 40 min left");
        tally.to_go = 0;
        assert_eq!(tally.sentence(left), "28 equal, 1 different, 1 unreachable");
    }

    #[test]
    fn what_ended_in_an_earlier_run_says_nothing_of_this_ones_speed() {
        let tally = Tally { ended: [(Ending::Equal, 90)].into(), to_go: 10 };
        assert_eq!(tally.left(90, Duration::from_secs(1)), None);
        assert_eq!(tally.left(80, Duration::from_secs(50)), Some(Duration::from_secs(50)));
        for (seconds, text) in
            [(0, "0 s"), (89, "89 s"), (90, "2 min"), (2400, "40 min"), (5400, "2 h"), (86_400, "24 h")]
        {
            assert_eq!(rough(Duration::from_secs(seconds)), text);
        }
    }
}
