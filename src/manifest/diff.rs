//! The comparison of two manifests at hand: opens only branches whose hashes differ.

use super::compare::{OpenedSide, compare_directory};
use super::directory::DirectoryIndex;
use super::file::{FileError, ManifestFile};
use super::hash::SubtreeHash;
use super::identity::Identity;
use super::notes::notes;
use super::plan::{Depth, PairSide, RootHashes, plan_instance};
use super::scope::{Described, scope};
use super::table::DirectoryTable;
use super::tree::Manifest;
use crate::model::{FileEntry, Findings, Outcome, RootId};

/// A manifest that can be compared: in memory or in a file.
pub trait Comparand {
    /// What it is of.
    fn identity(&self) -> &Identity;
    /// Its roots, sorted by id; `None` for an absent one.
    fn tables(&self) -> Vec<(RootId, Option<&DirectoryTable>)>;
    /// The content hashes of a root's directories; empty for an absent root.
    fn contents(&self, root: RootId) -> Vec<SubtreeHash>;
    /// The files of a directory.
    fn open(&self, root: RootId, directory: DirectoryIndex) -> Result<Vec<FileEntry>, FileError>;
}

impl Comparand for Manifest {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn tables(&self) -> Vec<(RootId, Option<&DirectoryTable>)> {
        self.roots().iter().map(|root| (root.id, root.tree.as_ref().map(|tree| tree.table()))).collect()
    }

    fn contents(&self, root: RootId) -> Vec<SubtreeHash> {
        self.root(root).and_then(|root| root.tree.as_ref()).map(|tree| tree.contents()).unwrap_or_default()
    }

    fn open(&self, root: RootId, directory: DirectoryIndex) -> Result<Vec<FileEntry>, FileError> {
        let tree = self.root(root).and_then(|root| root.tree.as_ref());
        Ok(tree.map(|tree| tree.files(directory)).unwrap_or_default())
    }
}

impl Comparand for ManifestFile {
    fn identity(&self) -> &Identity {
        self.identity()
    }

    fn tables(&self) -> Vec<(RootId, Option<&DirectoryTable>)> {
        self.tables()
    }

    fn contents(&self, root: RootId) -> Vec<SubtreeHash> {
        self.contents(root).to_vec()
    }

    fn open(&self, root: RootId, directory: DirectoryIndex) -> Result<Vec<FileEntry>, FileError> {
        self.open_directory(root, directory)
    }
}

/// Compares two manifests to the given depth. Fails only where a manifest file cannot be read.
pub fn diff(source: &dyn Comparand, destination: &dyn Comparand, depth: Depth) -> Result<Outcome, FileError> {
    let found = findings(source, destination, depth)?;
    let (left, right) = (source.tables(), destination.tables());
    let source = Described { identity: source.identity(), tables: &left, listed: false };
    let destination = Described { identity: destination.identity(), tables: &right, listed: false };
    Ok(Outcome::new(scope(source, destination), found, notes(source, destination)))
}

/// What [`diff`] finds, sorted.
pub fn findings(source: &dyn Comparand, destination: &dyn Comparand, depth: Depth) -> Result<Findings, FileError> {
    let (left, right) = (Opened::new(source, depth), Opened::new(destination, depth));
    let mut found = Findings::default();
    for planned in plan_instance(&left.hashes(), &right.hashes(), depth) {
        found.counters.add(&planned.plan.proven);
        found.content_not_compared += planned.plan.content_not_compared;
        for pair in planned.plan.open {
            let source_files = left.files(planned.id, pair.source)?;
            let destination_files = right.files(planned.id, pair.destination)?;
            found.absorb(compare_directory(
                planned.id,
                pair,
                OpenedSide { table: left.table(planned.id), files: &source_files },
                OpenedSide { table: right.table(planned.id), files: &destination_files },
                depth,
            ));
        }
    }
    found.sort();
    Ok(found)
}

/// A comparand with the hashes a plan is made of.
struct Opened<'a> {
    comparand: &'a dyn Comparand,
    tables: Vec<(RootId, Option<&'a DirectoryTable>)>,
    contents: Vec<Vec<SubtreeHash>>,
}

impl<'a> Opened<'a> {
    fn new(comparand: &'a dyn Comparand, depth: Depth) -> Self {
        let contents = |id| match depth {
            Depth::Metadata => Vec::new(),
            Depth::Content => comparand.contents(id),
        };
        let tables = comparand.tables();
        let contents = tables.iter().map(|(id, _)| contents(*id)).collect();
        Self { comparand, tables, contents }
    }

    fn hashes(&self) -> Vec<(RootId, Option<RootHashes<'_>>)> {
        let roots = self.tables.iter().zip(&self.contents);
        roots.map(|((id, table), content)| (*id, table.map(|table| RootHashes { table, content }))).collect()
    }

    fn table(&self, id: RootId) -> Option<&'a DirectoryTable> {
        self.tables.iter().find(|(other, _)| *other == id).and_then(|(_, table)| *table)
    }

    /// A directory without files is not opened: the table says all there is to know of it.
    fn files(&self, id: RootId, side: PairSide) -> Result<Vec<FileEntry>, FileError> {
        match (side, self.table(id)) {
            (PairSide::Directory(index), Some(table)) if table.get(index).files > 0 => self.comparand.open(id, index),
            _ => Ok(Vec::new()),
        }
    }
}
