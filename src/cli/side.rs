//! One side of a comparison: what an argument names.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;

use super::args::{ListArgs, ScanArgs};
use super::exit_code::CommandError;
use super::list_side::ListSide;
use super::local::Tree;
use super::remote::Place;
use super::stdio::{STANDARD_INPUT, is_stdio, receive_any};
use crate::manifest::{FileError, ManifestFile};
use crate::scan::{Cancel, open_regular};

/// One side of a comparison.
pub(super) enum Side {
    /// A manifest file.
    File(Box<ManifestFile>),
    /// A directory that is still to be scanned.
    Directory(Tree),
    /// A checksum list.
    List(Box<ListSide>),
    /// A directory on another host.
    Remote(Place),
}

impl Side {
    /// What an argument names: `-` is a manifest or a checksum list on standard input. A signal ends the wait for what comes there.
    pub(super) fn of_argument(
        path: &Path,
        scan: &ScanArgs,
        lists: &ListArgs,
        cancel: &Cancel,
    ) -> Result<Self, CommandError> {
        if let Some(place) = Place::parse(path.as_os_str()) {
            return place.map(Self::Remote).map_err(CommandError::Usage);
        }
        if is_stdio(path) {
            return Self::of_file(Path::new(STANDARD_INPUT), receive_any(cancel)?, lists);
        }
        use std::os::unix::fs::FileTypeExt as _;
        if std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo()) {
            let what = format!("{}: it is a pipe; say - for a file on standard input", path.display());
            return Err(CommandError::Usage(what));
        }
        match path.is_file() {
            true => {
                let file = open_regular(path);
                let file = file.map_err(|error| FileError { path: path.to_owned(), fault: error.into() })?;
                Self::of_file(path, file, lists)
            }
            false => Tree::of_directory(path, scan).map(Self::Directory),
        }
    }

    /// A manifest shows itself by its first bytes.
    fn of_file(path: &Path, mut file: File, lists: &ListArgs) -> Result<Self, CommandError> {
        let broken = |error: std::io::Error| FileError { path: path.to_owned(), fault: error.into() };
        let mut head = Vec::new();
        (&file).take(8).read_to_end(&mut head).map_err(broken)?;
        file.rewind().map_err(broken)?;
        match ManifestFile::begins(&head) {
            true => Ok(Self::File(Box::new(ManifestFile::of_open(path, file)?))),
            false => Ok(Self::List(Box::new(ListSide::read(&path.display().to_string(), &file, lists)?))),
        }
    }

    /// Whether it takes a while to know what it holds.
    pub(super) fn is_scanned(&self) -> bool {
        matches!(self, Self::Directory(_) | Self::Remote(_))
    }

    /// The tree that is to be scanned here.
    pub(super) fn tree(&self) -> Option<&Tree> {
        match self {
            Self::Directory(tree) => Some(tree),
            Self::File(_) | Self::List(_) | Self::Remote(_) => None,
        }
    }

    /// The checksum list.
    pub(super) fn list(&self) -> Option<&ListSide> {
        match self {
            Self::List(list) => Some(list),
            Self::File(_) | Self::Directory(_) | Self::Remote(_) => None,
        }
    }

    /// The place on another host.
    pub(super) fn place(&self) -> Option<&Place> {
        match self {
            Self::Remote(place) => Some(place),
            Self::File(_) | Self::Directory(_) | Self::List(_) => None,
        }
    }
}
