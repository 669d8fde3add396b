//! Comparing two sides that need no service: scanned where they are directories, and then branch by branch.

use std::time::Instant;

use super::args::ScanArgs;
use super::exit_code::CommandError;
use super::local::{Scan, readers};
use super::side::{Side, pair};
use super::signals::Stop;
use super::streamed::Kept;
use crate::manifest::{Depth, Described, find, outcome};
use crate::model::{MetadataSummary, Verdict};
use crate::protocol::{ReportBody, ReportSummary, Timings};
use crate::report::MAX_PRINTED;
use crate::store::Pages;
use crate::verify::{Compared, Found};
use crate::work::now_ms;

/// How two sides are compared.
pub(super) struct How<'a> {
    /// How directories are scanned.
    pub scan: &'a ScanArgs,
    /// Content is compared of everything whose metadata matches, even where other entries differ.
    pub keep_going: bool,
    /// No progress is shown.
    pub quiet: bool,
}

/// Metadata first: where it differs and nobody asked to go on, no file is read.
pub(super) fn compare(
    sides: &[Side; 2],
    how: &How<'_>,
    stop: &Stop,
) -> Result<(Verdict, ReportBody, Pages), CommandError> {
    let (began, clock) = (now_ms(), Instant::now());
    let elapsed_ms = || Some(u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX));
    let readers = readers(how.scan)?;
    let trees = sides.iter().zip(["source", "destination"]).filter_map(|(side, label)| match side {
        Side::Directory(tree) => Some((label, tree)),
        Side::File(_) => None,
    });
    let scan = Scan::new(trees.collect(), how.scan, how.quiet, stop);
    let walked = scan.walk(&readers)?;
    let mut timings = Timings { walked_ms: elapsed_ms(), source_walked_ms: elapsed_ms(), ..Timings::default() };
    let (source, destination) = pair(sides, &walked)?;
    let mut found = Found::new(None);
    if !how.keep_going {
        find(source, destination, Depth::Metadata, &mut found)?;
    }
    if found.tally().counters.metadata_summary() == MetadataSummary::Same {
        scan.hash(&readers, &walked)?;
        (timings.hashed_ms, timings.source_hashed_ms) = (elapsed_ms(), elapsed_ms());
        found = Found::new(None);
        find(source, destination, Depth::Content, &mut found)?;
    }
    let total = found.total(String::new());
    let outcome = outcome(source, destination, total.tally);
    let mut from = scan.provenances().into_iter();
    let mut provenance = |side: &Side| matches!(side, Side::Directory(_)).then(|| from.next()).flatten();
    let (source_from, destination_from) = (provenance(&sides[0]), provenance(&sides[1]));
    let (left, right) = (source.tables(), destination.tables());
    let name = source.identity().instance.clone();
    let source = Described { identity: source.identity(), tables: &left, listed: false };
    let destination = Described { identity: destination.identity(), tables: &right, listed: false };
    let compared =
        Compared::new(outcome, total, (source, source_from), (destination, destination_from), how.keep_going);
    timings.total_ms = elapsed_ms();
    let Compared { outcome, rollups, read, differences } = compared;
    let first = Kept(&differences).page(0, MAX_PRINTED as u64).map_err(CommandError::Failed)?;
    let summary = ReportSummary { notes: outcome.notes.clone(), rollups, read, timings };
    let report = ReportBody::local(&outcome, first, summary, name, (began, now_ms()));
    Ok((outcome.verdict(), report, differences))
}
