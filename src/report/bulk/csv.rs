//! Many comparisons as comma-separated values (RFC 4180): a row for each, and behind it one for each of its keyspaces and tables in which
//! not everything is equal.

use crate::bulk::{Ended, Summary};
use crate::manifest::Rollup;
use crate::report::csv::{cell, records};
use crate::report::words::counters;

/// The columns before the counters.
const HEADER: [&str; 12] = [
    "comparison",
    "outcome",
    "root",
    "keyspace",
    "table",
    "differences",
    "sourceFiles",
    "destinationFiles",
    "beganAt",
    "endedAt",
    "task",
    "message",
];

/// The columns of the counters, as they are called in JSON.
const COUNTERS: [&str; 7] = [
    "metadataMatched",
    "filesMatched",
    "filesNotFoundAtSource",
    "filesNotFoundAtDestination",
    "metadataMismatches",
    "digestMismatches",
    "digestVerificationFailures",
];

/// All of a run, the worst first. Texts are cells as in the table of one comparison.
pub fn csv(summary: &Summary) -> String {
    let header = HEADER.into_iter().chain(COUNTERS).map(str::to_owned).collect();
    let rows = summary.comparisons.iter().flat_map(|ended| {
        let rollups = ended.result.iter().flat_map(|result| &result.summary.rollups);
        std::iter::once(comparison(ended)).chain(rollups.map(|rollup| sum(ended, rollup)))
    });
    records(std::iter::once(header).chain(rows))
}

fn comparison(ended: &Ended) -> Vec<String> {
    let empty = String::new;
    let total = ended.result.as_ref().map(|result| result.differences_total.to_string()).unwrap_or_default();
    let mut row = vec![
        cell(&ended.name),
        ended.outcome.name().to_owned(),
        empty(),
        empty(),
        empty(),
        total,
        empty(),
        empty(),
        ended.began_at.to_string(),
        ended.ended_at.to_string(),
        cell(ended.task.as_deref().unwrap_or_default()),
        cell(&ended.message),
    ];
    match &ended.result {
        Some(result) => row.extend(counters(&result.status.counters).map(|(count, _)| count.to_string())),
        None => row.extend(COUNTERS.map(|_| empty())),
    }
    row
}

fn sum(ended: &Ended, rollup: &Rollup) -> Vec<String> {
    let text = |text: &Option<String>| cell(text.as_deref().unwrap_or_default());
    let found: Vec<String> =
        rollup.differences.iter().map(|(kind, count)| format!("{count} {}", kind.name())).collect();
    let mut row = vec![
        cell(&ended.name),
        rollup.state.name().to_owned(),
        rollup.directory_type.name().to_owned(),
        text(&rollup.keyspace),
        text(&rollup.table),
        rollup.differences.values().copied().fold(0, u64::saturating_add).to_string(),
        rollup.source_files.to_string(),
        rollup.destination_files.to_string(),
    ];
    row.resize(HEADER.len() - 1, String::new());
    row.push(cell(&found.join(", ")));
    row.resize(HEADER.len() + COUNTERS.len(), String::new());
    row
}

#[cfg(test)]
mod tests {
    use super::super::samples::summary;
    use super::*;

    #[test]
    fn every_comparison_has_a_row_and_so_has_each_table_that_differs() {
        let text = csv(&summary());
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let column = |at: usize| rows.iter().map(|row| row[at].to_owned()).collect::<Vec<_>>();
        assert_eq!(column(0), ["'=d", "'=d", "c\\u{1b}\\n", "a", "b"], "no cell is a formula");
        assert_eq!(column(1), ["different", "different", "unreachable", "equal", "equal"]);
        assert_eq!(column(4), ["", "orders", "", "", ""]);
        assert_eq!((&rows[0][5], &rows[1][5], &rows[1][11], &rows[0][17]), ("1", "1", "1 content", "1"));
        assert!(rows.iter().all(|row| row.len() == HEADER.len() + COUNTERS.len()));
    }
}
