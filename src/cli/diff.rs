//! `twintree diff`: two trees, each a directory of this machine, a manifest file, or a checksum list.

use std::io;

use super::args::{Common, DiffArgs, NamesWanted};
use super::compare::{CameTo, How, compare};
use super::exit_code::{CommandError, ExitCode};
use super::file_names::{NameList, refuse_deletion, root, skipped_names};
use super::narrowing::Narrowing;
use super::output;
use super::side::Side;
use super::signals::Stop;
use super::stdio::is_stdio;
use super::streamed::{Kept, Streamed};
use crate::report;

/// How many differences are read back at once for their names.
const PAGE: u64 = 512;

pub(super) fn run(args: &DiffArgs, common: &Common, stop: &Stop) -> Result<ExitCode, CommandError> {
    let from_stdin = [Some(&args.source), Some(&args.destination), args.narrow.files_from.as_ref()];
    if from_stdin.into_iter().flatten().filter(|path| is_stdio(path)).count() > 1 {
        let what = "only one of the two sides and --files-from can be -, which is standard input";
        return Err(CommandError::Usage(what.to_owned()));
    }
    let narrowed = Narrowing::of(&args.narrow, &stop.cancel())?;
    let narrowed = Narrowing { algorithm: args.lists.algorithm, ..narrowed };
    let open = |path| {
        let mut side = Side::of_argument(path, &args.scan, &args.lists, &stop.cancel())?;
        if let Side::Directory(tree) = &mut side {
            tree.filter.clone_from(&narrowed.filter);
        }
        Ok::<_, CommandError>(side)
    };
    let sides = [open(&args.source)?, open(&args.destination)?];
    refuse_what_says_nothing(args, &sides)?;
    let keep_going = args.keep_going || args.files.is_some();
    let how = How { scan: &args.scan, remote: &args.remote, keep_going, quiet: common.quiet, narrowed };
    let found = compare(&sides, &how, stop)?;
    match args.files {
        Some(wanted) => {
            return names(args, wanted, common, &found).map(|code| code.unwrap_or(found.verdict.into()));
        }
        None if args.json => output::print_json(&Streamed::new(&found.report, &found.differences))?,
        None => output::print(&report::outcome(&found.report))?,
    }
    Ok(found.verdict.into())
}

/// Options that would be passed over in silence.
fn refuse_what_says_nothing(args: &DiffArgs, sides: &[Side; 2]) -> Result<(), CommandError> {
    let rules =
        !args.scan.exclude_file.is_empty() || !args.scan.exclude_dir.is_empty() || !args.scan.keyspace.is_empty();
    if rules && !sides.iter().any(Side::is_scanned) {
        let what = "--exclude-file, --exclude-dir and --keyspace say what to scan, and neither side is a directory";
        return Err(CommandError::Usage(what.to_owned()));
    }
    if args.lists.strip_prefix.is_some() && sides.iter().all(|side| side.list().is_none()) {
        let what = "--strip-prefix is taken off the names of a checksum list, and neither side is one";
        return Err(CommandError::Usage(what.to_owned()));
    }
    Ok(())
}

/// Prints names alone; the rest is for the person at the terminal. Where not all are known, the exit code says so.
fn names(
    args: &DiffArgs,
    wanted: NamesWanted,
    common: &Common,
    found: &CameTo,
) -> Result<Option<ExitCode>, CommandError> {
    let CameTo { report: result, differences: pages, hidden, .. } = found;
    let roots = result.status.scope.as_ref().map(|scope| scope.roots.as_slice()).unwrap_or_default();
    let root = root(args.root, roots)?;
    let hidden = hidden.iter().filter(|url| url.root == root).map(|url| url.path.clone()).collect();
    refuse_deletion(wanted, &result.status, &result.summary.notes)?;
    let skipped = NameList { wanted, root, null: args.narrow.null, hidden }.print(&|backwards, take| {
        let kept = Kept(pages);
        let starts: Vec<u64> = (0..pages.items()).step_by(PAGE as usize).collect();
        let mut one = |start: &u64| take(&kept.page(*start, PAGE).map_err(io::Error::other)?);
        match backwards {
            true => starts.iter().rev().try_for_each(&mut one),
            false => starts.iter().try_for_each(&mut one),
        }
    })?;
    output::remark(common, &format!("{}: {}", result.status.state, result.status.headline));
    result.summary.notes.iter().for_each(|note| output::remark(common, &format!("note: {note}")));
    let lost = result.differences_total.saturating_sub(pages.items());
    let missing = [
        (lost > 0).then(|| format!("{lost} names are not among them: there was no room to keep them")),
        (skipped > 0).then(|| skipped_names(skipped)),
    ];
    let missing: Vec<String> = missing.into_iter().flatten().collect();
    missing.iter().for_each(|what| output::complain(&CommandError::Failed(what.clone())));
    Ok((!missing.is_empty()).then_some(ExitCode::Unchecked))
}
