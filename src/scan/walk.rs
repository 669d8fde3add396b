//! Walking a root in parallel: directories, their files, and what could not be listed.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use parking_lot::Mutex;
use rustix::fs::{AtFlags, Dir, FileType, fstat, statat};
use rustix::io::Errno;

use super::beneath::RootHandle;
use super::cancel::Cancelled;
use super::context::Context;
use super::identity::{FileId, FileIdentity, Look, modified_ms};
use super::steady::problem_of;
use crate::exclude::RootRules;
use crate::model::{Content, FileEntry, Listed, Name, Problem, Reason, RelPath};

/// One directory of a walked root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkedDirectory {
    /// Where it is; the root itself has the empty path.
    pub path: RelPath,
    /// It is a symbolic link to a directory: listed, never entered.
    pub link: bool,
    /// Modification time in milliseconds since the epoch; 0 where it could not be learned. Never compared.
    pub modified_ms: i64,
    /// Its entries that are not directories, sorted by name. Nothing has been read yet.
    pub files: Vec<FileEntry>,
    /// The look at each of them, in the same order; `None` where there was nothing to look at. Empty where it was listed by
    /// somebody else.
    pub looks: Vec<Option<Look>>,
    /// Those of them that have further names (hard links), here or elsewhere: position in `files`, and which file it is.
    pub linked: Vec<(u32, FileId)>,
    /// Why it could not be listed; then `files` is empty and nothing below it is known.
    pub unlisted: Option<Problem>,
}

impl WalkedDirectory {
    /// A root in which nothing was found.
    pub fn empty_root() -> Self {
        directory(RelPath::root(), 0)
    }
}

/// What stands at a root's home.
#[derive(Debug)]
pub enum WalkedRoot {
    /// Nothing: the root is missing on disk.
    Absent,
    /// A directory, or something that should be one; sorted by path, the root itself first.
    Present {
        /// The open root; `None` where it could not even be opened.
        handle: Option<RootHandle>,
        /// Every directory below, in pre-order.
        directories: Vec<WalkedDirectory>,
    },
}

/// Walks the root at `home`. Fails only where it is cancelled: what cannot be listed is part of the result.
///
/// Call it inside a rayon pool; each directory is a job of its own.
pub fn walk_root(home: &Path, rules: &RootRules, context: &Context) -> Result<WalkedRoot, Cancelled> {
    context.cancel.check()?;
    let handle = match RootHandle::open(home) {
        Ok(handle) => handle,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(WalkedRoot::Absent),
        Err(error) => {
            let root = unlisted(RelPath::root(), problem_of(&error));
            return Ok(WalkedRoot::Present { handle: None, directories: vec![root] });
        }
    };
    if rules.excludes_directory(&RelPath::root()) {
        let root = WalkedDirectory::empty_root();
        return Ok(WalkedRoot::Present { handle: Some(handle), directories: vec![root] });
    }
    let walk = Walk { root: &handle, rules, context, found: Mutex::new(Vec::new()) };
    rayon::scope(|scope| walk.directory(scope, RelPath::root()));
    context.cancel.check()?;
    let mut directories = walk.found.into_inner();
    directories.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(WalkedRoot::Present { handle: Some(handle), directories })
}

fn directory(path: RelPath, modified_ms: i64) -> WalkedDirectory {
    WalkedDirectory {
        path,
        link: false,
        modified_ms,
        files: Vec::new(),
        looks: Vec::new(),
        linked: Vec::new(),
        unlisted: None,
    }
}

fn unlisted(path: RelPath, problem: Problem) -> WalkedDirectory {
    WalkedDirectory { unlisted: Some(problem), ..directory(path, 0) }
}

struct Walk<'a> {
    root: &'a RootHandle,
    rules: &'a RootRules,
    context: &'a Context,
    found: Mutex<Vec<WalkedDirectory>>,
}

impl<'a> Walk<'a> {
    /// Lists one directory and spawns a job for each directory in it.
    fn directory<'s>(&'s self, scope: &rayon::Scope<'s>, path: RelPath) {
        if self.context.cancel.is_cancelled() {
            return;
        }
        let mut found = Vec::with_capacity(1);
        match self.list(&path) {
            Ok(listing) => {
                let bytes = listing.files.iter().map(|file| file.entry.size()).sum();
                self.context.progress.found(listing.files.len() as u64, bytes);
                for subdirectory in listing.directories {
                    scope.spawn(move |scope| self.directory(scope, subdirectory));
                }
                let links = listing.links.into_iter();
                found.extend(links.map(|(path, ms)| WalkedDirectory { link: true, ..directory(path, ms) }));
                found.push(with_files(directory(path, listing.modified_ms), listing.files));
            }
            Err(problem) => found.push(unlisted(path, problem)),
        }
        self.found.lock().append(&mut found);
    }

    fn list(&self, path: &RelPath) -> Result<Listing, Problem> {
        let fd = self.root.open_directory(path).map_err(|error| problem_of(&error))?;
        let modified_ms = fstat(&fd).map(|stat| modified_ms(&stat)).unwrap_or(0);
        let mut listing = Listing { modified_ms, ..Listing::default() };
        for (name, kind) in names(&fd)? {
            let found = look(fd.as_fd(), &name, kind);
            if let (Found::File(..), false) = (&found, self.rules.ask_about_files()) {
                path.can_hold(&name).map_err(unrepresentable)?;
                listing.file(name, found);
                continue;
            }
            let entry_path = path.join(&name).map_err(unrepresentable)?;
            if !self.rules.selects(&entry_path, !matches!(found, Found::File(..))) {
                continue;
            }
            match found {
                Found::Directory if self.rules.excludes_directory(&entry_path) => {}
                Found::Directory => listing.directories.push(entry_path),
                // A link is no directory to the exclusion rules, whatever it points to.
                _ if self.rules.excludes_file(&entry_path) => {}
                Found::LinkToDirectory(modified_ms) => listing.links.push((entry_path, modified_ms)),
                Found::File(..) => listing.file(name, found),
            }
        }
        // A directory that changes while it is read may name an entry twice.
        listing.files.sort_unstable_by(|a, b| a.entry.name.cmp(&b.entry.name));
        listing.files.dedup_by(|a, b| a.entry.name == b.entry.name);
        listing.directories.sort_unstable();
        listing.directories.dedup();
        listing.links.sort_unstable();
        listing.links.dedup_by(|a, b| a.0 == b.0);
        Ok(listing)
    }
}

fn unrepresentable(error: impl std::fmt::Display) -> Problem {
    Problem::new(Reason::Unreadable, format!("an entry in it cannot be named: {error}"))
}

#[derive(Default)]
struct Listing {
    files: Vec<WalkedFile>,
    directories: Vec<RelPath>,
    /// Symbolic links, with their targets' modification times.
    links: Vec<(RelPath, i64)>,
    modified_ms: i64,
}

struct WalkedFile {
    entry: FileEntry,
    look: Option<Look>,
    /// Which file it is, where it has further names.
    linked: Option<FileId>,
}

impl WalkedFile {
    /// What could not be looked at.
    fn unseen(problem: Problem) -> Found {
        Found::File(Listed::Unlistable(problem), None, None)
    }
}

impl Listing {
    fn file(&mut self, name: Name, found: Found) {
        if let Found::File(listed, look, linked) = found {
            self.files.push(WalkedFile { entry: FileEntry { name, listed }, look, linked });
        }
    }
}

fn with_files(directory: WalkedDirectory, files: Vec<WalkedFile>) -> WalkedDirectory {
    let (mut looks, mut linked) = (Vec::with_capacity(files.len()), Vec::new());
    let entries = (0..).zip(files).map(|(position, file)| {
        looks.push(file.look);
        linked.extend(file.linked.map(|id| (position, id)));
        file.entry
    });
    let files = entries.collect();
    WalkedDirectory { files, looks, linked, ..directory }
}

/// All names first, then the looks: the directory is read in few calls, and its stream is closed early. Sorted already here,
/// where an entry is no more than its name.
fn names(fd: &OwnedFd) -> Result<Vec<(Name, FileType)>, Problem> {
    let failed = |errno: Errno| problem_of(&errno.into());
    let mut names = Vec::new();
    for entry in Dir::read_from(fd).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push((Name::new(name).map_err(unrepresentable)?, entry.file_type()));
        }
    }
    names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(names)
}

enum Found {
    Directory,
    /// With the target's modification time.
    LinkToDirectory(i64),
    /// With the look at it, and with which file it is where it has further names.
    File(Listed, Option<Look>, Option<FileId>),
}

/// What an entry is. A directory needs no look of its own: nothing of its metadata is compared.
fn look(directory: BorrowedFd<'_>, name: &Name, hint: FileType) -> Found {
    if hint == FileType::Directory {
        return Found::Directory;
    }
    let stat = |flags| statat(directory, name.as_bytes(), flags);
    match stat(AtFlags::SYMLINK_NOFOLLOW) {
        // An entry that was in the directory's stream and is no longer has vanished; it is not as if it had never been.
        Err(errno) => WalkedFile::unseen(problem_of(&errno.into())),
        Ok(own) => match FileType::from_raw_mode(own.st_mode) {
            FileType::Directory => Found::Directory,
            FileType::Symlink => match stat(AtFlags::empty()) {
                Err(errno) => WalkedFile::unseen(link_problem(errno)),
                Ok(target) if FileType::from_raw_mode(target.st_mode) == FileType::Directory => {
                    Found::LinkToDirectory(modified_ms(&target))
                }
                Ok(target) => file(&target),
            },
            _ => file(&own),
        },
    }
}

fn link_problem(errno: Errno) -> Problem {
    let detail = match errno {
        Errno::NOENT => "the symbolic link points to nothing".to_owned(),
        other => format!("the symbolic link cannot be followed: {}", io::Error::from(other)),
    };
    Problem::new(Reason::Unreadable, detail)
}

fn file(stat: &rustix::fs::Stat) -> Found {
    let content = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Content::NotRead,
        other => Content::Unverified(Problem::new(Reason::NotARegularFile, describe(other))),
    };
    let identity = FileIdentity::of(stat);
    let linked = stat.st_nlink > 1 && content == Content::NotRead;
    let listed = Listed::File { size: identity.size(), modified_ms: identity.modified_ms(), content };
    Found::File(listed, Some(identity.look()), linked.then(|| identity.file_id()))
}

pub(super) fn describe(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "it is a named pipe",
        FileType::Socket => "it is a socket",
        FileType::CharacterDevice => "it is a character device",
        FileType::BlockDevice => "it is a block device",
        _ => "it is neither a file nor a directory",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;

    fn walk(home: &Path) -> Vec<WalkedDirectory> {
        match walk_root(home, &RootRules::none(), &Context::default()).unwrap() {
            WalkedRoot::Present { directories, .. } => directories,
            WalkedRoot::Absent => panic!("absent"),
        }
    }

    #[test]
    fn a_missing_root_is_absent_and_an_empty_one_is_not() {
        let tmp = tempfile::tempdir().unwrap();
        let missing = walk_root(&tmp.path().join("x"), &RootRules::none(), &Context::default()).unwrap();
        assert!(matches!(missing, WalkedRoot::Absent));
        assert_eq!(walk(tmp.path()).len(), 1);
    }

    #[test]
    fn a_root_that_is_a_file_is_unlisted() {
        let tmp = tempfile::NamedTempFile::new().unwrap();
        let root = &walk(tmp.path())[0];
        assert_eq!(root.unlisted.as_ref().map(|p| p.reason), Some(Reason::Unreadable));
    }

    #[test]
    fn links_pipes_and_strange_names_are_listed_as_what_they_are() {
        let tmp = tempfile::tempdir().unwrap();
        let home = tmp.path();
        fs::create_dir_all(home.join("dir/empty")).unwrap();
        fs::write(home.join("dir/file"), b"12345").unwrap();
        fs::write(home.join(std::ffi::OsStr::from_bytes(b"dir/\xff")), b"").unwrap();
        symlink("file", home.join("dir/link")).unwrap();
        symlink("nothing", home.join("dir/dangling")).unwrap();
        symlink("empty", home.join("dir/linked")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, home.join("dir/pipe"), FileType::Fifo, 0o600.into(), 0).unwrap();

        let directories = walk(home);
        let paths: Vec<String> = directories.iter().map(|d| d.path.to_string()).collect();
        assert_eq!(paths, ["", "dir", "dir/empty", "dir/linked"]);
        assert!(directories[3].link && !directories[2].link);

        let files = &directories[1].files;
        let names: Vec<String> = files.iter().map(|f| f.name.to_string()).collect();
        assert_eq!(names, ["dangling", "file", "link", "pipe", "\\xff"]);
        assert!(matches!(&files[0].listed, Listed::Unlistable(p) if p.reason == Reason::Unreadable));
        assert_eq!(files[1].listed, files[2].listed, "a link is listed as its target");
        assert_eq!(files[1].size(), 5);
        assert!(matches!(&files[3].listed, Listed::File { content: Content::Unverified(p), .. }
            if p.reason == Reason::NotARegularFile));
    }

    #[test]
    fn a_cancelled_walk_says_so() {
        let context = Context::default();
        context.cancel.cancel();
        assert!(walk_root(Path::new("/"), &RootRules::none(), &context).is_err());
    }
}
