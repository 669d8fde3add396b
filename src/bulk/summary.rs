//! What a run came to, for every output. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ending::{Ended, Ending};
use super::tally::Tally;
use crate::model::Counters;

/// A run that has ended, or was interrupted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// All comparisons have ended.
    pub finished: bool,
    /// How many ended in which way.
    pub outcomes: BTreeMap<Ending, u64>,
    /// How many have not ended.
    pub to_go: u64,
    /// Epoch milliseconds of when the run began, also where it was interrupted since.
    pub began_at: i64,
    /// Epoch milliseconds of its end, or interruption.
    pub ended_at: i64,
    /// How long this command was at work, in milliseconds.
    pub elapsed_ms: u64,
    /// How long all comparisons that ended while it was took together, in milliseconds.
    pub worked_ms: u64,
    /// The counters of all comparisons together.
    #[serde(flatten)]
    pub counters: Counters,
    /// Those that have ended, the worst first, and then by name.
    pub comparisons: Vec<Ended>,
}

impl Summary {
    /// Sums up. `to_go` have not ended, `times` are when the run began and ended, in epoch milliseconds, `(elapsed_ms, worked_ms)` is what
    /// this command needed.
    pub fn new(
        mut comparisons: Vec<Ended>,
        to_go: u64,
        (began_at, ended_at): (i64, i64),
        (elapsed_ms, worked_ms): (u64, u64),
    ) -> Self {
        comparisons.sort_by(|a, b| (a.outcome, &a.name).cmp(&(b.outcome, &b.name)));
        let mut counters = Counters::default();
        let mut tally = Tally { to_go, ..Tally::default() };
        for ended in &comparisons {
            tally.end(ended.outcome);
            if let Some(result) = &ended.result {
                counters.add(&result.status.counters);
            }
        }
        let outcomes = tally.ended;
        Self { finished: to_go == 0, outcomes, to_go, began_at, ended_at, elapsed_ms, worked_ms, counters, comparisons }
    }

    /// Whether any comparison ended so.
    pub fn has(&self, ending: Ending) -> bool {
        self.outcomes.contains_key(&ending)
    }

    /// The comparisons, counted.
    pub fn tally(&self) -> Tally {
        Tally { ended: self.outcomes.clone(), to_go: self.to_go }
    }
}
