//! Comparing two sides that need no service: scanned where they are directories, and then branch by branch, or file by file with a checksum
//! list.

use std::time::Instant;

use super::args::{RemoteArgs, ScanArgs};
use super::basis::Basis;
use super::elsewhere::Elsewhere;
use super::exit_code::CommandError;
use super::local::{Scan, Tree, readers};
use super::narrowing::Narrowing;
use super::progress::Bars;
use super::side::Side;
use super::sides::{Narrowed, Sides};
use super::signals::Stop;
use super::streamed::Kept;
use crate::manifest::{
    Compared as Facts, Depth, Described, DirectoryIndex, DirectoryTable, Manifest, RootTables, find_by, matched_files,
    outcome, unsteady_directories, unsteady_of,
};
use crate::model::{
    ChecksumAlgorithm, FileUrl, Findings, MetadataSummary, NotCompared, RelPath, RootId, ScopeLimits, Sink, Verdict,
};
use crate::protocol::{ReportBody, ReportSummary, TaskState, TaskStatus, Timings};
use crate::report::MAX_PRINTED;
use crate::scan::{Cancel, Readers};
use crate::store::Pages;
use crate::verify::{ByList, Compared, Found, Values};
use crate::work::now_ms;

/// How two sides are compared.
pub(super) struct How<'a> {
    /// How directories are scanned.
    pub scan: &'a ScanArgs,
    /// How those on other hosts are reached.
    pub remote: &'a RemoteArgs,
    /// Content is compared of everything whose metadata matches, even where other entries differ.
    pub keep_going: bool,
    /// No progress is shown.
    pub quiet: bool,
    /// What of both sides is compared.
    pub narrowed: Narrowing,
}

/// What a comparison came to.
pub(super) struct CameTo {
    pub verdict: Verdict,
    /// With the first differences.
    pub report: ReportBody,
    /// All differences.
    pub differences: Pages,
    /// Directories of the source of which nobody knows what is in them: links, which are not entered, and those that could not be listed.
    pub hidden: Vec<FileUrl>,
}

/// Metadata first: where it differs and nobody asked to go on, no file is read.
pub(super) fn compare(sides: &[Side; 2], how: &How<'_>, stop: &Stop) -> Result<CameTo, CommandError> {
    let (began, clock) = (now_ms(), Instant::now());
    let elapsed_ms = || Some(u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX));
    let named = sides.each_ref();
    let basis = Basis::of(named, how.narrowed.algorithm)?;
    let (bars, asked, here) = (bars(sides, how.quiet), stop.cancel(), Cancel::default());
    let elsewhere = Elsewhere::start(sides, (how.remote, how.scan), (&bars, how.quiet), &here)?;
    // After the remote shells, which are to have the system's own limits.
    let readers = readers(how.scan)?;
    // With nobody to be stopped by, the signal's own flag will do.
    let cancel = if elsewhere.is_empty() { &asked } else { &here };
    let scan = Scan::new(directories(sides), how.scan, &bars, cancel);
    // What comes from elsewhere is hashed already, so that there is nothing to gain by looking at metadata first.
    let (walked, fetched) = match elsewhere.is_empty() {
        true => (scan.walk(&readers)?, Vec::new()),
        false => elsewhere.beside(&asked, || {
            let walked = scan.walk(&readers)?;
            scan.hash(&readers, &walked)?;
            Ok(walked)
        })?,
    };
    let mut fetched = fetched.iter();
    let sides = named.map(|side| side.place().and_then(|_| fetched.next()).unwrap_or(side));
    let mut timings = Timings { walked_ms: elapsed_ms(), source_walked_ms: elapsed_ms(), ..Timings::default() };
    let scanned_elsewhere = |at: usize| match (named[at].place(), sides[at]) {
        (Some(_), Side::File(file)) => Tree::elsewhere(&file.identity().instance, how.scan).map(Some),
        _ => Ok(None),
    };
    let scanned_elsewhere = [scanned_elsewhere(0)?, scanned_elsewhere(1)?];
    let wholes = Sides::of(sides, &scanned_elsewhere, &walked, &how.narrowed, basis)?;
    let narrowed = wholes.narrowed(&how.narrowed, basis)?;
    let [source, destination] = narrowed.comparands();
    let facts = narrowed.facts();
    let mut found = Found::new(None);
    if !how.keep_going {
        find_by(source, destination, Depth::Metadata, facts.wanted, &mut found)?;
    }
    if found.tally().counters.metadata_summary() == MetadataSummary::Same {
        // None where they are hashed already.
        let unhashed = if elsewhere.is_empty() { walked.as_slice() } else { &[] };
        let content = Content { sides: &wholes, narrowed: &narrowed, scan: &scan, readers: &readers, unhashed };
        found = content.compared(basis)?;
        (timings.hashed_ms, timings.source_hashed_ms) = (elapsed_ms(), elapsed_ms());
    }
    let total = found.total(String::new());
    let mut outcome = outcome(source, destination, total.tally);
    outcome.scope.limits = limits(&how.narrowed, basis, &facts);
    outcome.notes.extend(wholes.notes());
    let not_found = narrowed.names_not_found()?;
    outcome.notes.extend(not_found.iter().map(|[note, _]| note.clone()));
    let mut from = scan.provenances().into_iter();
    let mut provenance = |side: &Side| side.tree().and_then(|_| from.next());
    let (source_from, destination_from) = (provenance(sides[0]), provenance(sides[1]));
    let (left, right) = (source.tables(), destination.tables());
    let hidden = hidden(&left);
    let name = source.identity().instance.clone();
    let source = Described { identity: source.identity(), tables: &left, listed: false };
    let destination = Described { identity: destination.identity(), tables: &right, listed: false };
    let compared =
        Compared::new(outcome, total, (source, source_from), (destination, destination_from), how.keep_going);
    timings.total_ms = elapsed_ms();
    let Compared { outcome, rollups, read, differences } = compared;
    let first = Kept(&differences).page(0, MAX_PRINTED as u64).map_err(CommandError::Failed)?;
    let summary = ReportSummary { notes: outcome.notes.clone(), rollups, read, timings };
    let mut report = ReportBody::local(&outcome, first, summary, name, (began, now_ms()));
    if let Some(algorithm) = basis.checksums() {
        report.status.digest_algorithm = algorithm.name().to_owned();
    }
    let verdict = match not_found {
        Some([_, headline]) => not_all_checked(outcome.verdict(), headline, &mut report.status),
        None => outcome.verdict(),
    };
    Ok(CameTo { verdict, report, differences, hidden })
}

/// Something that was asked for stands nowhere: nothing differs in it, and it was not checked either.
fn not_all_checked(verdict: Verdict, what: String, status: &mut TaskStatus) -> Verdict {
    status.state = TaskState::Failed;
    status.message = Some(match status.message.take() {
        Some(message) => format!("{message}; {what}"),
        None => what,
    });
    status.refresh();
    match verdict {
        Verdict::Different => Verdict::Different,
        Verdict::Equal | Verdict::NothingCompared | Verdict::Unverified => Verdict::Unverified,
    }
}

/// Entries of which nobody knows what is in them. A root that is not there counts as empty, and may be a disk that is not mounted.
fn hidden(tables: &RootTables<'_>) -> Vec<FileUrl> {
    let of = |(id, table): &(RootId, Option<&DirectoryTable>)| {
        let Some(table) = table else { return vec![FileUrl::new(*id, RelPath::root())] };
        let is_hidden = |index: &DirectoryIndex| table.get(*index).link || table.get(*index).unlisted.is_some();
        table.indices().filter(is_hidden).map(|index| FileUrl::new(*id, table.path(index))).collect()
    };
    tables.iter().flat_map(of).collect()
}

/// What the result does not speak of, besides what the rules leave out.
fn limits(narrowing: &Narrowing, basis: Basis, facts: &Facts) -> ScopeLimits {
    let (compared, checksums) = (facts.facts(), basis.checksums());
    let not_compared = [
        (!compared.times, NotCompared::ModificationTimes),
        (!compared.sizes, NotCompared::Sizes),
        (checksums.is_some(), NotCompared::EmptyDirectories),
    ];
    ScopeLimits {
        filters: narrowing.texts.clone(),
        not_compared: not_compared.into_iter().filter(|(not, _)| *not).map(|(_, fact)| fact).collect(),
        checksums: checksums.map(|algorithm| algorithm.name().to_owned()),
    }
}

/// The comparison of contents, once metadata was compared.
struct Content<'a> {
    sides: &'a Sides<'a>,
    narrowed: &'a Narrowed<'a>,
    scan: &'a Scan<'a>,
    readers: &'a Readers,
    /// What was walked and not hashed yet.
    unhashed: &'a [Manifest],
}

impl Content<'_> {
    fn compared(&self, basis: Basis) -> Result<Found, CommandError> {
        let [source, destination] = self.narrowed.comparands();
        let wanted = self.narrowed.facts().wanted;
        let mut found = Found::new(None);
        match basis {
            Basis::Manifests | Basis::Checksums(ChecksumAlgorithm::Blake3) => {
                self.scan.hash(self.readers, self.unhashed)?;
                find_by(source, destination, Depth::Content, wanted, &mut found)?;
            }
            Basis::Checksums(algorithm) => {
                find_by(source, destination, Depth::Metadata, wanted, &mut MetadataAlone(&mut found))?;
                self.by_list(algorithm, &mut found)?;
                found.take(unsteady_directories(unsteady_of(source), unsteady_of(destination)));
            }
        }
        Ok(found)
    }

    fn by_list(&self, algorithm: ChecksumAlgorithm, found: &mut Found) -> Result<(), CommandError> {
        let Some([source, destination]) = self.narrowed.parts() else { return Ok(()) };
        let facts = self.narrowed.facts();
        let files = matched_files(source, destination, facts.wanted)?;
        let [source, destination] = self.sides.values().map(|values: Option<Values<'_>>| {
            values.ok_or_else(|| CommandError::Failed("internal error: a side has no values".to_owned()))
        });
        let by_list = ByList { files: &files, source: source?, destination: destination?, algorithm };
        let values = self.scan.read_otherwise(self.readers, |context| by_list.read(context))?;
        by_list.find(values, &facts, found);
        Ok(())
    }
}

/// Takes what metadata tells, where contents are compared afterwards.
struct MetadataAlone<'a>(&'a mut Found);

impl Sink for MetadataAlone<'_> {
    fn take(&mut self, part: Findings) {
        self.0.take(Findings { content_not_compared: 0, ..part });
    }
}

/// A bar for each side that is scanned, in the order of the sides.
fn bars(sides: &[Side; 2], quiet: bool) -> Bars {
    let labelled = sides.iter().zip(["source", "destination"]).filter(|(side, _)| side.is_scanned());
    Bars::new(&labelled.map(|(_, label)| label).collect::<Vec<_>>(), quiet)
}

/// The sides that are scanned here, each with the number of its bar.
fn directories(sides: &[Side; 2]) -> Vec<(usize, &Tree)> {
    let scanned = sides.iter().filter(|side| side.is_scanned()).enumerate();
    scanned.filter_map(|(bar, side)| Some((bar, side.tree()?))).collect()
}
