//! Files that others read while a run goes by: each is there whole, the old one or the new one. They can be made again, so none waits for
//! the disk.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// What the names of unfinished files begin with. No reader of pages or metrics takes one for its own.
const UNFINISHED: &str = ".unfinished-";

/// A file that is being written beside its place. Dropped, it is gone.
pub(super) struct Written {
    file: NamedTempFile,
    place: PathBuf,
}

impl Written {
    /// Begins a file that will stand at this path, for everybody to read whom the umask lets.
    pub(super) fn begin(place: &Path) -> io::Result<Self> {
        let permissions = Permissions::from_mode(0o666);
        let file = tempfile::Builder::new().prefix(UNFINISHED).permissions(permissions).tempfile_in(home_of(place)?)?;
        Ok(Self { file, place: place.to_owned() })
    }

    /// Writes more of it.
    pub(super) fn add(&mut self, text: &str) -> io::Result<()> {
        self.file.write_all(text.as_bytes())
    }

    /// Puts it in its place.
    pub(super) fn finish(self) -> io::Result<()> {
        self.file.persist(&self.place).map(drop).map_err(|error| error.error)
    }
}

/// Writes a file whole or not at all.
pub(super) fn write_whole(place: &Path, text: &str) -> io::Result<()> {
    let mut file = Written::begin(place)?;
    file.add(text)?;
    file.finish()
}

/// The directory that a file is to stand in, which must be there; a directory cannot be replaced by a file.
pub(super) fn home_of(place: &Path) -> io::Result<&Path> {
    let home = place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match home.is_dir() {
        _ if place.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        true => Ok(home),
        false => Err(io::ErrorKind::NotADirectory.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_never_half() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("a.prom");
        write_whole(&place, "old").unwrap();
        let mut half = Written::begin(&place).unwrap();
        half.add("half").unwrap();
        let names = || std::fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        assert_eq!(names().filter(|name| name.ends_with(".prom")).count(), 1);
        assert_eq!(std::fs::read_to_string(&place).unwrap(), "old");
        drop(half);
        write_whole(&place, "new").unwrap();
        assert_eq!((std::fs::read_to_string(&place).unwrap().as_str(), names().count()), ("new", 1));
        assert!(write_whole(home.path(), "").is_err() && write_whole(&home.path().join("no/a"), "").is_err());
    }
}
