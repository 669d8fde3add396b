//! Differences as comma-separated values (RFC 4180), a line for each.

use super::words::counters;
use crate::model::{FileUrl, printable};
use crate::protocol::{DifferenceBody, EvidenceBody, ReportBody, TaskStatus};

/// The columns.
const HEADER: [&str; 13] = [
    "fileUrl",
    "pathHex",
    "kind",
    "side",
    "reason",
    "detail",
    "sourceType",
    "sourceSize",
    "sourceLastModifiedTime",
    "sourceDigests",
    "destinationType",
    "destinationSize",
    "destinationLastModifiedTime",
];

/// What stands before the differences of a page: a line of column names, and a row of kind `summary` with state, headline and
/// counters in `detail`.
pub fn csv(report: &ReportBody) -> String {
    let header = HEADER.into_iter().chain(["destinationDigests"]).map(str::to_owned).collect();
    records([header, summary(&report.status)])
}

/// Some differences, a row for each. What does not print is escaped, and the exact bytes of such a name stand in `pathHex`. A text that
/// a spreadsheet would take for a formula begins with an apostrophe.
pub fn csv_rows(differences: &[DifferenceBody]) -> String {
    records(differences.iter().map(row))
}

pub(super) fn records(rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    for row in rows {
        // A vector takes whatever is written.
        let _ = writer.write_record(row);
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// There is no place for a headline in a table, and none of these facts may be missing from it.
fn summary(status: &TaskStatus) -> Vec<String> {
    let counted = counters(&status.counters).map(|(count, what)| format!("{what}: {count}"));
    let detail = format!("{}: {}; {}", status.state, printable(&status.headline), counted.join("; "));
    let mut row = vec![String::new(); HEADER.len() + 1];
    row[2] = "summary".to_owned();
    row[5] = detail;
    row
}

fn row(difference: &DifferenceBody) -> Vec<String> {
    let text = |text: &Option<String>| text.as_deref().map(cell).unwrap_or_default();
    let escaped = printable(&difference.file_url) != difference.file_url;
    let exact =
        FileUrl::parse(&difference.file_url, None).filter(|_| escaped).map(|url| hex::encode(url.path.as_bytes()));
    let mut row = vec![
        cell(&difference.file_url),
        difference.path_hex.clone().or(exact).unwrap_or_default(),
        difference.kind.name().to_owned(),
        text(&difference.side),
        difference.reason.map(|reason| reason.to_string()).unwrap_or_default(),
        text(&difference.detail),
    ];
    for evidence in [&difference.source, &difference.destination] {
        row.extend(columns(evidence.as_ref()));
    }
    row
}

fn columns(evidence: Option<&EvidenceBody>) -> [String; 4] {
    let Some(evidence) = evidence else { return Default::default() };
    let kind = evidence.file_type.map(|kind| format!("{kind:?}").to_uppercase());
    let digests: Vec<String> = evidence.digests.iter().map(|(algorithm, text)| format!("{algorithm}:{text}")).collect();
    [
        kind.unwrap_or_default(),
        evidence.size.map(|size| size.to_string()).unwrap_or_default(),
        evidence.last_modified_time.map(|time| time.to_string()).unwrap_or_default(),
        cell(&digests.join(" ")),
    ]
}

/// A text as a cell. Spreadsheets calculate what begins like a formula, and take an apostrophe before it for the sign that it is
/// text; so one that is there already gets a second one. Whoever reads cells back drops one apostrophe from the begin of each.
pub(super) fn cell(text: &str) -> String {
    let text = printable(text);
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\'' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}') => format!("'{text}"),
        _ => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DifferenceKind;

    #[test]
    fn no_cell_is_a_formula_and_each_can_be_read_back() {
        let formulas = ["=1+1", "+1", "-1", "@SUM(A1)", "'", "'=1", "\u{ff1d}1"];
        for text in formulas.into_iter().chain(["", "a=b", "permission denied"]) {
            let cell = cell(text);
            assert_eq!(cell.strip_prefix('\'').unwrap_or(&cell), text);
            assert_eq!(cell.starts_with('\''), formulas.contains(&text), "{cell}");
        }
        // What is skipped before a formula does not stand there as itself.
        assert_eq!(
            (cell("\t=1"), cell("\r=1"), cell("\u{feff}=1")),
            ("\\t=1".into(), "\\r=1".into(), "\\u{feff}=1".into())
        );
    }

    #[test]
    fn names_keep_their_place_whatever_is_in_them() {
        let difference = DifferenceBody {
            file_url: "/api/v1/live-migration/files/data/0/a,\"b\"\n.db".to_owned(),
            path_hex: None,
            kind: DifferenceKind::MissingAtSource,
            side: None,
            reason: None,
            detail: None,
            source: None,
            destination: None,
        };
        let row = row(&difference);
        let exact = "612c2262220a2e6462";
        assert_eq!(row[..3], ["/api/v1/live-migration/files/data/0/a,\"b\"\\n.db", exact, "missing-at-source"]);
        assert_eq!(row.len(), HEADER.len() + 1);
    }
}
