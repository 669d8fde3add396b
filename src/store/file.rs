//! Files that appear whole or not at all, and the renaming of those that cannot be used.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// What the names of unfinished files begin with. They are worth nothing after a crash.
const UNFINISHED: &str = ".unfinished-";

/// A file that is being written beside its place. Dropped, it is gone.
#[derive(Debug)]
pub struct Whole {
    file: NamedTempFile,
    place: PathBuf,
}

impl Whole {
    /// Begins a file that will stand at `name` in the directory.
    pub fn begin(directory: &Path, name: &str) -> io::Result<Self> {
        let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(directory)?;
        Ok(Self { file, place: directory.join(name) })
    }

    /// The same for a file that is not ours alone: who may read it is the umask's business, as with any new file.
    pub fn begin_shared(directory: &Path, name: &str) -> io::Result<Self> {
        let anybody = fs::Permissions::from_mode(0o666);
        let file = tempfile::Builder::new().prefix(UNFINISHED).permissions(anybody).tempfile_in(directory)?;
        Ok(Self { file, place: directory.join(name) })
    }

    /// Where to write.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Puts it in its place, in place of what stood there, once all of it is on the disk.
    pub fn finish(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.place).map_err(|error| error.error)?;
        self.place.parent().map_or(Ok(()), sync_directory)
    }

    /// Whether a file of this name was begun and never finished.
    pub fn is_unfinished(name: &str) -> bool {
        name.starts_with(UNFINISHED)
    }
}

/// Makes a directory with those above it, so that all of them outlive a crash.
pub fn make_directories(directory: &Path) -> io::Result<()> {
    let missing = directory.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).count();
    fs::create_dir_all(directory)?;
    let parents = directory.ancestors().skip(1).take(missing);
    parents.map(|path| if path.as_os_str().is_empty() { Path::new(".") } else { path }).try_for_each(sync_directory)
}

/// Makes what was created, renamed or removed in a directory outlive a crash.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Renames what cannot be used, so that its name is free and nothing of it is lost: `why` and the time are added to the
/// name. Returns the new name.
pub fn put_out_of_the_way(path: &Path, why: &str, now_ms: i64) -> io::Result<PathBuf> {
    let now = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default();
    let time = format!("{now:.0}").replace(':', "-");
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let named = |number: u32| match number {
        1 => path.with_file_name(format!("{name}.{why}-{time}")),
        number => path.with_file_name(format!("{name}.{why}-{time}-{number}")),
    };
    let free = (1..).map(named).find(|free| fs::symlink_metadata(free).is_err());
    let free = free.ok_or(io::ErrorKind::AlreadyExists)?;
    fs::rename(path, &free)?;
    free.parent().map_or(Ok(()), sync_directory)?;
    Ok(free)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let names = || fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut whole = Whole::begin(directory.path(), "a").unwrap();
        whole.file().write_all(b"all of it").unwrap();
        assert!(names().all(|name| Whole::is_unfinished(&name)), "what a crash leaves is known by its name");
        whole.finish().unwrap();
        assert_eq!(fs::read(directory.path().join("a")).unwrap(), b"all of it");
        Whole::begin(directory.path(), "b").unwrap().file().write_all(b"half").unwrap();
        assert_eq!(names().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn directories_are_made_with_those_above_them_and_may_be_there_already() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("a/b/c");
        make_directories(&deep).unwrap();
        make_directories(&deep).unwrap();
        assert!(deep.is_dir());
        fs::write(directory.path().join("file"), "").unwrap();
        assert!(make_directories(&directory.path().join("file/a")).is_err());
    }

    #[test]
    fn what_is_put_out_of_the_way_is_kept_under_a_name_that_says_when() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tasks");
        for (content, name) in
            [("1", "tasks.damaged-1970-01-01T00-00-01Z"), ("2", "tasks.damaged-1970-01-01T00-00-01Z-2")]
        {
            fs::write(&path, content).unwrap();
            let kept = put_out_of_the_way(&path, "damaged", 1000).unwrap();
            assert_eq!(kept, directory.path().join(name));
            assert_eq!(fs::read_to_string(kept).unwrap(), content);
            assert!(!path.exists());
        }
        assert!(put_out_of_the_way(&path, "damaged", 1000).is_err());
    }
}
