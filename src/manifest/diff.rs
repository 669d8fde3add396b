//! The comparison of two manifests at hand: opens only branches whose hashes differ.

use std::collections::BTreeSet;

use super::causes::causes;
use super::compare::{OpenedSide, compare_directory};
use super::directory::DirectoryIndex;
use super::file::{FileError, ManifestFile};
use super::hash::SubtreeHash;
use super::identity::Identity;
use super::plan::{Depth, PairSide, RootHashes, plan_instance};
use super::scope::{Described, scope};
use super::table::DirectoryTable;
use super::tree::Manifest;
use crate::model::{FileEntry, Findings, Outcome, RootId, Selection, Side, table_name};

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

/// Facts that change no counter and no state, and that a reader should know: causes of many differences first, then rules that are not the same, and roots
/// that are absent, and links behind which nobody looked.
pub fn notes(source: Described<'_>, destination: Described<'_>) -> Vec<String> {
    let mut notes = causes(source, destination);
    if source.identity.rules != destination.identity.rules {
        notes.push(format!(
            "the two sides leave out different files: source {}, destination {}",
            rules(source.identity),
            rules(destination.identity)
        ));
    }
    notes.extend(not_found(source, destination));
    notes.extend(absent_roots(source.tables, destination.tables));
    notes.extend(links(Side::Source, source.tables));
    notes.extend(links(Side::Destination, destination.tables));
    notes
}

/// A name that a comparison is restricted to and that nobody has is more often misspelt than meant.
fn not_found(source: Described<'_>, destination: Described<'_>) -> Option<String> {
    let selected = destination.identity.selection.as_ref()?.names();
    let tables: Vec<&DirectoryTable> =
        source.tables.iter().chain(destination.tables).filter_map(|(_, table)| *table).collect();
    let stands = |name: &String| tables.iter().any(|table| has_keyspace(table, name));
    let missing: Vec<String> = selected.into_iter().filter(|name| !stands(name)).collect();
    (!missing.is_empty()).then(|| format!("keyspaces or tables that stand on neither side: {}", missing.join(", ")))
}

/// Whether a root has the directory of a `keyspace` or `keyspace.table`.
fn has_keyspace(table: &DirectoryTable, name: &str) -> bool {
    let (keyspace, wanted) = name.split_once('.').map_or((name, None), |(keyspace, name)| (keyspace, Some(name)));
    // What could not be listed may have it.
    if table.get(DirectoryIndex::ROOT).unlisted.is_some() {
        return true;
    }
    let mut keyspaces = table.children(DirectoryIndex::ROOT);
    let Some((keyspace, _)) = keyspaces.find(|(_, name)| name.as_bytes() == keyspace.as_bytes()) else { return false };
    let has = |wanted| table.children(keyspace).any(|(_, name)| table_name(name.as_bytes()) == Some(wanted));
    table.get(keyspace).unlisted.is_some() || wanted.is_none_or(has)
}

fn rules(identity: &Identity) -> String {
    let patterns = identity.file_patterns.iter().chain(&identity.directory_patterns);
    let patterns: Vec<&str> = patterns.map(String::as_str).collect();
    let excludes =
        if patterns.is_empty() { "excludes nothing".to_owned() } else { format!("excludes {}", patterns.join(" ")) };
    match identity.selection.as_ref().map(Selection::names) {
        None => excludes,
        Some(names) => format!("{excludes} and is restricted to {}", names.join(" ")),
    }
}

/// The roots of one side; `None` for an absent one.
type Tables<'a> = [(RootId, Option<&'a DirectoryTable>)];

/// An absent root counts as one without entries; that is no difference, and yet worth knowing.
fn absent_roots(source: &Tables<'_>, destination: &Tables<'_>) -> Vec<String> {
    let has = |side: &Tables<'_>, id| side.iter().any(|(other, table)| *other == id && table.is_some());
    let ids: BTreeSet<RootId> = source.iter().chain(destination).map(|(id, _)| *id).collect();
    let list = |present: (bool, bool)| {
        let ids = ids.iter().filter(|id| (has(source, **id), has(destination, **id)) == present);
        ids.map(RootId::to_string).collect::<Vec<_>>().join(", ")
    };
    [("on either side", (false, false)), ("at the source", (false, true)), ("at the destination", (true, false))]
        .into_iter()
        .map(|(place, present)| (place, list(present)))
        .filter(|(_, roots)| !roots.is_empty())
        .map(|(place, roots)| format!("not there {place}: {roots}"))
        .collect()
}

/// A link to a directory is listed and never entered, so nothing behind it is part of any proof.
fn links(side: Side, tables: &Tables<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    for (id, table) in tables.iter().filter_map(|(id, table)| table.map(|table| (id, table))) {
        let mut links = table.indices().filter(|index| table.get(*index).link);
        if let Some(first) = links.next() {
            let more = links.count();
            let first = table.path(first);
            let others = if more > 0 { format!(" and {more} more") } else { String::new() };
            notes.push(format!(
                "{id}/{first}{others} at the {side}: a symbolic link to a directory is listed and not entered; \
                 nothing behind it was compared"
            ));
        }
    }
    notes
}
