//! `twintree export`: manifests as Parquet. A manifest is checked from end to end while it is written, and what stands in place is whole.

mod pairs;
mod place;
mod write;

use std::path::PathBuf;

use super::args::{Common, ExportArgs};
use super::exit_code::{CommandError, ExitCode};
use super::given::{Scopes, refuse_twice};
use super::output;
use super::signals::Stop;
use crate::model::{Side, printable};
use place::MAX_CLUSTER_BYTES;
use write::{Job, Written, export};

pub(super) fn run(args: &ExportArgs, common: &Common, stop: &Stop) -> Result<ExitCode, CommandError> {
    check_labels(args)?;
    let jobs = jobs(args)?;
    let cancel = stop.cancel();
    let (mut done, mut sum, mut scopes) = (0_usize, Written::default(), Scopes::default());
    let mut code = ExitCode::Equal;
    for job in &jobs {
        match export(job, args, &cancel, &mut scopes) {
            Ok(written) => {
                done += 1;
                sum.files += written.files;
                sum.directories += written.directories;
            }
            Err(CommandError::Cancelled) => return Err(CommandError::Cancelled),
            // The others are worth having all the same; the exit code says that this is not all.
            Err(error) if jobs.len() > 1 => {
                output::complain(&error);
                code = ExitCode::Unchecked;
            }
            Err(error) => return Err(error),
        }
    }
    let place = args.output.to_string_lossy();
    output::print(&format!(
        "{}: {done} of {} manifests, {} files, {} directories\n",
        printable(&place),
        jobs.len(),
        sum.files,
        sum.directories
    ))?;
    scopes.remarks().iter().for_each(|remark| output::remark(common, &format!("twintree: {remark}")));
    Ok(code)
}

/// The manifests to write: both of each pair, and those that are in none.
fn jobs(args: &ExportArgs) -> Result<Vec<Job>, CommandError> {
    refuse_twice(&args.manifests)?;
    let pairs = args.pairs.as_deref().map(pairs::read).transpose()?.unwrap_or_default();
    let of_pair = |pair: pairs::Pair| {
        let job = |path: PathBuf, side| Job { path, pair: Some((pair.name.clone(), side)) };
        [job(pair.source, Side::Source), job(pair.destination, Side::Destination)]
    };
    let single = args.manifests.iter().map(|path| Job { path: path.clone(), pair: None });
    Ok(pairs.into_iter().flat_map(of_pair).chain(single).collect())
}

fn check_labels(args: &ExportArgs) -> Result<(), CommandError> {
    let usage = |what: &str| Err(CommandError::Usage(what.to_owned()));
    match (args.cluster.as_deref(), args.run.as_deref()) {
        (Some(""), _) => usage("--cluster: the name is empty; leave it out where there is none"),
        (_, Some("")) => usage("--run: the id is empty; leave it out where there is none"),
        (Some(name), _) if name.len() > MAX_CLUSTER_BYTES => usage(&format!(
            "--cluster: the name is longer than {MAX_CLUSTER_BYTES} bytes, and becomes part of the names of directories"
        )),
        _ => Ok(()),
    }
}
