//! Walking a root in parallel.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use parking_lot::Mutex;
use rustix::fs::fstat;

use super::beneath::RootHandle;
use super::cancel::Cancelled;
use super::context::Context;
use super::entries::{Found, look, names, unrepresentable};
use super::identity::{FileId, Look, modified_ms};
use super::steady::problem_of;
use super::walked::{WalkedDirectory, WalkedRoot};
use crate::exclude::RootRules;
use crate::model::{FileEntry, Name, Problem, RelPath};

/// Walks the root at `home`. Fails only where it is cancelled: what cannot be listed is part of the result.
///
/// Call it inside a rayon pool; each directory is a job of its own.
pub fn walk_root(home: &Path, rules: &RootRules, context: &Context) -> Result<WalkedRoot, Cancelled> {
    context.cancel.check()?;
    let handle = match RootHandle::open(home) {
        Ok(handle) => handle,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(WalkedRoot::Absent),
        Err(error) => {
            let root = WalkedDirectory::unlisted(RelPath::root(), problem_of(&error));
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
                found.extend(links.map(|(path, ms)| WalkedDirectory { link: true, ..WalkedDirectory::at(path, ms) }));
                found.push(with_files(WalkedDirectory::at(path, listing.modified_ms), listing.files));
            }
            Err(problem) => found.push(WalkedDirectory::unlisted(path, problem)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Content, Listed, Reason};
    use rustix::fs::FileType;
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
