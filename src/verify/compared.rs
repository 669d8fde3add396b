//! What a run comes to: the outcome, and what a report says besides. Pure.

use crate::manifest::{Described, DirectoryIndex, DirectoryTable, Rollup, rollups};
use crate::model::{MetadataSummary, Outcome, RootId, Verdict};
use crate::protocol::{ReadBody, SideBody};

/// A finished comparison.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Compared {
    pub outcome: Outcome,
    pub rollups: Vec<Rollup>,
    pub read: ReadBody,
}

impl Compared {
    /// Puts the outcome of a comparison of these two sides into words and sums.
    pub(super) fn new(
        mut outcome: Outcome,
        source: Described<'_>,
        destination: Described<'_>,
        keep_going: bool,
    ) -> Self {
        if outcome.verdict() == Verdict::NothingCompared {
            outcome.notes.push("there was not a single file to compare on either side".to_owned());
        }
        let content_compared = keep_going || outcome.counters.metadata_summary() == MetadataSummary::Same;
        Self {
            rollups: rollups(source.tables, destination.tables, &outcome.differences, content_compared),
            read: ReadBody { source: Some(side(source)), destination: Some(side(destination)) },
            outcome,
        }
    }
}

fn side(side: Described<'_>) -> SideBody {
    let present = |(id, table): &(RootId, Option<&DirectoryTable>)| {
        table.map(|table| (id.to_string(), table.totals(DirectoryIndex::ROOT)))
    };
    let roots: Vec<_> = side.tables.iter().filter_map(present).collect();
    SideBody {
        host: side.identity.host.clone(),
        instance: side.identity.instance.clone(),
        files: roots.iter().map(|(_, totals)| totals.files).sum(),
        bytes: roots.iter().map(|(_, totals)| totals.bytes).fold(0, u64::saturating_add),
        roots: roots.into_iter().map(|(id, _)| id).collect(),
    }
}
