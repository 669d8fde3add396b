//! Walking a root in parallel.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use parking_lot::Mutex;

use super::beneath::RootHandle;
use super::cancel::Cancelled;
use super::context::Context;
use super::identity::Look;
use super::list::{Listing, list_directory};
use super::steady::problem_of;
use super::walked::{WalkedDirectory, WalkedRoot};
use crate::exclude::RootRules;
use crate::model::{Problem, Reason, RelPath};

/// Walks the root at `home`. Fails only where it is cancelled: what cannot be listed is part of the result. What is `known`
/// already is not listed again.
///
/// Call it inside a rayon pool; each directory is a job of its own.
pub(super) fn walk_root(
    home: &Path,
    rules: &RootRules,
    known: Known,
    context: &Context,
) -> Result<WalkedRoot, Cancelled> {
    context.cancel.check()?;
    let handle = match RootHandle::open(home) {
        Ok(handle) => handle,
        Err(error) => {
            known.forget(context);
            return Ok(not_opened(home, &error));
        }
    };
    if rules.excludes_directory(&RelPath::root()) {
        let root = WalkedDirectory::empty_root();
        return Ok(WalkedRoot::Present { handle: Some(handle), directories: vec![root] });
    }
    let walk = Walk { root: &handle, rules, context, known: Mutex::new(known), found: Mutex::new(Vec::new()) };
    rayon::scope(|scope| walk.directory(scope, RelPath::root()));
    context.cancel.check()?;
    walk.known.into_inner().forget(context);
    let mut directories = walk.found.into_inner();
    directories.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(WalkedRoot::Present { handle: Some(handle), directories })
}

/// Only a name that is not there is absent. What was configured, is there, and leads nowhere could not be looked at: a disk that
/// is not mounted must not pass for an empty one.
fn not_opened(home: &Path, error: &io::Error) -> WalkedRoot {
    let problem = match error.kind() {
        io::ErrorKind::NotFound if !leads_nowhere(home) => return WalkedRoot::Absent,
        io::ErrorKind::NotFound => Problem::new(Reason::Vanished, "the symbolic link points to nothing"),
        _ => problem_of(error),
    };
    let root = WalkedDirectory::unlisted(RelPath::root(), problem);
    WalkedRoot::Present { handle: None, directories: vec![root] }
}

/// Whether a symbolic link on the way to a name that is not found points to nothing.
fn leads_nowhere(home: &Path) -> bool {
    let deepest = home.ancestors().find_map(|path| Some((path, path.symlink_metadata().ok()?)));
    deepest.is_some_and(|(path, own)| own.is_symlink() && path.metadata().is_err())
}

/// Directories of a root that were listed before and need not be listed again.
#[derive(Debug, Default)]
pub(super) struct Known {
    listings: HashMap<RelPath, Listing>,
    /// What first looks at the others saw, of which the wait is over.
    rested: HashMap<RelPath, Look>,
}

impl Known {
    /// All of them, sorted by path, but those that are to be listed again, now that their wait is over.
    pub(super) fn but(directories: Vec<WalkedDirectory>, again: &[RelPath], context: &Context) -> Self {
        let mut known = Self::default();
        for directory in directories {
            let parent = directory.path.parent().and_then(|parent| known.listings.get_mut(&parent));
            match (parent, directory.link) {
                (Some(parent), true) => parent.links.push((directory.path, directory.modified_ms)),
                (parent, _) => {
                    parent.into_iter().for_each(|parent| parent.subdirectories.push(directory.path.clone()));
                    known.listings.insert(directory.path.clone(), Listing::of(directory));
                }
            }
        }
        for path in again {
            let Some(listing) = known.listings.remove(path) else { continue };
            context.progress.lost(listing.sums());
            known.rested.extend(listing.directory.steady.seen().map(|look| (path.clone(), look)));
        }
        known
    }

    /// What nobody came across any more is gone.
    fn forget(self, context: &Context) {
        self.listings.into_values().for_each(|listing| context.progress.lost(listing.sums()));
    }
}

struct Walk<'a> {
    root: &'a RootHandle,
    rules: &'a RootRules,
    context: &'a Context,
    known: Mutex<Known>,
    found: Mutex<Vec<WalkedDirectory>>,
}

impl<'a> Walk<'a> {
    /// Lists one directory and spawns a job for each directory in it.
    fn directory<'s>(&'s self, scope: &rayon::Scope<'s>, path: RelPath) {
        if self.context.cancel.is_cancelled() {
            return;
        }
        let (known, rested) = {
            let mut known = self.known.lock();
            (known.listings.remove(&path), known.rested.remove(&path))
        };
        let Listing { directory, subdirectories, links } = known.unwrap_or_else(|| {
            let listing = list_directory(self.root, self.rules, &path, rested, self.context);
            self.context.progress.found(listing.sums());
            listing
        });
        for subdirectory in subdirectories {
            scope.spawn(move |scope| self.directory(scope, subdirectory));
        }
        let links = links.into_iter().map(|(path, ms)| WalkedDirectory { link: true, ..WalkedDirectory::at(path, ms) });
        self.found.lock().extend(links.chain([directory]));
    }
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
        match walk_root(home, &RootRules::none(), Known::default(), &Context::default()).unwrap() {
            WalkedRoot::Present { directories, .. } => directories,
            WalkedRoot::Absent => panic!("absent"),
        }
    }

    #[test]
    fn a_missing_root_is_absent_and_an_empty_one_is_not() {
        let tmp = tempfile::tempdir().unwrap();
        let missing =
            walk_root(&tmp.path().join("x"), &RootRules::none(), Known::default(), &Context::default()).unwrap();
        assert!(matches!(missing, WalkedRoot::Absent));
        assert_eq!(walk(tmp.path()).len(), 1);
    }

    #[test]
    fn a_root_that_is_a_file_is_unlisted() {
        let tmp = tempfile::NamedTempFile::new().unwrap();
        let root = &walk(tmp.path())[0];
        assert_eq!(root.unlisted.as_ref().map(|p| p.reason), Some(Reason::Unreadable));
    }

    /// A disk that is not mounted, with the link itself as the root, and on the way to it.
    #[test]
    fn a_root_that_leads_nowhere_is_not_absent() {
        let tmp = tempfile::tempdir().unwrap();
        symlink("disk", tmp.path().join("link")).unwrap();
        symlink("link", tmp.path().join("further")).unwrap();
        for home in ["link", "further", "link/data", "further/a/b"] {
            let root = &walk(&tmp.path().join(home))[0];
            assert_eq!(root.unlisted.as_ref().map(|p| p.reason), Some(Reason::Vanished), "{home}");
        }
        fs::create_dir(tmp.path().join("disk")).unwrap();
        assert_eq!(walk(&tmp.path().join("further"))[0].unlisted, None);
        let missing =
            walk_root(&tmp.path().join("link/x/y"), &RootRules::none(), Known::default(), &Context::default());
        assert!(matches!(missing.unwrap(), WalkedRoot::Absent));
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

    /// Without the earlier look a directory by another machine's clock would never be steady.
    #[test]
    fn what_is_listed_again_is_compared_with_the_look_that_has_stood_meanwhile() {
        let tmp = tempfile::tempdir().unwrap();
        fs::create_dir(tmp.path().join("d")).unwrap();
        let stat = rustix::fs::stat(tmp.path()).unwrap();
        let seen = crate::scan::FileIdentity::of(&stat).look();
        let mut directories = walk(tmp.path());
        directories[1].steady = crate::scan::DirectoryLook::Unsteady { seen: Some(seen), wait_ms: 20 };
        let again = [RelPath::root(), RelPath::new(b"d").unwrap()];
        let known = Known::but(directories, &again, &Context::default());
        assert!(known.listings.is_empty());
        assert_eq!(known.rested.get(&again[1]), Some(&seen));
    }

    #[test]
    fn a_cancelled_walk_says_so() {
        let context = Context::default();
        context.cancel.cancel();
        assert!(walk_root(Path::new("/"), &RootRules::none(), Known::default(), &context).is_err());
    }
}
