//! `twintree diff`: two trees of this machine, each a directory or a manifest file.

use std::path::Path;
use std::time::Instant;

use super::args::{Common, DiffArgs};
use super::exit_code::{CommandError, ExitCode};
use super::local::{Scan, Tree, readers};
use super::output;
use super::signals::Stop;
use super::streamed::{Kept, Streamed};
use crate::manifest::{Comparand, Depth, Described, Manifest, ManifestFile, find, outcome};
use crate::model::{MetadataSummary, Verdict};
use crate::protocol::{ReportBody, ReportSummary, Timings};
use crate::report::{self, MAX_PRINTED};
use crate::store::Pages;
use crate::verify::{Compared, Found};
use crate::work::now_ms;

/// One side of the comparison.
enum Side {
    File(Box<ManifestFile>),
    Directory(Tree),
}

impl Side {
    fn open(path: &Path, args: &DiffArgs) -> Result<Self, CommandError> {
        if path.is_file() {
            Ok(Self::File(Box::new(ManifestFile::open(path)?)))
        } else {
            Tree::of_directory(path, &args.scan).map(Self::Directory)
        }
    }
}

pub(super) fn run(args: &DiffArgs, common: &Common, stop: &Stop) -> Result<ExitCode, CommandError> {
    let sides = [Side::open(&args.source, args)?, Side::open(&args.destination, args)?];
    let rules =
        !args.scan.exclude_file.is_empty() || !args.scan.exclude_dir.is_empty() || !args.scan.keyspace.is_empty();
    if rules && sides.iter().all(|side| matches!(side, Side::File(_))) {
        let what = "--exclude-file, --exclude-dir and --keyspace say what to scan, and a manifest is scanned already";
        return Err(CommandError::Usage(what.to_owned()));
    }
    let (verdict, result, pages) = compare(&sides, args, common, stop)?;
    if args.json {
        output::print_json(&Streamed::new(&result, &pages))?;
    } else {
        output::print(&report::outcome(&result))?;
    }
    Ok(verdict.into())
}

/// Metadata first: where it differs and nobody asked to go on, no file is read.
fn compare(
    sides: &[Side; 2],
    args: &DiffArgs,
    common: &Common,
    stop: &Stop,
) -> Result<(Verdict, ReportBody, Pages), CommandError> {
    let (began, clock) = (now_ms(), Instant::now());
    let elapsed_ms = || Some(u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX));
    let readers = readers(&args.scan)?;
    let trees = sides.iter().zip(["source", "destination"]).filter_map(|(side, label)| match side {
        Side::Directory(tree) => Some((label, tree)),
        Side::File(_) => None,
    });
    let scan = Scan::new(trees.collect(), &args.scan, common.quiet, stop);
    let walked = scan.walk(&readers)?;
    let mut timings = Timings { walked_ms: elapsed_ms(), source_walked_ms: elapsed_ms(), ..Timings::default() };
    let (source, destination) = pair(sides, &walked)?;
    let mut found = Found::new(None);
    if !args.keep_going {
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
        Compared::new(outcome, total, (source, source_from), (destination, destination_from), args.keep_going);
    timings.total_ms = elapsed_ms();
    let Compared { outcome, rollups, read, differences } = compared;
    let first = Kept(&differences).page(0, MAX_PRINTED as u64).map_err(CommandError::Failed)?;
    let summary = ReportSummary { notes: outcome.notes.clone(), rollups, read, timings };
    let report = ReportBody::local(&outcome, first, summary, name, (began, now_ms()));
    Ok((outcome.verdict(), report, differences))
}

/// Both sides, the scanned ones in the order they were walked.
fn pair<'a>(
    sides: &'a [Side; 2],
    walked: &'a [Manifest],
) -> Result<(&'a dyn Comparand, &'a dyn Comparand), CommandError> {
    let mut walked = walked.iter();
    let mut next = |side: &'a Side| -> Result<&'a dyn Comparand, CommandError> {
        match side {
            Side::File(file) => Ok(file.as_ref()),
            Side::Directory(tree) => match walked.next() {
                Some(manifest) => Ok(manifest),
                None => Err(CommandError::Failed(format!("{} was not scanned", tree.label))),
            },
        }
    };
    Ok((next(&sides[0])?, next(&sides[1])?))
}
