//! Listing one directory: its names, and what stands behind each.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::fstat;

use super::beneath::RootHandle;
use super::cache::now_nanos;
use super::context::Context;
use super::entries::{Found, FoundFile, look, names, unrepresentable};
use super::identity::{DirectoryLook, FileIdentity, directory_ms};
use super::steady::problem_of;
use super::walked::{Looks, WalkedDirectory};
use crate::exclude::RootRules;
use crate::model::{FileEntry, Name, Problem, RelPath};

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

    /// How many files are directly in it, and the sum of their sizes in bytes.
    pub(super) fn sums(&self) -> (u64, u64) {
        let files = &self.directory.files;
        (files.len() as u64, files.iter().map(FileEntry::size).fold(0, u64::saturating_add))
    }
}

/// Lists the directory at `path`. What cannot be listed is part of the result.
pub fn list_directory(root: &RootHandle, rules: &RootRules, path: &RelPath, context: &Context) -> Listing {
    context.progress.listed();
    match list(root, rules, path) {
        Ok(listing) => listing,
        Err(problem) => Listing::of(WalkedDirectory::unlisted(path.clone(), problem)),
    }
}

fn list(root: &RootHandle, rules: &RootRules, path: &RelPath) -> Result<Listing, Problem> {
    let fd = root.open_directory(path).map_err(|error| problem_of(&error))?;
    let (steady, modified_ms) = first_look(&fd);
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
        if !rules.selects(&entry_path, !matches!(found, Found::File(..))) {
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
fn first_look(fd: &OwnedFd) -> (DirectoryLook, i64) {
    let began = now_nanos();
    match fstat(fd) {
        Ok(stat) => (FileIdentity::of(&stat).directory_look(began), directory_ms(&stat)),
        Err(_) => (DirectoryLook::unsteady(), 0),
    }
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
