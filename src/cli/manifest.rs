//! `twintree manifest`: a manifest file of a directory or of a configured instance.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{Common, ManifestArgs, ManifestFormat};
use super::exit_code::{CommandError, ExitCode};
use super::list_output::ListOutput;
use super::local::{Scan, Tree, readers};
use super::output;
use super::progress::Bars;
use super::signals::Stop;
use super::stdio::{is_stdio, nobody_watches, send_manifest, unless_cancelled};
use crate::config::Config;
use crate::manifest::{FileError, FormatFault, HashKind, SubtreeHash, write_unless_cancelled, write_whole};
use crate::model::printable;
use crate::scan::Cancel;

pub(super) fn run(args: &ManifestArgs, common: &Common, stop: &Stop) -> Result<ExitCode, CommandError> {
    let output = Output::of(&args.output)?;
    let config = args.config.as_deref().map(Config::load).transpose()?;
    let options = config.as_ref().map_or_else(|| args.scan.clone(), |config| args.scan.or_configured(&config.twintree));
    let tree = tree(args, config.as_ref())?;
    let readers = readers(&options)?;
    let bars = if args.relay_progress { Bars::relaying(stop.cancel()) } else { Bars::new(&[""], common.quiet) };
    let scan = Scan::new(vec![(0, &tree)], &options, &bars, &stop.cancel());
    let walked = scan.walk(&readers)?;
    if args.format != ManifestFormat::Twintree {
        let list = ListOutput::of(args.format, &scan, &readers, &walked)?;
        return write_list(Arc::new(list), &output, args, common, &stop.cancel());
    }
    scan.hash(&readers, &walked)?;
    let Some(manifest) = walked.into_iter().next().map(Arc::new) else {
        return Err(CommandError::Failed("nothing was scanned".to_owned()));
    };
    let cancel = stop.cancel();
    match &output {
        Output::Standard => send_manifest(&manifest, &cancel)?,
        Output::File(path) => {
            write_unless_cancelled(&manifest, path, &cancel).map_err(|error| match cancel.is_cancelled() {
                true => CommandError::Cancelled,
                false => error.into(),
            })?;
        }
    }
    let totals = manifest.totals();
    let content = manifest.instance_hash(HashKind::Content);
    let hash = content.digest().map_or("unproven".to_owned(), |digest| digest.to_string());
    let sums = format!(
        "{}: {} files, {} directories, {} bytes, content hash {hash}",
        printable(&args.output.to_string_lossy()),
        totals.files,
        totals.directories,
        totals.bytes
    );
    match output {
        // Where the manifest went there is no room for anything else.
        Output::Standard => output::remark(common, &sums),
        Output::File(_) => output::print(&format!("{sums}\n"))?,
    }
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

/// Writes a checksum list. What is not in it is not checked by whoever reads it, so the exit code says that there is such.
fn write_list(
    list: Arc<ListOutput>,
    output: &Output,
    args: &ManifestArgs,
    common: &Common,
    cancel: &Cancel,
) -> Result<ExitCode, CommandError> {
    let sums = format!("{}: {} files", printable(&args.output.to_string_lossy()), list.len());
    match output {
        Output::Standard => {
            let lines = Arc::clone(&list);
            unless_cancelled(cancel, move || output::stream(|out| lines.write(out)))??;
            output::remark(common, &sums);
        }
        Output::File(path) => {
            let failed = |error| FileError { path: path.clone(), fault: FormatFault::Io(error) };
            write_whole(path, cancel, |out| list.write(out)).map_err(|error| match cancel.is_cancelled() {
                true => CommandError::Cancelled,
                false => failed(error).into(),
            })?;
            output::print(&format!("{sums}\n"))?;
        }
    }
    if list.strange > 0 && args.format == ManifestFormat::B3sum {
        let what =
            format!("twintree: {} names are not UTF-8, and b3sum --check reads no list that has such", list.strange);
        output::remark(common, &what);
    }
    if let [first, more @ ..] = list.links.as_slice() {
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        let what = "a symbolic link to a directory is not entered, and nothing behind it is in the list";
        output::remark(common, &format!("twintree: {first}{more}: {what}"));
    }
    match (list.missing, list.len()) {
        (0, 0) => {
            output::remark(common, "twintree: there is not a single file in it");
            Ok(ExitCode::Unchecked)
        }
        (0, _) => Ok(ExitCode::Equal),
        (missing, _) => {
            output::complain(&CommandError::Failed(format!(
                "{missing} entries could not be read, and are not in the list"
            )));
            Ok(ExitCode::Unchecked)
        }
    }
}

/// Where a manifest goes.
enum Output {
    /// To standard output, and nothing else there.
    Standard,
    /// To a file.
    File(PathBuf),
}

impl Output {
    fn of(path: &Path) -> Result<Self, CommandError> {
        match is_stdio(path) {
            true => nobody_watches().map(|()| Self::Standard),
            false => place(path).map(Self::File),
        }
    }
}

/// Where to write. A link is followed; what is neither absent nor a regular file is not replaced: it would be lost, as
/// `/dev/null` would.
fn place(output: &Path) -> Result<PathBuf, CommandError> {
    let usage = |what: &str| CommandError::Usage(format!("-o {}: {what}", output.display()));
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
