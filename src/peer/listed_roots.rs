//! The entries of a source's listing, put together to the directories of its roots. Believes nothing it can check. Pure.
//!
//! Two entries may read the same where a source could not write their names: which one is meant nobody knows, so neither is comparable, and
//! everything else is.

use std::collections::{BTreeMap, HashMap};

use super::allowance::{Held, TooMuch};
use super::file_request::Unaskable;
use super::listed_place::{Place, mangled, place};
use super::weight;
use crate::model::{Content, EntryKind, FileEntry, FileUrl, Listed, Name, Problem, Reason, RelPath, RootId};
use crate::protocol::{ListingEntry, UnlistedEntry};
use crate::scan::WalkedDirectory;

/// The most entries a listing may have; each takes some hundred bytes of memory here.
const MAX_ENTRIES: usize = 1 << 25;

/// What a source lists.
#[derive(Debug)]
pub struct SourceListing {
    /// The roots it has entries of, each with its directories in pre-order, the root itself first.
    ///
    /// The protocol cannot tell an empty root from an absent one: neither stands here.
    pub roots: BTreeMap<RootId, Vec<WalkedDirectory>>,
    /// Directories that changed while they were listed, or hold an entry that has no place here: each is unverified itself, whatever
    /// stands in it.
    pub unsteady: BTreeMap<FileUrl, Problem>,
    /// The memory of all of it.
    pub held: Held,
}

/// Entries as they come, in whatever order.
pub(super) struct Roots {
    roots: BTreeMap<RootId, Root>,
    entries: usize,
    held: Held,
    too_much: Option<TooMuch>,
}

/// What came of one root.
#[derive(Default)]
struct Root {
    directories: HashMap<RelPath, WalkedDirectory>,
    /// Files by their directory, which may still come.
    files: HashMap<RelPath, Vec<FileEntry>>,
    /// What the source itself could not vouch for, files and directories.
    unverified: Vec<(RelPath, Problem)>,
    /// Directories with an entry that has no place here.
    incomplete: Vec<(RelPath, Problem)>,
}

impl Roots {
    pub(super) fn new(held: Held) -> Self {
        Self { roots: BTreeMap::new(), entries: 0, held, too_much: None }
    }

    /// Whether an entry was refused because there are too many.
    pub(super) fn too_much(&self) -> Option<TooMuch> {
        self.too_much
    }

    fn take(&mut self, bytes: usize) -> Result<(), String> {
        self.held.take(bytes).map_err(|too_much| self.too_much.insert(too_much).to_string())
    }

    pub(super) fn add(&mut self, entry: ListingEntry) -> Result<(), String> {
        let Some((root, path)) = self.place(&entry.file_url)? else { return Ok(()) };
        match entry.file_type {
            EntryKind::Directory => {
                let unlisted = mangled(path.as_bytes()).map(Problem::from);
                let modified_ms = entry.last_modified_time;
                let directory =
                    WalkedDirectory { path: path.clone(), modified_ms, unlisted, ..WalkedDirectory::empty_root() };
                self.take(weight::of_listed(root, &directory))?;
                match self.root(root).directories.insert(path.clone(), directory) {
                    Some(_) if mangled(path.as_bytes()).is_none() => Err(twice(&root, &path)),
                    Some(_) => {
                        self.root(root).unverified.push((path, Unaskable::Ambiguous.into()));
                        Ok(())
                    }
                    None => Ok(()),
                }
            }
            EntryKind::File => {
                let size =
                    u64::try_from(entry.size).map_err(|_| format!("{:?} has a negative size", entry.file_url))?;
                let listed = match mangled(path.as_bytes()) {
                    Some(problem @ Unaskable::NotText) => Listed::Unlistable(problem.into()),
                    // A name with a question mark may be meant as it stands: its metadata is compared.
                    _ => Listed::File { size, modified_ms: entry.last_modified_time, content: Content::NotRead },
                };
                self.file(root, &path, listed)
            }
        }
    }

    pub(super) fn unlisted(&mut self, entry: UnlistedEntry) -> Result<(), String> {
        let Some((root, path)) = self.place(&entry.file_url)? else { return Ok(()) };
        let problem = Problem::new(entry.reason, entry.detail);
        self.take(weight::of_unverified(&path, &problem))?;
        self.root(root).unverified.push((path, problem));
        Ok(())
    }

    fn root(&mut self, root: RootId) -> &mut Root {
        self.roots.entry(root).or_default()
    }

    /// Which entry a file URL names. `None` where it has no place here, which is noted.
    fn place(&mut self, file_url: &str) -> Result<Option<(RootId, RelPath)>, String> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(format!("it has more than {MAX_ENTRIES} entries"));
        }
        let (root, place) = place(file_url).ok_or_else(|| format!("{file_url:?} is the name of no entry"))?;
        let (path, problem, all_of_it) = match place {
            Place::Entry(path) => return Ok(Some((root, path))),
            Place::Below(path, problem) => (path, problem, true),
            Place::In(path, problem) => (path, problem, false),
        };
        self.take(weight::of_unverified(&path, &problem))?;
        let Root { unverified, incomplete, .. } = self.root(root);
        if all_of_it { unverified } else { incomplete }.push((path, problem));
        Ok(None)
    }

    fn file(&mut self, root: RootId, path: &RelPath, listed: Listed) -> Result<(), String> {
        let (Some(parent), Some(name)) = (path.parent(), path.names().last()) else {
            return Err("an entry without a name".to_owned());
        };
        let name = Name::new(name).map_err(|error| error.to_string())?;
        let file = FileEntry { name, listed };
        self.take(weight::of_file(&file))?;
        self.root(root).files.entry(parent).or_default().push(file);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<SourceListing, String> {
        let mut unsteady = BTreeMap::new();
        let finished = self.roots.into_iter().map(|(id, root)| Ok((id, root.finish(id, &mut unsteady)?)));
        let roots = finished.collect::<Result<_, String>>()?;
        Ok(SourceListing { roots, unsteady, held: self.held })
    }
}

impl Root {
    fn finish(mut self, id: RootId, unsteady: &mut BTreeMap<FileUrl, Problem>) -> Result<Vec<WalkedDirectory>, String> {
        self.directories.insert(RelPath::root(), WalkedDirectory::empty_root());
        for (path, mut files) in std::mem::take(&mut self.files) {
            files.sort_by(|a, b| a.name.cmp(&b.name));
            let files = self.each_once(&id, &path, files)?;
            let directory = self.directories.get_mut(&path);
            directory.ok_or_else(|| format!("it has files of {id}/{path} and not the directory itself"))?.files = files;
        }
        for (path, problem) in std::mem::take(&mut self.unverified) {
            if problem.reason == Reason::ChangedWhileReading && self.directories.contains_key(&path) {
                unsteady.insert(FileUrl::new(id, path), problem);
                continue;
            }
            self.mark(&path, problem).ok_or_else(|| format!("it has {id}/{path} and not the directory it is in"))?;
        }
        for (path, problem) in std::mem::take(&mut self.incomplete) {
            if !self.directories.contains_key(&path) {
                return Err(format!("it has an entry in {id}/{path} and not the directory itself"));
            }
            unsteady.insert(FileUrl::new(id, path), problem);
        }
        let orphan = |path: &&RelPath| path.parent().is_some_and(|parent| !self.directories.contains_key(&parent));
        if let Some(path) = self.directories.keys().find(orphan) {
            return Err(format!("it has {id}/{path} and not the directory it is in"));
        }
        let mut directories: Vec<WalkedDirectory> = self.directories.into_values().collect();
        directories.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        forget_below_unlisted(&mut directories);
        Ok(directories)
    }

    /// The sorted files of a directory, one for each name. Where several entries read the same, none is comparable; a name that
    /// says what it is stands in no honest listing twice.
    fn each_once(&mut self, id: &RootId, path: &RelPath, files: Vec<FileEntry>) -> Result<Vec<FileEntry>, String> {
        let mut once: Vec<FileEntry> = Vec::with_capacity(files.len());
        for file in files {
            let own = path.join(&file.name).map_err(|error| error.to_string())?;
            let directory = self.directories.get_mut(&own);
            let before = once.last_mut().filter(|before| before.name == file.name);
            if (directory.is_some() || before.is_some()) && mangled(own.as_bytes()).is_none() {
                return Err(twice(id, &own));
            }
            match (directory, before) {
                (Some(directory), _) => directory.unlisted = Some(Unaskable::Ambiguous.into()),
                (None, Some(before)) => before.listed = Listed::Unlistable(Unaskable::Ambiguous.into()),
                (None, None) => once.push(file),
            }
        }
        Ok(once)
    }

    /// Notes that nothing is known of an entry, nor of what is below it. `None` where its directory is not listed.
    fn mark(&mut self, path: &RelPath, problem: Problem) -> Option<()> {
        if let Some(directory) = self.directories.get_mut(path) {
            directory.unlisted = Some(problem);
            return Some(());
        }
        let name = Name::new(path.names().last()?).ok()?;
        let files = &mut self.directories.get_mut(&path.parent()?)?.files;
        let listed = Listed::Unlistable(problem);
        match files.binary_search_by(|file| file.name.cmp(&name)) {
            Ok(at) => files[at].listed = listed,
            Err(at) => files.insert(at, FileEntry { name, listed }),
        }
        Some(())
    }
}

/// What stands in a directory that may be another one, or several, says nothing of what stands in this one.
fn forget_below_unlisted(directories: &mut Vec<WalkedDirectory>) {
    let mut unlisted: Option<RelPath> = None;
    directories.retain_mut(|directory| {
        let is_below = |above: &RelPath| {
            directory.path.names().zip(above.names()).filter(|(a, b)| a == b).count() == above.names().count()
        };
        if unlisted.as_ref().is_some_and(is_below) {
            return false;
        }
        if directory.unlisted.is_some() {
            directory.files.clear();
            unlisted = Some(directory.path.clone());
        }
        true
    });
}

fn twice(id: &RootId, path: &RelPath) -> String {
    format!("{id}/{path} stands in it twice")
}
