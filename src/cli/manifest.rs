//! `twintree manifest`: a manifest file of a directory or of a configured instance.

use std::path::{Path, PathBuf};

use super::args::{Common, ManifestArgs};
use super::exit_code::{CommandError, ExitCode};
use super::local::{Scan, Tree, readers};
use super::output;
use super::progress::Bars;
use super::signals::Stop;
use crate::config::Config;
use crate::manifest::{HashKind, SubtreeHash, write_unless_cancelled};
use crate::model::printable;

pub(super) fn run(args: &ManifestArgs, common: &Common, stop: &Stop) -> Result<ExitCode, CommandError> {
    let output = place(&args.output)?;
    let config = args.config.as_deref().map(Config::load).transpose()?;
    let options = config.as_ref().map_or_else(|| args.scan.clone(), |config| args.scan.or_configured(&config.twintree));
    let tree = tree(args, config.as_ref())?;
    let readers = readers(&options)?;
    let bars = if args.relay_progress { Bars::relaying() } else { Bars::new(&[""], common.quiet) };
    let scan = Scan::new(vec![(0, &tree)], &options, &bars, &stop.cancel());
    let walked = scan.walk(&readers)?;
    scan.hash(&readers, &walked)?;
    let Some(manifest) = walked.first() else {
        return Err(CommandError::Failed("nothing was scanned".to_owned()));
    };
    let cancel = stop.cancel();
    write_unless_cancelled(manifest, &output, &cancel).map_err(|error| match cancel.is_cancelled() {
        true => CommandError::Cancelled,
        false => error.into(),
    })?;
    let totals = manifest.totals();
    let content = manifest.instance_hash(HashKind::Content);
    let hash = content.digest().map_or("unproven".to_owned(), |digest| digest.to_string());
    output::print(&format!(
        "{}: {} files, {} directories, {} bytes, content hash {hash}\n",
        printable(&args.output.to_string_lossy()),
        totals.files,
        totals.directories,
        totals.bytes
    ))?;
    let absent: Vec<String> =
        manifest.roots().iter().filter(|root| root.tree.is_none()).map(|root| root.id.to_string()).collect();
    if !absent.is_empty() {
        output::remark(common, &format!("twintree: not there, and in the manifest as such: {}", absent.join(", ")));
    }
    match content {
        _ if totals.files == 0 => {
            output::remark(common, "twintree: there is not a single file in it");
            Ok(ExitCode::Unchecked)
        }
        SubtreeHash::Proven(_) => Ok(ExitCode::Equal),
        SubtreeHash::Unproven => {
            output::remark(common, "twintree: something could not be read; twintree inspect says what");
            Ok(ExitCode::Unchecked)
        }
    }
}

/// Where to write. A link is followed; what is neither absent nor a regular file is not replaced: it would be lost, as
/// `/dev/null` would.
fn place(output: &Path) -> Result<PathBuf, CommandError> {
    let usage = |what: &str| CommandError::Usage(format!("-o {}: {what}", output.display()));
    if output == Path::new("-") {
        return Err(usage("a manifest is not written to standard output; name a file"));
    }
    let output_path = match output.symlink_metadata() {
        Ok(metadata) if metadata.is_symlink() => output.canonicalize().map_err(|error| usage(&error.to_string()))?,
        _ => output.to_owned(),
    };
    if output_path.exists() && !output_path.is_file() {
        return Err(usage("it exists and is not a regular file; it would be replaced, so it is refused"));
    }
    match output_path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            Err(usage(&format!("there is no directory {}", parent.display())))
        }
        _ => Ok(output_path),
    }
}

fn tree(args: &ManifestArgs, config: Option<&Config>) -> Result<Tree, CommandError> {
    match (&args.directory, args.config.as_ref().zip(config), args.instance) {
        (Some(directory), _, _) => Tree::of_directory(directory, &args.scan),
        (None, Some((path, config)), Some(id)) => {
            let unknown = || {
                let known: Vec<String> = config.instances.iter().map(|instance| instance.id.to_string()).collect();
                let known = known.join(", ");
                CommandError::Usage(format!("{}: no instance with id {id}; there are: {known}", path.display()))
            };
            let instance = config.instance_by_id(id).ok_or_else(unknown)?;
            Tree::of_instance(config, instance, &args.scan)
        }
        _ => Err(CommandError::Usage("a directory, or --config with --instance, is needed".to_owned())),
    }
}
