//! What a manifest holds by table or by keyspace: files, bytes and hashes of each. A pure function of a manifest's tables, but for the few
//! files that lie beside tables.

use std::collections::{BTreeMap, BTreeSet};

use super::diff::Comparand;
use super::directory::DirectoryIndex;
use super::file::FileError;
use super::hash::{HashKind, SubtreeHash, subtree_hash};
use super::place_hash::{PlaceKind, PlacePart, place_hash};
use super::table::DirectoryTable;
use crate::model::{DirectoryType, Name, RelPath, RootId, Selection, table_name};

/// What a manifest is summed up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// By table, and what lies beside tables.
    Tables,
    /// By keyspace, and what lies beside keyspaces.
    Keyspaces,
}

/// One place of an instance with what lies in it. Roots of the same type, such as several data directories, are one.
#[derive(Debug, Clone)]
pub struct Place {
    /// The type of its roots.
    pub directory_type: DirectoryType,
    /// Its name; `None` for roots without keyspaces, and for what lies beside keyspaces.
    pub keyspace: Option<Name>,
    /// Its name without the id; `None` for a keyspace, and for what lies beside tables.
    pub table: Option<Name>,
    /// Entries that are not directories.
    pub files: u64,
    /// The sum of their sizes.
    pub bytes: u64,
    /// The metadata hash of the place.
    pub metadata: SubtreeHash,
    /// The content hash of the place.
    pub content: SubtreeHash,
}

/// Type, keyspace, table.
type Key = (DirectoryType, Option<Name>, Option<Name>);

struct Gathered {
    kind: PlaceKind,
    files: u64,
    bytes: u64,
    parts: [Vec<PlacePart>; 2],
}

/// All places of a manifest. Where all of them are proven and the same in two manifests, so are their trees.
///
/// Fails only where the files beside tables cannot be read.
pub fn places(manifest: &dyn Comparand, grain: Grain) -> Result<Vec<Place>, FileError> {
    let mut gathering = Gathering { manifest, grain, places: BTreeMap::new(), unlisted: BTreeSet::new() };
    for (id, table) in manifest.tables() {
        if let Some(table) = table {
            gathering.root(id, table)?;
        }
    }
    let Gathering { places, unlisted, .. } = gathering;
    Ok(places.into_iter().map(|(key, gathered)| place(key, &gathered, &unlisted)).collect())
}

/// Directories above places that could not be listed: nobody knows what else of a place lies there.
type Unlisted = BTreeSet<(DirectoryType, Option<Name>)>;

fn place(key: Key, gathered: &Gathered, unlisted: &Unlisted) -> Place {
    let (directory_type, keyspace, table) = key;
    let in_root = keyspace.is_some() && unlisted.contains(&(directory_type, None));
    let in_keyspace = table.is_some() && unlisted.contains(&(directory_type, keyspace.clone()));
    let hash = |kind, parts: &[PlacePart]| match in_root || in_keyspace {
        true => SubtreeHash::Unproven,
        false => place_hash(kind, gathered.kind, parts),
    };
    let [metadata, content] = &gathered.parts;
    Place {
        files: gathered.files,
        bytes: gathered.bytes,
        metadata: hash(HashKind::Metadata, metadata),
        content: hash(HashKind::Content, content),
        directory_type,
        keyspace,
        table,
    }
}

struct Gathering<'a> {
    manifest: &'a dyn Comparand,
    grain: Grain,
    places: BTreeMap<Key, Gathered>,
    unlisted: Unlisted,
}

/// A root while it is gone through.
struct Open<'a> {
    id: RootId,
    table: &'a DirectoryTable,
    content: Vec<SubtreeHash>,
    /// Directories that changed while they were read, ascending.
    changed: Vec<DirectoryIndex>,
}

impl Gathering<'_> {
    fn root(&mut self, id: RootId, table: &DirectoryTable) -> Result<(), FileError> {
        let kind = id.directory_type;
        let changed = self.manifest.unsteady(id).into_iter().map(|(index, _)| index).collect();
        let root = Open { id, table, content: self.manifest.contents(id), changed };
        if !Selection::covers(id) {
            self.whole(&root, PlaceKind::Roots, (kind, None, None), DirectoryIndex::ROOT);
            return Ok(());
        }
        self.beside(&root, (kind, None, None), DirectoryIndex::ROOT)?;
        for (keyspace, name) in table.children(DirectoryIndex::ROOT) {
            let named = |table| (kind, Some(name.clone()), table);
            if self.grain == Grain::Keyspaces {
                self.whole(&root, PlaceKind::Keyspace, named(None), keyspace);
                continue;
            }
            self.beside(&root, named(None), keyspace)?;
            for (directory, name) in table.children(keyspace) {
                self.whole(&root, PlaceKind::Table, named(Some(without_id(name))), directory);
            }
        }
        Ok(())
    }

    /// A directory with all that is in it.
    fn whole(&mut self, root: &Open<'_>, kind: PlaceKind, key: Key, index: DirectoryIndex) {
        let totals = root.table.totals(index);
        let content = root.content.get(index.at()).copied().unwrap_or(SubtreeHash::Unproven);
        let hashes = [root.table.get(index).metadata, content];
        self.add(root, kind, key, index, (totals.files, totals.bytes), hashes);
    }

    /// What lies in a directory beside the directories in it. Nothing for one that has only these: they say that it is there.
    fn beside(&mut self, root: &Open<'_>, key: Key, index: DirectoryIndex) -> Result<(), FileError> {
        let directory = root.table.get(index);
        let changed = root.changed.binary_search(&index).is_ok();
        if directory.unlisted.is_some() {
            self.unlisted.insert((key.0, key.1.clone()));
        }
        let holds_only_directories = directory.files == 0 && root.table.children(index).next().is_some();
        if holds_only_directories && directory.unlisted.is_none() && !changed {
            return Ok(());
        }
        let files = match directory.files {
            0 => Vec::new(),
            _ => self.manifest.open(root.id, index)?,
        };
        let hash = |kind, known: bool| match known && files.len() as u64 == directory.files {
            true => subtree_hash(kind, &files, std::iter::empty()),
            false => SubtreeHash::Unproven,
        };
        let listed = directory.unlisted.is_none();
        let hashes = [hash(HashKind::Metadata, listed), hash(HashKind::Content, listed && !changed)];
        self.add(root, PlaceKind::Beside, key, index, (directory.files, directory.bytes), hashes);
        Ok(())
    }

    fn add(
        &mut self,
        root: &Open<'_>,
        kind: PlaceKind,
        key: Key,
        index: DirectoryIndex,
        (files, bytes): (u64, u64),
        hashes: [SubtreeHash; 2],
    ) {
        let path: RelPath = root.table.path(index);
        let nothing = || Gathered { kind, files: 0, bytes: 0, parts: Default::default() };
        let place = self.places.entry(key).or_insert_with(nothing);
        // They are parts of the manifest's totals, which fit.
        place.files += files;
        place.bytes += bytes;
        for (parts, hash) in place.parts.iter_mut().zip(hashes) {
            parts.push(PlacePart { root: root.id, path: path.clone(), hash });
        }
    }
}

/// The name of the table that a directory is of.
fn without_id(directory: &Name) -> Name {
    let table = table_name(directory.as_bytes()).and_then(|table| Name::new(table.as_bytes()).ok());
    table.unwrap_or_else(|| directory.clone())
}
