//! `twintree diff`: two trees of this machine, each a directory or a manifest file.

use super::args::{Common, DiffArgs};
use super::compare::{How, compare};
use super::exit_code::{CommandError, ExitCode};
use super::output;
use super::side::Side;
use super::signals::Stop;
use super::streamed::Streamed;
use crate::report;

pub(super) fn run(args: &DiffArgs, common: &Common, stop: &Stop) -> Result<ExitCode, CommandError> {
    let sides = [Side::open(&args.source, &args.scan)?, Side::open(&args.destination, &args.scan)?];
    let rules =
        !args.scan.exclude_file.is_empty() || !args.scan.exclude_dir.is_empty() || !args.scan.keyspace.is_empty();
    if rules && sides.iter().all(|side| matches!(side, Side::File(_))) {
        let what = "--exclude-file, --exclude-dir and --keyspace say what to scan, and a manifest is scanned already";
        return Err(CommandError::Usage(what.to_owned()));
    }
    let how = How { scan: &args.scan, remote: &args.remote, keep_going: args.keep_going, quiet: common.quiet };
    let (verdict, result, pages) = compare(&sides, &how, stop)?;
    if args.json {
        output::print_json(&Streamed::new(&result, &pages))?;
    } else {
        output::print(&report::outcome(&result))?;
    }
    Ok(verdict.into())
}
