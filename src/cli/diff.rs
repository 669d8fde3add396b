//! `twintree diff`: two trees, each a directory of this machine, a manifest file, or a checksum list.

use std::io;

use super::args::{Common, DiffArgs, NamesWanted};
use super::compare::{How, compare};
use super::exit_code::{CommandError, ExitCode};
use super::file_names::{NameList, root};
use super::narrowing::Narrowing;
use super::output;
use super::side::Side;
use super::signals::Stop;
use super::stdio::is_stdio;
use super::streamed::{Kept, Streamed};
use crate::protocol::ReportBody;
use crate::report;
use crate::store::Pages;

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
    let (verdict, result, pages) = compare(&sides, &how, stop)?;
    match args.files {
        Some(wanted) => return names(args, wanted, common, &result, &pages).map(|code| code.unwrap_or(verdict.into())),
        None if args.json => output::print_json(&Streamed::new(&result, &pages))?,
        None => output::print(&report::outcome(&result))?,
    }
    Ok(verdict.into())
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
    result: &ReportBody,
    pages: &Pages,
) -> Result<Option<ExitCode>, CommandError> {
    let roots = result.status.scope.as_ref().map(|scope| scope.roots.as_slice()).unwrap_or_default();
    let list = NameList { wanted, root: root(args.root, roots)?, null: args.narrow.null };
    list.print(&|backwards, take| {
        let kept = Kept(pages);
        let starts: Vec<u64> = (0..pages.items()).step_by(PAGE as usize).collect();
        let mut one = |start: &u64| take(&kept.page(*start, PAGE).map_err(io::Error::other)?);
        match backwards {
            true => starts.iter().rev().try_for_each(&mut one),
            false => starts.iter().try_for_each(&mut one),
        }
    })?;
    output::remark(common, &format!("{}: {}", result.status.state, result.status.headline));
    let lost = result.differences_total.saturating_sub(pages.items());
    if lost > 0 {
        output::complain(&CommandError::Failed(format!(
            "{lost} names are not among them: there was no room to keep them"
        )));
        return Ok(Some(ExitCode::Unchecked));
    }
    Ok(None)
}
