//! One side of a comparison: what an argument names.

use std::path::Path;

use super::args::ScanArgs;
use super::exit_code::CommandError;
use super::local::Tree;
use crate::manifest::{Comparand, Manifest, ManifestFile};

/// One side of a comparison.
pub(super) enum Side {
    /// A manifest file.
    File(Box<ManifestFile>),
    /// A directory that is still to be scanned.
    Directory(Tree),
}

impl Side {
    /// What stands at a path: a file is a manifest.
    pub(super) fn open(path: &Path, scan: &ScanArgs) -> Result<Self, CommandError> {
        if path.is_file() {
            Ok(Self::File(Box::new(ManifestFile::open(path)?)))
        } else {
            Tree::of_directory(path, scan).map(Self::Directory)
        }
    }
}

/// Both sides, the scanned ones in the order they were walked.
pub(super) fn pair<'a>(
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
