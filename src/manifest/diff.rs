//! The comparison of two manifests at hand: opens only branches whose hashes differ.

use std::collections::BTreeMap;

use super::agreement::Contradiction;
use super::compare::{OpenedSide, compare_directory_into};
use super::directory::DirectoryIndex;
use super::facts::{Compared, Facts};
use super::file::{FileError, FormatFault, ManifestFile};
use super::hash::SubtreeHash;
use super::identity::Identity;
use super::notes::notes;
use super::plan::{PairSide, plan_instance};
use super::root_hashes::{Depth, RootHashes};
use super::scope::{Described, scope};
use super::table::DirectoryTable;
use super::trees::Manifest;
use super::unsteady::unsteady_directories;
use crate::model::{FileEntry, FileUrl, Findings, Outcome, Problem, RootId, Sink, Tally};

/// Why two manifests could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// One of them cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// One of them says of itself what cannot be true.
    #[error("{who} contradicts itself: {what}")]
    Contradiction {
        /// The file.
        who: String,
        /// What does not fit.
        what: Contradiction,
    },
}

/// A manifest that can be compared: in memory or in a file.
pub trait Comparand {
    /// What it is of.
    fn identity(&self) -> &Identity;
    /// Its roots, sorted by id; `None` for an absent one.
    fn tables(&self) -> Vec<(RootId, Option<&DirectoryTable>)>;
    /// The content hashes of a root's directories; empty for an absent root.
    fn contents(&self, root: RootId) -> Vec<SubtreeHash>;
    /// Directories of a root of which it is not known that they held just what was listed, with the reasons.
    fn unsteady(&self, root: RootId) -> Vec<(DirectoryIndex, Problem)>;
    /// What it knows of its files.
    fn facts(&self) -> Facts {
        Facts::ALL
    }
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

    fn unsteady(&self, root: RootId) -> Vec<(DirectoryIndex, Problem)> {
        self.root(root).and_then(|root| root.tree.as_ref()).map(|tree| tree.unsteady()).unwrap_or_default()
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

    fn unsteady(&self, root: RootId) -> Vec<(DirectoryIndex, Problem)> {
        self.unsteady(root).to_vec()
    }

    fn open(&self, root: RootId, directory: DirectoryIndex) -> Result<Vec<FileEntry>, FileError> {
        self.open_directory(root, directory)
    }
}

/// What a comparison of two manifests came to that found so much.
pub fn outcome(source: &dyn Comparand, destination: &dyn Comparand, found: Tally) -> Outcome {
    let (left, right) = (source.tables(), destination.tables());
    let source = Described { identity: source.identity(), tables: &left, listed: false };
    let destination = Described { identity: destination.identity(), tables: &right, listed: false };
    Outcome::new(scope(source, destination), found, notes(source, destination))
}

/// Compares two manifests to the given depth, and counts what differs. Fails as [`find`] does.
pub fn diff(source: &dyn Comparand, destination: &dyn Comparand, depth: Depth) -> Result<Outcome, DiffError> {
    let mut found = Tally::default();
    find(source, destination, depth, &mut found)?;
    Ok(outcome(source, destination, found))
}

/// All that [`find`] finds, held and sorted.
pub fn findings(source: &dyn Comparand, destination: &dyn Comparand, depth: Depth) -> Result<Findings, DiffError> {
    let mut found = Findings::default();
    find(source, destination, depth, &mut found)?;
    found.sort();
    Ok(found)
}

/// Compares two manifests to the given depth, and hands over what it finds directory by directory. Fails only where a manifest
/// file cannot be read, or contradicts itself.
pub fn find(
    source: &dyn Comparand,
    destination: &dyn Comparand,
    depth: Depth,
    found: &mut impl Sink,
) -> Result<(), DiffError> {
    find_by(source, destination, depth, Facts::ALL, found)
}

/// The same by some facts alone. Metadata hashes bind all facts, so the hashes of a side of which not all are compared must prove nothing:
/// see [`super::Part`].
pub fn find_by(
    source: &dyn Comparand,
    destination: &dyn Comparand,
    depth: Depth,
    wanted: Facts,
    found: &mut impl Sink,
) -> Result<(), DiffError> {
    let compared = Compared { source: source.facts(), destination: destination.facts(), wanted };
    let (left, right) = (Opened::new(source, depth), Opened::new(destination, depth));
    let planned = plan_instance(&left.hashes(), &right.hashes(), depth);
    for planned in planned.map_err(|what| blame(source, destination, what))? {
        found.take(Findings {
            counters: planned.plan.proven,
            differences: Vec::new(),
            content_not_compared: planned.plan.content_not_compared,
        });
        for pair in planned.plan.open {
            let source_files = left.files(planned.id, pair.source)?;
            let destination_files = right.files(planned.id, pair.destination)?;
            compare_directory_into(
                planned.id,
                pair,
                OpenedSide { table: left.table(planned.id), files: &source_files },
                OpenedSide { table: right.table(planned.id), files: &destination_files },
                (depth, &compared),
                found,
            );
        }
    }
    if depth == Depth::Content {
        found.take(unsteady_directories(unsteady_of(source), unsteady_of(destination)));
    }
    Ok(())
}

/// Of two sides with the same hash over different tables, at most one has the directory that gives it: its files tell.
fn blame(source: &dyn Comparand, destination: &dyn Comparand, what: Contradiction) -> DiffError {
    for (side, directory) in [source, destination].into_iter().zip(what.places) {
        match side.open(what.root, directory) {
            Ok(_) => {}
            Err(FileError { path, fault: FormatFault::BlockFiles { .. } }) => {
                return DiffError::Contradiction { who: path.display().to_string(), what };
            }
            Err(error) => return error.into(),
        }
    }
    // Two trees that give one hash would have to be found for that.
    DiffError::Contradiction { who: "one of the two manifests".to_owned(), what }
}

/// The directories of all roots of which it is not known that they held just what was listed, with the reasons.
pub fn unsteady_of(comparand: &dyn Comparand) -> Vec<(FileUrl, Problem)> {
    let tables = comparand.tables().into_iter().filter_map(|(id, table)| Some((id, table?)));
    let of_root = |(id, table): (RootId, &DirectoryTable)| {
        let url = |index| FileUrl::new(id, table.path(index));
        comparand.unsteady(id).into_iter().map(|(index, problem)| (url(index), problem)).collect::<Vec<_>>()
    };
    tables.flat_map(of_root).collect()
}

/// A comparand with the hashes a plan is made of.
struct Opened<'a> {
    comparand: &'a dyn Comparand,
    tables: BTreeMap<RootId, (Option<&'a DirectoryTable>, Vec<SubtreeHash>)>,
}

impl<'a> Opened<'a> {
    fn new(comparand: &'a dyn Comparand, depth: Depth) -> Self {
        let contents = |id, table: Option<_>| match depth {
            Depth::Content if table.is_some() => comparand.contents(id),
            _ => Vec::new(),
        };
        let tables = comparand.tables().into_iter().map(|(id, table)| (id, (table, contents(id, table))));
        Self { comparand, tables: tables.collect() }
    }

    fn hashes(&self) -> Vec<(RootId, Option<RootHashes<'_>>)> {
        let roots = self.tables.iter();
        roots.map(|(id, (table, content))| (*id, table.map(|table| RootHashes { table, content }))).collect()
    }

    fn table(&self, id: RootId) -> Option<&'a DirectoryTable> {
        self.tables.get(&id).and_then(|(table, _)| *table)
    }

    /// A directory without files is not opened: the table says all there is to know of it.
    fn files(&self, id: RootId, side: PairSide) -> Result<Vec<FileEntry>, FileError> {
        match (side, self.table(id)) {
            (PairSide::Directory(index), Some(table)) if table.get(index).files > 0 => self.comparand.open(id, index),
            _ => Ok(Vec::new()),
        }
    }
}
