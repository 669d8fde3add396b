//! `twintree roots`: a line for each table or keyspace of manifests with its hashes, sorted.

use std::io;
use std::path::Path;

use super::args::{Common, RootsArgs};
use super::exit_code::{CommandError, ExitCode};
use super::given::{Scopes, refuse_twice};
use super::output;
use crate::manifest::{Grain, ManifestFile, places};
use crate::report;
use crate::store::{Pages, Scratch, Spool};

/// How many lines are read back at once.
const PAGE: u64 = 512;

/// Lines of all manifests are sorted together, on disk where they are many: what is held of one manifest at a time are its directories.
pub(super) fn run(args: &RootsArgs, common: &Common) -> Result<ExitCode, CommandError> {
    refuse_twice(&args.manifests)?;
    let grain = if args.keyspaces { Grain::Keyspaces } else { Grain::Tables };
    let (mut lines, mut unproven, mut scopes) = (Spool::new(Scratch::new(None)), 0_u64, Scopes::default());
    let mut code = ExitCode::Equal;
    for path in &args.manifests {
        match add(path, grain, &mut lines, &mut scopes) {
            Ok(without_hash) => unproven += without_hash,
            // The others are worth printing all the same; the exit code says that this is not all.
            Err(error) if args.manifests.len() > 1 => {
                output::complain(&error);
                code = ExitCode::Unchecked;
            }
            Err(error) => return Err(error),
        }
    }
    let (pages, lost) = lines.sorted(String::new());
    if let Some(lost) = lost {
        let what = format!("{} lines could not be kept while they were sorted: {}", lost.items, lost.cause);
        return Err(CommandError::Failed(what));
    }
    print(&pages)?;
    scopes.remarks().iter().for_each(|remark| output::remark(common, &format!("twintree: {remark}")));
    if unproven > 0 {
        let what = format!(
            "lines without a hash: {unproven}; something there could not be read, and they are equal to nothing"
        );
        output::remark(common, &format!("twintree: {what}"));
        code = ExitCode::Unchecked;
    }
    Ok(code)
}

/// Adds the lines of a manifest; how many of them lack a hash.
fn add(path: &Path, grain: Grain, lines: &mut Spool, scopes: &mut Scopes) -> Result<u64, CommandError> {
    let manifest = ManifestFile::open(path)?;
    let identity = manifest.identity();
    let mut unproven = 0;
    let places = places(&manifest, grain)?;
    scopes.note(path, identity);
    for place in places {
        if !place.metadata.is_proven() || !place.content.is_proven() {
            unproven += 1;
        }
        let line = report::place_line(&identity.host, &place).into_bytes();
        lines.push(line.clone(), line);
    }
    Ok(unproven)
}

fn print(pages: &Pages) -> Result<(), CommandError> {
    output::write(|out| {
        for offset in (0..pages.items()).step_by(PAGE as usize) {
            for line in pages.read(offset, PAGE).map_err(io::Error::other)? {
                out.write_all(line.as_bytes())?;
                out.write_all(b"\n")?;
            }
        }
        Ok(())
    })
}
