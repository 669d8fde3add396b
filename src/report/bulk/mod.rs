//! The result of many comparisons, in several forms.

mod csv;
mod html;
mod metrics;
mod terminal;

pub use csv::csv;
pub use html::{MAX_CELLS, html};
pub use metrics::metrics;
pub use terminal::{dry_run, ended_line, terminal};

#[cfg(test)]
mod samples {
    use std::collections::BTreeMap;

    use crate::bulk::{Ended, Ending, Summary};
    use crate::manifest::{Rollup, RollupState};
    use crate::model::{
        Counters, DifferenceKind, DirectoryType, Outcome, RootId, Scope, ScopeLimits, SourceRules, Tally,
    };
    use crate::protocol::{ReportBody, ReportSummary};

    /// A comparison with this name; a different one has a table that differs.
    pub(super) fn ended(name: &str, outcome: Ending) -> Ended {
        let different = outcome == Ending::Different;
        let scope = Scope {
            roots: vec![RootId::DATA_0],
            selection: None,
            files_excluded: vec![],
            directories_excluded: vec![],
            source_rules: SourceRules::Same,
            limits: ScopeLimits::default(),
        };
        let counters = Counters { files_matched: 3, digest_mismatches: u64::from(different), ..Counters::default() };
        let found = Tally { counters, differences: u64::from(different), content_not_compared: 0 };
        let rollup = Rollup {
            directory_type: DirectoryType::Data,
            keyspace: Some("shop".to_owned()),
            table: Some("orders".to_owned()),
            state: RollupState::Different,
            source_files: 1,
            source_bytes: 1,
            destination_files: 1,
            destination_bytes: 1,
            differences: BTreeMap::from([(DifferenceKind::Content, 1)]),
        };
        let summary =
            ReportSummary { rollups: different.then_some(rollup).into_iter().collect(), ..Default::default() };
        let report = ReportBody::local(&Outcome::new(scope, found, vec![]), vec![], summary, "s".to_owned(), (1, 2));
        let shop = if different { RollupState::Different } else { RollupState::Equal };
        let reached = outcome != Ending::Unreachable;
        let keyspaces = [("audit".to_owned(), RollupState::Equal), ("shop".to_owned(), shop)];
        Ended {
            name: name.to_owned(),
            fingerprint: "f".to_owned(),
            outcome,
            message: if reached { report.status.headline.clone() } else { "refused".to_owned() },
            began_at: 1000,
            ended_at: 3500,
            worked_ms: 2000,
            tries: 1,
            task: None,
            page: reached.then(|| "comparisons/a.html".to_owned()),
            keyspaces: if reached { keyspaces.into() } else { BTreeMap::new() },
            rollups_left_out: if different { 7 } else { 0 },
            result: reached.then(|| Box::new(report)),
        }
    }

    pub(super) fn summary() -> Summary {
        let endings =
            [("b", Ending::Equal), ("c\u{1b}\n", Ending::Unreachable), ("a", Ending::Equal), ("=d", Ending::Different)];
        let comparisons = endings.map(|(name, ending)| ended(name, ending)).to_vec();
        Summary::new(comparisons, 0, (1000, 4000), (3000, 2500))
    }
}
