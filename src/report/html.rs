//! A report as one page of HTML: no script, nothing from elsewhere, and readable in a browser without colours.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::units::time_utc;
use super::words::{counters, evidence_words, name, provenance};
use crate::manifest::Rollup;
use crate::model::printable;
use crate::protocol::{DifferenceBody, ReportBody, SideBody, Timings};

pub(super) const STYLE: &str = "body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}\
                     td,th{border:1px solid #999;padding:.2em .6em;text-align:left;vertical-align:top}\
                     td.number{text-align:right}";

/// What stands where the differences come: no text has it, since control characters are escaped.
const DIFFERENCES: &str = "\0";

/// The page but for its differences: what comes before them and what behind. `path` is where the report is served, for the links
/// to its other pages; `limit` is the size of a page, and `shown` the number of differences on this one.
pub fn html(report: &ReportBody, path: &str, limit: u64, shown: u64) -> (String, String) {
    page(report, &report.status.id, None, pages(report, path, limit, shown), shown)
}

/// The same of a comparison that is one of many: with its name, and with all of its differences on the one page.
pub fn html_of(name: &str, report: &ReportBody) -> (String, String) {
    let total = report.differences_total;
    page(report, name, Some(name), pages(report, "", total, total), total)
}

fn page(report: &ReportBody, of: &str, name: Option<&str>, pages: Markup, shown: u64) -> (String, String) {
    let status = &report.status;
    let title = format!("{} {}", status.state, printable(of));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (title) } style { (STYLE) } }
            body {
                h1 { (status.state.to_string()) @if let Some(name) = name { " " (printable(name)) } }
                p { (printable(&status.headline)) }
                (facts(report))
                h2 { "Counters" }
                table { @for (count, what) in counters(&status.counters) {
                    tr { th { (what) } td.number { (count) } }
                } }
                @if !report.summary.notes.is_empty() {
                    h2 { "Notes" }
                    ul { @for note in &report.summary.notes { li { (printable(note)) } } }
                }
                @if !report.summary.rollups.is_empty() {
                    h2 { "Keyspaces and tables" }
                    (rollups(&report.summary.rollups))
                }
                h2 { "Differences" }
                (pages)
                @if shown > 0 {
                    table {
                        tr { th { "kind" } th { "entry" } th { "source" } th { "destination" } }
                        (PreEscaped(DIFFERENCES))
                    }
                }
            }
        }
    };
    let page = page.into_string();
    match page.split_once(DIFFERENCES) {
        Some((before, behind)) => (before.to_owned(), behind.to_owned()),
        None => (page, String::new()),
    }
}

fn facts(report: &ReportBody) -> Markup {
    let status = &report.status;
    let protocol = status.protocol_reason.as_deref().unwrap_or("the source has not answered");
    html! {
        table {
            tr { th { "task" } td { (printable(&status.id)) } }
            tr { th { "source" } td { (printable(&status.source)) ":" (status.port) } }
            tr { th { "protocol" } td { (status.protocol.to_string()) ": " (printable(protocol)) } }
            tr { th { "began" } td { (time_utc(status.started_at)) } }
            tr { th { "ended" } td { (status.ended_at.map_or_else(|| "not yet".to_owned(), time_utc)) } }
            tr { th { "requests to the source" } td { (status.progress.source_requests) } }
            @for (side, read) in [("source", &report.summary.read.source), ("destination", &report.summary.read.destination)] {
                @if let Some(read) = read { tr { th { "read by the " (side) } td { (side_words(read)) } } }
            }
            tr { th { "read in full" } td {
                (status.progress.source_bytes_hashed) " bytes at the source, "
                (status.progress.bytes_hashed) " bytes at the destination"
            } }
            tr { th { "time" } td { (timing_words(&report.summary.timings)) } }
        }
    }
}

fn side_words(side: &SideBody) -> String {
    let SideBody { host, instance, roots, files, bytes, from } = side;
    let from = from.as_ref().map(|from| format!("; {}", provenance(from))).unwrap_or_default();
    printable(&format!("{files} files, {bytes} bytes of {instance} on {host}: {}{from}", roots.join(", "))).into_owned()
}

fn timing_words(timings: &Timings) -> String {
    let phases = [
        ("listed here", timings.walked_ms),
        ("listed at the source", timings.source_walked_ms),
        ("read here", timings.hashed_ms),
        ("read at the source", timings.source_hashed_ms),
        ("over", timings.total_ms),
    ];
    let passed = phases.into_iter().filter_map(|(what, ms)| ms.map(|ms| format!("{what} after {ms} ms")));
    passed.collect::<Vec<_>>().join(", ")
}

fn rollups(rollups: &[Rollup]) -> Markup {
    html! {
        table {
            tr {
                th { "root" } th { "keyspace" } th { "table" } th { "state" } th { "files at the source" }
                th { "at the destination" } th { "differences" }
            }
            @for rollup in rollups {
                tr {
                    td { (rollup.directory_type.name()) }
                    td { (printable(rollup.keyspace.as_deref().unwrap_or_default())) }
                    td { (printable(rollup.table.as_deref().unwrap_or_default())) }
                    td { (rollup.state.name()) }
                    td.number { (rollup.source_files) }
                    td.number { (rollup.destination_files) }
                    td { @for (kind, count) in &rollup.differences { (count) " " (kind.name()) " " } }
                }
            }
        }
    }
}

fn pages(report: &ReportBody, path: &str, limit: u64, shown: u64) -> Markup {
    let (offset, total) = (report.offset, report.differences_total);
    let end = offset.saturating_add(shown);
    let link = |offset: u64| format!("{path}?format=html&offset={offset}&limit={limit}");
    html! {
        p {
            @if total == 0 && report.status.state.is_final() { "none" }
            @else if total == 0 { "none known yet: the task is not finished" }
            @else if shown == 0 { "none on this page; there are " (total) " in all" }
            @else { (offset + 1) " to " (end) " of " (total) }
            @if offset > 0 { " " a href=(link(offset.saturating_sub(limit))) { "previous page" } }
            @if end < total && shown > 0 { " " a href=(link(end)) { "next page" } }
        }
    }
}

/// Some differences, as rows of the table in the page.
pub fn html_rows(differences: &[DifferenceBody]) -> String {
    let rows = html! {
        @for difference in differences {
            tr {
                td { (difference.kind.name()) }
                td {
                    (name(difference))
                    @if let (Some(reason), Some(side)) = (difference.reason, &difference.side) {
                        br; (reason.to_string()) " at " (printable(side)) ": "
                        (printable(difference.detail.as_deref().unwrap_or_default()))
                    }
                }
                @for evidence in [&difference.source, &difference.destination] {
                    td { (evidence.as_ref().map_or_else(|| "-".to_owned(), evidence_words)) }
                }
            }
        }
    };
    rows.into_string()
}
