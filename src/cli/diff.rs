//! `twintree diff`: two trees of this machine, each a directory or a manifest file.

use std::path::Path;

use super::args::{Common, DiffArgs};
use super::exit_code::{CommandError, ExitCode};
use super::local::{Scan, Tree, pool};
use super::output;
use crate::manifest::{Comparand, Depth, Manifest, ManifestFile, diff};
use crate::model::{MetadataSummary, Outcome};
use crate::report::{self, ResultBody};

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

pub(super) fn run(args: &DiffArgs, common: &Common) -> Result<ExitCode, CommandError> {
    let sides = [Side::open(&args.source, args)?, Side::open(&args.destination, args)?];
    let rules =
        !args.scan.exclude_file.is_empty() || !args.scan.exclude_dir.is_empty() || !args.scan.keyspace.is_empty();
    if rules && sides.iter().all(|side| matches!(side, Side::File(_))) {
        let what = "--exclude-file, --exclude-dir and --keyspace say what to scan, and a manifest is scanned already";
        return Err(CommandError::Usage(what.to_owned()));
    }
    let outcome = compare(&sides, args, common)?;
    let result = ResultBody::from(&outcome);
    if args.json {
        output::print_json(&result)?;
    } else {
        output::print(&report::outcome(&result))?;
    }
    Ok(outcome.verdict().into())
}

/// Metadata first: where it differs and nobody asked to go on, no file is read.
fn compare(sides: &[Side; 2], args: &DiffArgs, common: &Common) -> Result<Outcome, CommandError> {
    let pool = pool(&args.scan)?;
    let trees = sides.iter().zip(["source", "destination"]).filter_map(|(side, label)| match side {
        Side::Directory(tree) => Some((label, tree)),
        Side::File(_) => None,
    });
    let scan = Scan::new(trees.collect(), &args.scan, common.quiet);
    let walked = scan.walk(&pool)?;
    if !args.keep_going {
        let (source, destination) = pair(sides, &walked)?;
        let outcome = diff(source, destination, Depth::Metadata)?;
        if outcome.counters.metadata_summary() == MetadataSummary::Different {
            return Ok(outcome);
        }
    }
    scan.hash(&pool, &walked)?;
    let (source, destination) = pair(sides, &walked)?;
    Ok(diff(source, destination, Depth::Content)?)
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
