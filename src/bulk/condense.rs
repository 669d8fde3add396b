//! What of a result is kept for the end of a run: thousands of them are held at once. Pure.

use std::collections::BTreeMap;

use crate::manifest::RollupState;
use crate::model::DirectoryType;
use crate::protocol::ReportBody;

/// How many differences of a comparison are kept, and how many keyspaces and tables that are not equal.
pub const MAX_LISTED: usize = 100;

/// Cuts a result down to what is kept, and sums it up by keyspace: how each came out, and how many sums were left out.
pub fn condense(report: &mut ReportBody) -> (BTreeMap<String, RollupState>, u64) {
    report.differences.truncate(MAX_LISTED);
    report.differences.shrink_to_fit();
    let mut keyspaces: BTreeMap<String, RollupState> = BTreeMap::new();
    let (mut kept, mut left_out) = (Vec::new(), 0);
    // Names are moved, not copied: there may be ten thousand of them, and a thousand comparisons.
    for rollup in std::mem::take(&mut report.summary.rollups) {
        let state = rollup.state;
        let name = match rollup.differences.is_empty() {
            true => place(rollup.keyspace, rollup.directory_type),
            false => {
                let name = place(rollup.keyspace.clone(), rollup.directory_type);
                match kept.len() {
                    ..MAX_LISTED => kept.push(rollup),
                    _ => left_out += 1,
                }
                name
            }
        };
        let known = keyspaces.entry(name).or_insert(state);
        *known = worse(*known, state);
    }
    report.summary.rollups = kept;
    (keyspaces, left_out)
}

/// The keyspace of a sum; a root without keyspaces, and what lies beside them, is named by its kind.
fn place(keyspace: Option<String>, kind: DirectoryType) -> String {
    keyspace.unwrap_or_else(|| format!("({})", kind.name()))
}

fn worse(a: RollupState, b: RollupState) -> RollupState {
    let rank = |state: &RollupState| match state {
        RollupState::Different => 0,
        RollupState::Unverified => 1,
        RollupState::NotCompared => 2,
        RollupState::Equal => 3,
    };
    [a, b].into_iter().min_by_key(rank).unwrap_or(a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Rollup;
    use crate::model::DifferenceKind;

    fn rollup(keyspace: Option<&str>, table: usize, state: RollupState) -> Rollup {
        let unequal = state == RollupState::Different;
        Rollup {
            directory_type: DirectoryType::Data,
            keyspace: keyspace.map(str::to_owned),
            table: Some(format!("t{table}")),
            state,
            source_files: 1,
            source_bytes: 1,
            destination_files: 1,
            destination_bytes: 1,
            differences: unequal.then_some((DifferenceKind::Content, 1)).into_iter().collect(),
        }
    }

    #[test]
    fn a_keyspace_is_as_good_as_the_worst_of_its_tables_and_what_is_equal_is_not_kept() {
        use RollupState::{Different, Equal, NotCompared, Unverified};
        let mut rollups = vec![
            rollup(Some("a"), 0, Equal),
            rollup(Some("a"), 1, NotCompared),
            rollup(Some("b"), 0, Unverified),
            rollup(Some("b"), 1, NotCompared),
            rollup(Some("c"), 0, Equal),
            rollup(None, 0, Equal),
        ];
        rollups.extend((0..MAX_LISTED + 5).map(|table| rollup(Some("d"), table, Different)));
        let mut report = crate::bulk::tally::tests::report();
        report.summary.rollups = rollups;
        let (keyspaces, left_out) = condense(&mut report);
        let expected = [("(data)", Equal), ("a", NotCompared), ("b", Unverified), ("c", Equal), ("d", Different)];
        assert_eq!(keyspaces, expected.map(|(name, state)| (name.to_owned(), state)).into());
        assert_eq!((report.summary.rollups.len(), left_out), (MAX_LISTED, 5));
    }
}
