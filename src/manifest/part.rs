//! What of a manifest is compared, where that is not everything: a manifest of its own, made of what is at hand.
//!
//! No hash of the whole says anything of a part, so none of a part is proven: every directory of it is opened.

use std::collections::{BTreeMap, BTreeSet};

use super::diff::Comparand;
use super::directory::{Directory, DirectoryIndex};
use super::facts::Facts;
use super::file::FileError;
use super::hash::SubtreeHash;
use super::identity::Identity;
use super::table::DirectoryTable;
use super::table_error::TableError;
use crate::checksums::ChecksumList;
use crate::exclude::Filter;
use crate::model::{EntryKind, FileEntry, Listed, Problem, Reason, RelPath, RootId};

/// Why a part cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// The manifest cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// What is left of its directories is no table.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// What of a manifest is wanted.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Only what it takes in.
    pub filter: Option<&'a Filter>,
    /// The other side, where that is a list, which knows of directories only by the files in them: a directory without files is then
    /// nobody's entry.
    pub listed: Option<&'a ChecksumList>,
    /// What the manifest knows of its files.
    pub facts: Facts,
}

impl Wanted<'_> {
    /// All of it.
    pub const ALL: Self = Self { filter: None, listed: None, facts: Facts::ALL };

    fn directory(&self, path: &RelPath) -> bool {
        path.is_root() || self.filter.is_none_or(|filter| filter.takes_directory(path))
    }

    fn file(&self, path: &RelPath, listed: &Listed) -> bool {
        self.filter.is_none_or(|filter| match listed {
            Listed::File { .. } => filter.takes_file(path),
            Listed::Unlistable(_) => filter.takes_unknown(path),
        })
    }

    /// What is known of a directory that nothing is in.
    fn counts_empty(&self, path: &RelPath) -> bool {
        self.listed.is_none_or(|list| list.entry(path).is_some())
    }
}

/// A part of a manifest.
pub struct Part<'a> {
    whole: &'a dyn Comparand,
    wanted: Wanted<'a>,
    trees: BTreeMap<RootId, Option<PartTree>>,
}

struct PartTree {
    table: DirectoryTable,
    /// Where each directory stands in the whole.
    origins: Vec<DirectoryIndex>,
    /// What became of each directory of the whole.
    places: Vec<Place>,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// It is this one.
    Kept(DirectoryIndex),
    /// It counts as nobody's entry, and lies below this one.
    Below(DirectoryIndex),
    LeftOut,
}

impl<'a> Part<'a> {
    /// The part of a manifest that is wanted. Reads all of it where a filter says what that is.
    pub fn of(whole: &'a dyn Comparand, wanted: Wanted<'a>) -> Result<Self, PartError> {
        let tree = |(id, table): (RootId, Option<&DirectoryTable>)| {
            let tree = table.map(|table| PartTree::of(whole, id, table, &wanted)).transpose()?;
            Ok((id, tree))
        };
        let trees = whole.tables().into_iter().map(tree).collect::<Result<_, PartError>>()?;
        Ok(Self { whole, wanted, trees })
    }

    /// Where a directory stands in the whole.
    pub fn origin(&self, root: RootId, index: DirectoryIndex) -> Option<DirectoryIndex> {
        self.tree(root)?.origins.get(index.at()).copied()
    }

    /// Which of these names stand in it, in any root. Opens all of it.
    pub fn named<'n>(&self, names: impl Iterator<Item = &'n RelPath>) -> Result<BTreeSet<&'n RelPath>, FileError> {
        let mut missing: BTreeSet<&RelPath> = names.collect();
        let mut named = BTreeSet::new();
        for (id, tree) in self.trees.iter().filter_map(|(id, tree)| Some((*id, tree.as_ref()?))) {
            for index in tree.table.indices() {
                let path = tree.table.path(index);
                named.extend(missing.take(&path));
                for file in self.open(id, index)? {
                    named.extend(path.join(&file.name).ok().and_then(|path| missing.take(&path)));
                }
            }
        }
        Ok(named)
    }

    fn tree(&self, root: RootId) -> Option<&PartTree> {
        self.trees.get(&root)?.as_ref()
    }
}

impl PartTree {
    fn of(whole: &dyn Comparand, id: RootId, table: &DirectoryTable, wanted: &Wanted<'_>) -> Result<Self, PartError> {
        let sums = sums(whole, id, table, wanted)?;
        let counts = counting(table, &sums, wanted);
        let (mut places, mut origins, mut directories) = (Vec::new(), Vec::new(), Vec::new());
        for index in table.indices() {
            let directory = table.get(index);
            let parent = match places.get(directory.parent.at()) {
                Some(Place::Kept(parent) | Place::Below(parent)) => *parent,
                Some(Place::LeftOut) | None => DirectoryIndex::ROOT,
            };
            let place = match sums[index.at()] {
                None => Place::LeftOut,
                Some(_) if !counts[index.at()] => Place::Below(parent),
                Some((files, bytes)) => {
                    let place = DirectoryIndex(directories.len() as u32);
                    origins.push(index);
                    let one = Directory { parent, files, bytes, metadata: SubtreeHash::Unproven, ..directory.clone() };
                    directories.push(not_entered(one, wanted, || table.path(index)));
                    Place::Kept(place)
                }
            };
            places.push(place);
        }
        Ok(Self { table: DirectoryTable::new(directories)?, origins, places })
    }
}

/// Files and bytes of each directory that are wanted; `None` for directories that are not.
fn sums(
    whole: &dyn Comparand,
    id: RootId,
    table: &DirectoryTable,
    wanted: &Wanted<'_>,
) -> Result<Vec<Option<(u64, u64)>>, FileError> {
    let mut sums: Vec<Option<(u64, u64)>> = Vec::with_capacity(table.len());
    for index in table.indices() {
        let directory = table.get(index);
        let below = index == DirectoryIndex::ROOT || sums[directory.parent.at()].is_some();
        let taken = below && wanted.directory(&table.path(index));
        sums.push(match wanted.filter {
            _ if !taken => None,
            Some(_) if directory.files > 0 => {
                let files = files(whole, id, index, &table.path(index), wanted)?;
                let bytes = files.iter().map(FileEntry::size).fold(0, u64::saturating_add);
                Some((files.len() as u64, bytes))
            }
            Some(_) | None => Some((directory.files, directory.bytes)),
        });
    }
    Ok(sums)
}

fn files(
    whole: &dyn Comparand,
    id: RootId,
    index: DirectoryIndex,
    path: &RelPath,
    wanted: &Wanted<'_>,
) -> Result<Vec<FileEntry>, FileError> {
    let mut files = whole.open(id, index)?;
    if wanted.filter.is_some() {
        files.retain(|file| path.join(&file.name).is_ok_and(|path| wanted.file(&path, &file.listed)));
    }
    Ok(files)
}

/// Which directories are entries: all of them, unless the other side knows of directories only by what is in them. The root always is.
fn counting(table: &DirectoryTable, sums: &[Option<(u64, u64)>], wanted: &Wanted<'_>) -> Vec<bool> {
    let mut counts = vec![false; sums.len()];
    // Backwards, every directory is decided before the one it is in.
    for index in table.indices().rev() {
        let Some((files, _)) = sums[index.at()] else { continue };
        let directory = table.get(index);
        counts[index.at()] |= index == DirectoryIndex::ROOT
            || files > 0
            || directory.unlisted.is_some()
            || wanted.counts_empty(&table.path(index));
        if counts[index.at()] {
            counts[directory.parent.at()] = true;
        }
    }
    counts
}

/// Nobody looked behind a symbolic link to a directory. Where the other side has files there, they are not missing on this one.
fn not_entered(directory: Directory, wanted: &Wanted<'_>, path: impl FnOnce() -> RelPath) -> Directory {
    let hides = directory.link && wanted.listed.is_some_and(|list| list.entry(&path()) == Some(EntryKind::Directory));
    if !hides {
        return directory;
    }
    let what = "it is a symbolic link to a directory, which is not entered";
    Directory { link: false, unlisted: Some(Problem::new(Reason::Unreadable, what)), ..directory }
}

impl Comparand for Part<'_> {
    fn identity(&self) -> &Identity {
        self.whole.identity()
    }

    fn tables(&self) -> Vec<(RootId, Option<&DirectoryTable>)> {
        self.trees.iter().map(|(id, tree)| (*id, tree.as_ref().map(|tree| &tree.table))).collect()
    }

    fn contents(&self, root: RootId) -> Vec<SubtreeHash> {
        self.tree(root).map(|tree| vec![SubtreeHash::Unproven; tree.table.len()]).unwrap_or_default()
    }

    /// A directory that is nobody's entry is reported with the one it lies below.
    fn unsteady(&self, root: RootId) -> Vec<(DirectoryIndex, Problem)> {
        let Some(tree) = self.tree(root) else { return Vec::new() };
        let placed = |(index, problem): (DirectoryIndex, Problem)| match tree.places.get(index.at())? {
            Place::Kept(place) => Some((*place, problem)),
            Place::Below(place) => {
                let detail = format!("a directory below it without files: {}", problem.detail);
                Some((*place, Problem::new(problem.reason, detail)))
            }
            Place::LeftOut => None,
        };
        self.whole.unsteady(root).into_iter().filter_map(placed).collect()
    }

    fn facts(&self) -> Facts {
        self.wanted.facts
    }

    fn open(&self, root: RootId, directory: DirectoryIndex) -> Result<Vec<FileEntry>, FileError> {
        match (self.origin(root, directory), self.tree(root)) {
            (Some(origin), Some(tree)) => files(self.whole, root, origin, &tree.table.path(directory), &self.wanted),
            _ => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exclude::{FilterTexts, Rules};
    use crate::manifest::{Depth, Identity, Manifest, directories_of, findings};
    use crate::model::Content;

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    fn manifest(files: &[&str], directories: &[&str]) -> Manifest {
        let identity = Identity::new("host".to_owned(), "instance".to_owned(), 7, &Rules::none());
        let content = || Content::Digest(blake3::hash(b"").into());
        let listed = |text: &&str| (path(text), Listed::File { size: 3, modified_ms: 5, content: content() });
        let walked = directories_of(files.iter().map(listed), directories.iter().map(|text| path(text)));
        Manifest::of_listed(identity, [(RootId::DATA_0, walked)]).unwrap()
    }

    fn shown(part: &Part<'_>) -> Vec<String> {
        let mut shown = Vec::new();
        for (id, table) in part.tables() {
            let table = table.unwrap();
            for index in table.indices() {
                let files = part.open(id, index).unwrap();
                assert_eq!(files.len() as u64, table.get(index).files);
                let names: Vec<String> = files.iter().map(|file| file.name.to_string()).collect();
                shown.push(format!("{}: {}", table.path(index), names.join(" ")));
            }
        }
        shown
    }

    #[test]
    fn a_filter_leaves_files_and_whole_directories_out() {
        let whole = manifest(&["a/x.db", "a/y.tmp", "b/c/z.db", "b/z.db", "top.db"], &["empty", "b/empty"]);
        let filter = |include: &[&str], exclude: &[&str]| {
            let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            let texts = FilterTexts { include: texts(include), exclude: texts(exclude), names: None };
            Filter::new(&texts).unwrap().unwrap()
        };
        let of = |filter: &Filter| shown(&Part::of(&whole, Wanted { filter: Some(filter), ..Wanted::ALL }).unwrap());
        assert_eq!(of(&filter(&["*.db"], &["/b/c"])), [": top.db", "a: x.db", "b: z.db", "b/empty: ", "empty: "]);
        assert_eq!(of(&filter(&[], &["*.tmp", "empty/"])), [": top.db", "a: x.db", "b: z.db", "b/c: z.db"]);
        assert_eq!(shown(&Part::of(&whole, Wanted::ALL).unwrap()).len(), 6);
    }

    #[test]
    fn beside_a_list_directories_without_files_are_nobodys_entries() {
        let whole = manifest(&["a/x", "b/c/z"], &["b/empty/deep", "empty", "named"]);
        let text = b"d41d8cd98f00b204e9800998ecf8427e  named";
        let list = crate::checksums::read(text, &crate::checksums::Reading::default()).unwrap();
        let part = Part::of(&whole, Wanted { listed: Some(&list), ..Wanted::ALL }).unwrap();
        assert_eq!(shown(&part), [": ", "a: x", "b: ", "b/c: z", "named: "]);
    }

    #[test]
    fn a_part_of_what_is_equal_is_equal_though_no_hash_of_it_is_proven() {
        let (whole, other) = (manifest(&["a/x", "b/c/z"], &[]), manifest(&["a/x", "b/c/z"], &[]));
        let (left, right) = (Part::of(&whole, Wanted::ALL).unwrap(), Part::of(&other, Wanted::ALL).unwrap());
        let found = findings(&left, &right, Depth::Content).unwrap();
        assert_eq!((found.counters.files_matched, found.counters.metadata_matched), (2, 5));
        assert_eq!(found.differences, []);
    }
}
