//! One side of a comparison: what an argument names.

use std::path::Path;

use super::args::ScanArgs;
use super::exit_code::CommandError;
use super::local::Tree;
use super::remote::Place;
use crate::manifest::{Comparand, Manifest, ManifestFile};

/// One side of a comparison.
pub(super) enum Side {
    /// A manifest file.
    File(Box<ManifestFile>),
    /// A directory that is still to be scanned.
    Directory(Tree),
    /// A directory on another host.
    Remote(Place),
}

impl Side {
    /// Whether it takes a while to know what it holds.
    pub(super) fn is_scanned(&self) -> bool {
        matches!(self, Self::Directory(_) | Self::Remote(_))
    }

    /// What an argument names. A file is a manifest.
    pub(super) fn open(path: &Path, scan: &ScanArgs) -> Result<Self, CommandError> {
        if let Some(place) = Place::parse(path.as_os_str()) {
            place.map(Self::Remote).map_err(CommandError::Usage)
        } else if path.is_file() {
            Ok(Self::File(Box::new(ManifestFile::open(path)?)))
        } else {
            Tree::of_directory(path, scan).map(Self::Directory)
        }
    }
}

/// Both sides, each with what was made of it: those scanned here, and those that came from elsewhere, both in the order of the sides.
pub(super) fn pair<'a>(
    sides: &'a [Side; 2],
    scanned: &'a [Manifest],
    fetched: &'a [ManifestFile],
) -> Result<(&'a dyn Comparand, &'a dyn Comparand), CommandError> {
    let (mut scanned, mut fetched) = (scanned.iter(), fetched.iter());
    let missing = |what: &str| CommandError::Failed(format!("{what} was not scanned"));
    let mut next = |side: &'a Side| -> Result<&'a dyn Comparand, CommandError> {
        match side {
            Side::File(file) => Ok(file.as_ref()),
            Side::Directory(tree) => Ok(scanned.next().ok_or_else(|| missing(&tree.label))?),
            Side::Remote(place) => Ok(fetched.next().ok_or_else(|| missing(&place.host))?),
        }
    };
    Ok((next(&sides[0])?, next(&sides[1])?))
}
