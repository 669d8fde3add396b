//! A file that is open to be served to a client: what it is now, and its digest.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::fstat;

use super::blocks::ReadFailure;
use super::context::Context;
use super::identity::FileIdentity;
use super::open_file::OpenFailure;
use super::page_cache::Pace;
use super::read::digest_open_file;
use super::steady::{ReadError, steadily};
use crate::model::{ContentDigest, DigestAlgorithm};

/// What a client may hold against an earlier answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedFile {
    /// Bytes.
    pub size: u64,
    /// Changes whenever the file does, to the grain of the file system's clock; visible ASCII without quotes.
    pub tag: String,
    /// Modification time; the epoch where it is earlier.
    pub modified: SystemTime,
}

impl ServedFile {
    /// The file as it is now.
    pub fn of(file: &File) -> std::io::Result<Self> {
        let identity = FileIdentity::of(&fstat(file)?);
        let ms = identity.modified_ms().and_then(|ms| u64::try_from(ms).ok());
        let modified = UNIX_EPOCH.checked_add(Duration::from_millis(ms.unwrap_or(0))).unwrap_or(UNIX_EPOCH);
        Ok(Self { size: identity.size(), tag: identity.tag(), modified })
    }
}

/// The digest of the file of this name below a root, all of it read while it did not change; `file` is the file as it was opened
/// already. It is the digest of what stands under the name after the read: a file that was replaced meanwhile is opened again by
/// its name, for the old one would be steady for ever.
pub fn digest_served(
    file: File,
    open: &dyn Fn() -> Result<File, OpenFailure>,
    algorithm: DigestAlgorithm,
    context: &Context,
) -> Result<ContentDigest, ReadError> {
    let opened = Cell::new(Some(file));
    let by_name = || open().map_err(io_error);
    let open = || opened.take().map_or_else(by_name, Ok);
    let read = |file: &File, size| {
        let digest = digest_open_file(file, size, algorithm, Pace::Waiting, context)?;
        let (read, named) = (FileIdentity::of(&fstat(file).map_err(io::Error::from)?), by_name()?);
        let named = FileIdentity::of(&fstat(&named).map_err(io::Error::from)?);
        if read.same_file(&named) { Ok(digest) } else { Err(ReadFailure::Short) }
    };
    steadily(None, context, open, read).map(|(digest, _)| digest)
}

fn io_error(failure: OpenFailure) -> io::Error {
    match failure {
        OpenFailure::Io(error) => error,
        OpenFailure::NotFound => io::Error::from(io::ErrorKind::NotFound),
        other => io::Error::other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Reason;
    use std::path::Path;

    fn digest(home: &Path, while_read: impl Fn(usize)) -> Result<String, ReadError> {
        let opened = Cell::new(0);
        let open = || {
            while_read(opened.replace(opened.get() + 1));
            Ok(File::open(home.join("f"))?)
        };
        let file = File::open(home.join("f")).unwrap();
        digest_served(file, &open, DigestAlgorithm::Md5, &Context::default()).map(|digest| digest.to_string())
    }

    /// Each replacement has the size and the time of the file before it; what was read before stays as it is.
    fn replace(home: &Path, content: &str) {
        let time = std::fs::metadata(home.join("f")).unwrap().modified().unwrap();
        std::fs::write(home.join("new"), content).unwrap();
        File::options().write(true).open(home.join("new")).unwrap().set_modified(time).unwrap();
        std::fs::rename(home.join("new"), home.join("f")).unwrap();
    }

    #[test]
    fn a_file_that_is_replaced_is_read_again_by_its_name() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("f"), "old").unwrap();
        let expected = {
            std::fs::write(home.path().join("g"), "new").unwrap();
            let file = File::open(home.path().join("g")).unwrap();
            digest_served(
                file.try_clone().unwrap(),
                &|| Ok(file.try_clone()?),
                DigestAlgorithm::Md5,
                &Context::default(),
            )
        };
        let digest = digest(home.path(), |opened| {
            if opened == 0 {
                replace(home.path(), "new");
            }
        });
        assert_eq!(digest, expected.map(|digest| digest.to_string()));
    }

    #[test]
    fn a_file_that_is_replaced_again_and_again_has_no_digest() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("f"), "old").unwrap();
        let digest = digest(home.path(), |_| replace(home.path(), "new"));
        let Err(ReadError::Problem(problem)) = digest else { panic!("{digest:?}") };
        assert_eq!(problem.reason, Reason::ChangedWhileReading);
        let gone = self::digest(home.path(), |_| drop(std::fs::remove_file(home.path().join("f"))));
        assert!(matches!(gone, Err(ReadError::Problem(problem)) if problem.reason == Reason::Vanished));
    }
}
