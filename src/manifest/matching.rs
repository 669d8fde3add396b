//! The files whose metadata is the same on both sides, and whose content is therefore to be compared. A pure function of
//! two manifests.

use itertools::{EitherOrBoth, Itertools as _};

use super::diff::Comparand as _;
use super::directory::DirectoryIndex;
use super::facts::{Compared, Facts};
use super::file::FileError;
use super::hash::SubtreeHash;
use super::part::Part;
use super::plan::{DirectoryPair, PairSide, plan};
use super::root_hashes::{Depth, RootHashes};
use super::table::DirectoryTable;
use super::tree::Tree;
use super::trees::Manifest;
use crate::model::{FileEntry, Listed, RelPath, RootId};

/// The files of one directory of the destination that the source lists with the same size and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchingDirectory {
    /// The root.
    pub root: RootId,
    /// The directory.
    pub path: RelPath,
    /// Its place in the destination's table.
    pub index: DirectoryIndex,
    /// The destination's entries, sorted by name.
    pub files: Vec<FileEntry>,
}

/// All of them, directory by directory in pre-order; directories without any are left out.
pub fn matching_files(source: &Manifest, destination: &Manifest) -> Vec<MatchingDirectory> {
    let mut matching = Vec::new();
    for root in destination.roots() {
        let source = source.root(root.id).and_then(|root| root.tree.as_ref());
        let (Some(source), Some(tree)) = (source, root.tree.as_ref()) else { continue };
        for DirectoryPair { source: theirs, destination: ours } in every_pair(source, tree) {
            let (PairSide::Directory(theirs), PairSide::Directory(directory)) = (theirs, ours) else { continue };
            let files = same_metadata(&source.files(theirs), tree.files(directory));
            if !files.is_empty() {
                let path = tree.table().path(directory);
                matching.push(MatchingDirectory { root: root.id, path, index: directory, files });
            }
        }
    }
    matching
}

/// The files of one directory that both sides have with the same metadata, as far as that is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedDirectory {
    /// The root.
    pub root: RootId,
    /// The directory.
    pub path: RelPath,
    /// Its place in the source.
    pub source: DirectoryIndex,
    /// Its place in the destination.
    pub destination: DirectoryIndex,
    /// The entries of source and destination, sorted by name.
    pub files: Vec<(FileEntry, FileEntry)>,
}

/// All of them of two parts, directory by directory in pre-order; directories without any are left out. The places are those in the wholes.
pub fn matched_files(
    source: &Part<'_>,
    destination: &Part<'_>,
    wanted: Facts,
) -> Result<Vec<MatchedDirectory>, FileError> {
    let compared = Compared { source: source.facts(), destination: destination.facts(), wanted };
    let (sources, destinations) = (source.tables(), destination.tables());
    let mut matched = Vec::new();
    for (root, table) in destinations.iter().filter_map(|(id, table)| Some((*id, (*table)?))) {
        let at = sources.iter().find(|(id, _)| *id == root).and_then(|(_, table)| *table);
        let Some(theirs) = at else { continue };
        for DirectoryPair { source: left, destination: right } in pairs_of_tables(theirs, table) {
            let (PairSide::Directory(left), PairSide::Directory(right)) = (left, right) else { continue };
            if theirs.get(left).files == 0 || table.get(right).files == 0 {
                continue;
            }
            let files = both(source.open(root, left)?, destination.open(root, right)?, &compared);
            if !files.is_empty() {
                let path = table.path(right);
                let places = (source.origin(root, left), destination.origin(root, right));
                let (Some(left), Some(right)) = places else { continue };
                matched.push(MatchedDirectory { root, path, source: left, destination: right, files });
            }
        }
    }
    Ok(matched)
}

fn both(source: Vec<FileEntry>, destination: Vec<FileEntry>, compared: &Compared) -> Vec<(FileEntry, FileEntry)> {
    let both = source.into_iter().merge_join_by(destination, |theirs, ours| theirs.name.cmp(&ours.name));
    let same = |(theirs, ours): &(FileEntry, FileEntry)| match (metadata(theirs), metadata(ours)) {
        (Some(theirs), Some(ours)) => compared.metadata_difference(theirs, ours).is_none(),
        _ => false,
    };
    both.filter_map(EitherOrBoth::both).filter(same).collect()
}

/// All files of a manifest, directory by directory in pre-order; directories without any are left out.
pub fn all_files(manifest: &Manifest) -> Vec<MatchingDirectory> {
    let mut all = Vec::new();
    for (id, tree) in manifest.roots().iter().filter_map(|root| Some((root.id, root.tree.as_ref()?))) {
        let indices = tree.table().indices().filter(|index| tree.table().get(*index).files > 0);
        all.extend(indices.map(|index| {
            let (path, files) = (tree.table().path(index), tree.files(index));
            MatchingDirectory { root: id, path, index, files }
        }));
    }
    all
}

fn every_pair(source: &Tree, destination: &Tree) -> Vec<DirectoryPair> {
    pairs_of_tables(source.table(), destination.table())
}

/// Hashes that prove nothing keep no directory closed.
fn pairs_of_tables(source: &DirectoryTable, destination: &DirectoryTable) -> Vec<DirectoryPair> {
    let unproven = |table: &DirectoryTable| vec![SubtreeHash::Unproven; table.len()];
    let (left, right) = (unproven(source), unproven(destination));
    let source = RootHashes { table: source, content: &left };
    plan(source, RootHashes { table: destination, content: &right }, Depth::Content).open
}

fn same_metadata(source: &[FileEntry], destination: Vec<FileEntry>) -> Vec<FileEntry> {
    let both = source.iter().merge_join_by(destination, |theirs, ours| theirs.name.cmp(&ours.name));
    let same = |theirs, ours: &FileEntry| metadata(theirs).is_some_and(|theirs| Some(theirs) == metadata(ours));
    both.filter_map(|pair| pair.both().filter(|(theirs, ours)| same(theirs, ours)).map(|(_, ours)| ours)).collect()
}

fn metadata(file: &FileEntry) -> Option<(u64, i64)> {
    match file.listed {
        Listed::File { size, modified_ms, .. } => Some((size, modified_ms)),
        Listed::Unlistable(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Content, Name, Problem, Reason};

    fn entry(name: &str, listed: Listed) -> FileEntry {
        FileEntry { name: Name::new(name.as_bytes()).unwrap(), listed }
    }

    fn file(name: &str, size: u64, modified_ms: i64) -> FileEntry {
        entry(name, Listed::File { size, modified_ms, content: Content::NotRead })
    }

    #[test]
    fn only_files_with_the_same_size_and_time_are_to_be_compared() {
        let gone = |name| entry(name, Listed::Unlistable(Problem::new(Reason::Vanished, "")));
        let source = [file("a", 1, 5), file("b", 1, 5), file("c", 1, 5), gone("e"), gone("f"), file("g", 7, 8)];
        let destination = vec![
            file("b", 2, 5),
            file("c", 1, 6),
            file("d", 1, 5),
            gone("e"),
            file("f", 1, 5),
            file("g", 7, 8),
            file("h", 1, 5),
        ];
        assert_eq!(same_metadata(&source, destination), [file("g", 7, 8)]);
        assert_eq!(same_metadata(&source[..1], vec![file("a", 1, 5)]), [file("a", 1, 5)]);
    }
}
