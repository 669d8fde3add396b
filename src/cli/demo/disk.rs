//! What goes wrong with the demo's files.

use std::path::Path;

use crate::cli::exit_code::CommandError;

/// What the demo does to its files goes wrong only where the disk does.
pub(super) fn disk(path: &Path) -> impl Fn(std::io::Error) -> CommandError + '_ {
    move |error| CommandError::Failed(format!("{}: {error}", path.display()))
}
