//! `twintree manifest`: a manifest file of a directory or of a configured instance.

use super::args::{Common, ManifestArgs};
use super::exit_code::{CommandError, ExitCode};
use super::local::{Scan, Tree, pool};
use super::output;
use crate::config::Config;
use crate::manifest::{HashKind, SubtreeHash, write};

pub(super) fn run(args: &ManifestArgs, common: &Common) -> Result<ExitCode, CommandError> {
    let tree = tree(args)?;
    let pool = pool(&args.scan)?;
    let scan = Scan::new(vec![("", &tree)], common.quiet);
    let walked = scan.walk(&pool)?;
    scan.hash(&pool, &walked)?;
    let Some(manifest) = walked.first() else {
        return Err(CommandError::Failed("nothing was scanned".to_owned()));
    };
    write(manifest, &args.output)?;
    let totals = manifest.totals();
    let content = manifest.instance_hash(HashKind::Content);
    let hash = content.digest().map_or("unproven".to_owned(), |digest| digest.to_string());
    output::print(&format!(
        "{}: {} files, {} directories, {} bytes, content hash {hash}\n",
        args.output.display(),
        totals.files,
        totals.directories,
        totals.bytes
    ))?;
    match content {
        SubtreeHash::Proven(_) => Ok(ExitCode::Equal),
        SubtreeHash::Unproven => {
            output::remark("twintree: something could not be read; twintree inspect says what");
            Ok(ExitCode::Unchecked)
        }
    }
}

fn tree(args: &ManifestArgs) -> Result<Tree, CommandError> {
    match (&args.directory, &args.config, args.instance) {
        (Some(directory), _, _) => Tree::of_directory(directory, &args.scan),
        (None, Some(path), Some(id)) => {
            let config = Config::load(path)?;
            let unknown = || {
                let known: Vec<String> = config.instances.iter().map(|instance| instance.id.to_string()).collect();
                let known = known.join(", ");
                CommandError::Usage(format!("{}: no instance with id {id}; there are: {known}", path.display()))
            };
            let instance = config.instance_by_id(id).ok_or_else(unknown)?;
            Tree::of_instance(&config, instance, &args.scan)
        }
        _ => Err(CommandError::Usage("a directory, or --config with --instance, is needed".to_owned())),
    }
}
