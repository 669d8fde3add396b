//! What a run comes to: the outcome, and what a report says besides. Pure.

use crate::manifest::{
    Described, DifferenceSums, DirectoryIndex, DirectoryTable, Rollup, nothing_compared_note, rollups, trusted_note,
};
use crate::model::{MetadataSummary, Outcome, Provenance, RootId, Side, Verdict};
use crate::protocol::{ReadBody, SideBody, not_compared};

/// A finished comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// What was found.
    pub outcome: Outcome,
    /// The sums by keyspace and table.
    pub rollups: Vec<Rollup>,
    /// What was read on both sides.
    pub read: ReadBody,
}

impl Compared {
    /// Puts the outcome of a comparison of these two sides into words and sums.
    pub fn new(
        mut outcome: Outcome,
        (source, source_from): (Described<'_>, Option<Provenance>),
        (destination, destination_from): (Described<'_>, Option<Provenance>),
        keep_going: bool,
    ) -> Self {
        outcome.notes.extend(not_compared(outcome.content_not_compared));
        outcome.notes.extend(trusted_note(Side::Source, source_from));
        outcome.notes.extend(trusted_note(Side::Destination, destination_from));
        if outcome.verdict() == Verdict::NothingCompared {
            outcome.notes.push(nothing_compared_note());
        }
        let content_compared = keep_going || outcome.counters.metadata_summary() == MetadataSummary::Same;
        let mut sums = DifferenceSums::default();
        outcome.differences.iter().for_each(|difference| sums.add(difference));
        Self {
            rollups: rollups(source.tables, destination.tables, sums, content_compared),
            read: ReadBody {
                source: Some(side(source, source_from)),
                destination: Some(side(destination, destination_from)),
            },
            outcome,
        }
    }
}

fn side(side: Described<'_>, from: Option<Provenance>) -> SideBody {
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
        from,
    }
}
