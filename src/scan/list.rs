//! Listing one directory: its names, and what stands behind each.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::fstat;

use super::beneath::RootHandle;
use super::clock::now_nanos;
use super::context::Context;
use super::directory_look::DirectoryLook;
use super::entries::{Found, FoundFile, look, names, unrepresentable};
use super::identity::{FileIdentity, Look, directory_ms};
use super::readers::{count_media, turn};
use super::steady::problem_of;
use super::walked::{Looks, WalkedDirectory};
use crate::exclude::RootRules;
use crate::model::{FileEntry, Listed, Name, Problem, RelPath};

/// One directory as it was listed, and the directories in it.
#[derive(Debug)]
pub struct Listing {
    /// The directory itself, with its files.
    pub directory: WalkedDirectory,
    /// The directories in it, sorted.
    pub subdirectories: Vec<RelPath>,
    /// Symbolic links to directories, sorted, with their targets' modification times in milliseconds since the epoch.
    pub links: Vec<(RelPath, i64)>,
}

impl Listing {
    /// A directory in which nothing was found so far.
    pub(super) fn of(directory: WalkedDirectory) -> Self {
        Self { directory, subdirectories: Vec::new(), links: Vec::new() }
    }

    /// How many files are directly in it, and the sum of their sizes in bytes. One beyond 64 bits wraps, as the counters do that it is
    /// added to: what is taken back of them is what was added. A tree of such sizes is refused once it is walked.
    pub(super) fn sums(&self) -> (u64, u64) {
        let files = &self.directory.files;
        (files.len() as u64, files.iter().map(FileEntry::size).fold(0, u64::wrapping_add))
    }
}

/// Lists the directory at `path`. What cannot be listed is part of the result. `rested` is what an earlier first look saw
/// ([`DirectoryLook::seen`]), where its wait is over.
pub fn list_directory(
    root: &RootHandle,
    rules: &RootRules,
    path: &RelPath,
    rested: Option<Look>,
    context: &Context,
) -> Listing {
    let _turn = turn(|| ());
    context.progress.listed();
    let listed = list(root, rules, path, rested);
    count_media();
    match listed {
        Ok(listing) => listing,
        Err(problem) => Listing::of(WalkedDirectory::unlisted(path.clone(), problem)),
    }
}

fn list(root: &RootHandle, rules: &RootRules, path: &RelPath, rested: Option<Look>) -> Result<Listing, Problem> {
    let fd = root.open_directory(path).map_err(|error| problem_of(&error))?;
    let (steady, modified_ms) = first_look(root, &fd, rested);
    let mut listing = Listing::of(WalkedDirectory { steady, ..WalkedDirectory::at(path.clone(), modified_ms) });
    let mut files = Vec::new();
    for (name, kind) in names(&fd)? {
        let found = look(fd.as_fd(), &name, kind);
        if let (Found::File(..), false) = (&found, rules.ask_about_files()) {
            path.can_hold(&name).map_err(unrepresentable)?;
            files.extend(named(name, found));
            continue;
        }
        let entry_path = path.join(&name).map_err(unrepresentable)?;
        let selected = match &found {
            Found::File(FoundFile { listed: Listed::Unlistable(_), .. }) => rules.selects_unknown(&entry_path),
            found => rules.selects(&entry_path, !matches!(found, Found::File(..))),
        };
        if !selected {
            continue;
        }
        match found {
            Found::Directory if rules.excludes_directory(&entry_path) => {}
            Found::Directory => listing.subdirectories.push(entry_path),
            // A link is no directory to the exclusion rules, whatever it points to.
            _ if rules.excludes_file(&entry_path) => {}
            Found::LinkToDirectory(modified_ms) => listing.links.push((entry_path, modified_ms)),
            Found::File(..) => files.extend(named(name, found)),
        }
    }
    // A directory that changes while it is read may name an entry twice.
    files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    files.dedup_by(|a, b| a.0 == b.0);
    listing.subdirectories.sort_unstable();
    listing.subdirectories.dedup();
    listing.links.sort_unstable();
    listing.links.dedup_by(|a, b| a.0 == b.0);
    listing.directory = with_files(listing.directory, files);
    Ok(listing)
}

/// The look at an open directory of which no name was read yet, and its modification time.
fn first_look(root: &RootHandle, fd: &OwnedFd, rested: Option<Look>) -> (DirectoryLook, i64) {
    // Before the look: a change that comes in between must not seem old.
    let began = now_nanos();
    let Ok(stat) = fstat(fd) else { return (DirectoryLook::UNSTEADY, 0) };
    let found = FileIdentity::of(&stat);
    let own_clock = root.has_own_clock(fd.as_fd(), found.device);
    (DirectoryLook::first(&found, began, own_clock, rested), directory_ms(&stat))
}

fn named(name: Name, found: Found) -> Option<(Name, FoundFile)> {
    match found {
        Found::File(file) => Some((name, file)),
        Found::Directory | Found::LinkToDirectory(_) => None,
    }
}

fn with_files(directory: WalkedDirectory, files: Vec<(Name, FoundFile)>) -> WalkedDirectory {
    let (mut looks, mut linked, mut targets) = (Vec::with_capacity(files.len()), Vec::new(), Vec::new());
    let entries = (0..).zip(files).map(|(position, (name, file))| {
        looks.push(file.look);
        linked.extend(file.linked.map(|id| (position, id)));
        targets.extend(file.target.then_some(position));
        FileEntry { name, listed: file.listed }
    });
    let files = entries.collect();
    WalkedDirectory { files, looks: Looks { files: looks, targets }, linked, ..directory }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Moment;
    use std::fs;

    /// A server's clock may be ahead or behind, so that no change time is old by this machine's.
    #[test]
    fn by_another_clock_a_directory_is_listed_again_once_its_change_time_has_stood_for_a_tick() {
        let (tmp, context, path) = (tempfile::tempdir().unwrap(), Context::default(), RelPath::root());
        let root = RootHandle::by_another_clock(tmp.path());
        let look = |rested| list_directory(&root, &RootRules::none(), &path, rested, &context).directory.steady;
        std::thread::sleep(std::time::Duration::from_millis(25));
        let (since, first) = (Moment::now(), look(None));
        assert!(first.wait() >= std::time::Duration::from_millis(20), "{first:?}");
        std::thread::sleep(first.wait());
        let second = look(first.seen());
        assert!(matches!(second, DirectoryLook::Steady(_)), "{second:?}");
        assert!(!root.may_have_changed(&path, second, &since, &context));
        fs::write(tmp.path().join("new"), b"").unwrap();
        assert!(root.may_have_changed(&path, second, &since, &context));
        assert!(matches!(look(first.seen()), DirectoryLook::Unsteady { .. }), "what is seen now has not stood yet");
    }
}
