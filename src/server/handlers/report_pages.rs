//! A page of a report as a stream: what stands before the differences, then these, some at a time from where they are kept.

use std::io;

use axum::body::Bytes;
use futures_util::Stream;
use serde::Deserialize;

use crate::protocol::{DifferenceBody, ReportBody, routes};
use crate::report;
use crate::task::TaskReport;
use crate::verify::Verification;
use crate::work::MemoryPermit;

/// How many differences are read and rendered at a time.
pub(super) const STEP: u64 = 200;

/// What the answer takes in memory besides what stands around the differences, in bytes: so many of them as they are kept and as
/// they are sent. Most have some 500 bytes, and those of long paths with evidence of both sides less than 5,000.
pub(super) const PAGE_BYTES: u64 = STEP * 10_000;

/// The form of a report.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::server) enum Format {
    /// For programs.
    #[default]
    Json,
    /// The differences alone, for a spreadsheet.
    Csv,
    /// For people.
    Html,
}

impl Format {
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
        }
    }

    /// What stands before the differences of a page and behind them. `report` has none; `shown` of them are to come.
    pub(super) fn frame(self, report: &ReportBody, limit: u64, shown: u64) -> (String, String) {
        match self {
            Self::Json => {
                // Our own values always serialise; the empty list stands last.
                let text = serde_json::to_string(report).unwrap_or_default();
                (text.strip_suffix("]}").unwrap_or_default().to_owned(), "]}".to_owned())
            }
            Self::Csv => (report::csv(report), String::new()),
            Self::Html => report::html(report, &routes::report(&report.status.id), limit, shown),
        }
    }

    /// Some differences. `first` where none stands before them.
    pub(super) fn rows(self, differences: &[DifferenceBody], first: bool) -> String {
        match self {
            Self::Json => {
                let text = serde_json::to_string(differences).unwrap_or_default();
                let list = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or_default();
                if first { list.to_owned() } else { format!(",{list}") }
            }
            Self::Csv => report::csv_rows(differences),
            Self::Html => report::html_rows(differences),
        }
    }
}

/// Which differences of which report.
pub(super) struct Shown {
    pub report: TaskReport<Verification>,
    pub offset: u64,
    pub count: u64,
    /// The first of them as text, at most [`STEP`]. They are read before the head of the answer goes out, which can then still say
    /// what stands in the way.
    pub first: String,
}

/// The body of a page: what stands around the differences, and they. Where they cannot be read any more the body breaks off: it
/// is never taken for a whole page.
pub(super) fn body(
    format: Format,
    (before, behind): (String, String),
    shown: Shown,
    memory: MemoryPermit,
) -> impl Stream<Item = io::Result<Bytes>> {
    async_stream::try_stream! {
        let _held = memory;
        yield Bytes::from(before);
        let Shown { report, offset, count, first } = shown;
        let mut sent = STEP.min(count);
        yield Bytes::from(first);
        while sent < count {
            let step = STEP.min(count - sent);
            let page = (offset.saturating_add(sent), step);
            let rows = report.page(page, move |differences| format.rows(differences, false));
            yield Bytes::from(rows.await.map_err(io::Error::other)?);
            sent += step;
        }
        yield Bytes::from(behind);
    }
}
