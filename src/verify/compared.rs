//! What a run comes to: the outcome, and what a report says besides. Pure.

use super::found::Total;
use crate::manifest::{
    Described, DirectoryIndex, DirectoryTable, Rollup, nothing_compared_note, rollups, trusted_note, unrecordable_note,
};
use crate::model::{MetadataSummary, Outcome, Provenance, RootId, Side, Verdict, grouped};
use crate::protocol::{ReadBody, SideBody, not_compared};
use crate::store::{Lost, Pages};

/// A finished comparison.
#[derive(Debug)]
pub struct Compared {
    /// What was found.
    pub outcome: Outcome,
    /// The sums by keyspace and table.
    pub rollups: Vec<Rollup>,
    /// What was read on both sides.
    pub read: ReadBody,
    /// The differences, each as a [`crate::protocol::DifferenceBody`], ordered by root and path.
    pub differences: Pages,
}

impl Compared {
    /// Puts the outcome of a comparison of these two sides, and what it found, into words and sums.
    pub fn new(
        mut outcome: Outcome,
        found: Total,
        (source, source_from): (Described<'_>, Option<Provenance>),
        (destination, destination_from): (Described<'_>, Option<Provenance>),
        keep_going: bool,
    ) -> Self {
        outcome.notes.extend(not_compared(outcome.content_not_compared));
        outcome.notes.extend(trusted_note(Side::Source, source_from));
        outcome.notes.extend(trusted_note(Side::Destination, destination_from));
        outcome.notes.extend(unrecordable_note(Side::Source, source_from));
        outcome.notes.extend(unrecordable_note(Side::Destination, destination_from));
        if outcome.verdict() == Verdict::NothingCompared {
            outcome.notes.push(nothing_compared_note());
        }
        let content_compared = keep_going || outcome.counters.metadata_summary() == MetadataSummary::Same;
        outcome.notes.extend(found.lost.as_ref().map(lost_note));
        Self {
            rollups: rollups(source.tables, destination.tables, found.sums, content_compared),
            differences: found.pages,
            read: ReadBody {
                source: Some(side(source, source_from)),
                destination: Some(side(destination, destination_from)),
            },
            outcome,
        }
    }
}

/// Counters, state and sums tell all of them.
fn lost_note(lost: &Lost) -> String {
    let (unit, verb) = if lost.items == 1 { ("difference", "is") } else { ("differences", "are") };
    format!(
        "{} {unit} {verb} counted and not listed: there was no room to keep them ({})",
        grouped(lost.items),
        lost.cause
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_that_found_no_room_are_named_with_the_cause() {
        let lost = |items| Lost { items, cause: std::io::ErrorKind::StorageFull.into() };
        assert_eq!(
            lost_note(&lost(12_345)),
            "12,345 differences are counted and not listed: there was no room to keep them (no storage space)"
        );
        assert!(lost_note(&lost(1)).starts_with("1 difference is counted and not listed"));
    }
}
