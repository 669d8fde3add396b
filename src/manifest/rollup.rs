//! A comparison summed up by keyspace and table. A pure function of both sides' tables and the differences.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::directory::DirectoryIndex;
use super::scope::RootTables;
use super::table::DirectoryTable;
use crate::model::{Difference, DifferenceKind, DirectoryType, EntryKind, Name, RootId, Selection, table_name};

/// What a comparison says of one table, keyspace or root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RollupState {
    /// Everything in it was compared and is the same.
    Equal,
    /// Something in it is missing or other.
    Different,
    /// Nothing in it differs, and something in it could not be checked.
    Unverified,
    /// Its metadata is the same; its content was not compared, because metadata elsewhere ended the task, or because it is a
    /// symbolic link, which is not entered.
    NotCompared,
}

impl RollupState {
    /// The name in reports, as serde writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Different => "different",
            Self::Unverified => "unverified",
            Self::NotCompared => "not-compared",
        }
    }
}

/// Files and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Extent {
    files: u64,
    bytes: u64,
}

/// The sums of one table, of what lies in a keyspace beside its tables, or of a root without keyspaces. Roots of the same
/// kind, such as several data directories, are summed up together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollup {
    /// The kind of root, such as `data`.
    #[serde(rename = "root")]
    #[schema(value_type = String)]
    pub directory_type: DirectoryType,
    /// Null for roots without keyspaces, and for what lies beside them.
    pub keyspace: Option<String>,
    /// Without its id; null for what lies beside the tables.
    pub table: Option<String>,
    /// What the differences amount to.
    pub state: RollupState,
    /// Entries at the source that are not directories.
    pub source_files: u64,
    /// The sum of their sizes in bytes.
    pub source_bytes: u64,
    /// Entries at the destination that are not directories.
    pub destination_files: u64,
    /// The sum of their sizes in bytes.
    pub destination_bytes: u64,
    /// How many differences of each kind there are.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub differences: BTreeMap<DifferenceKind, u64>,
}

/// Kind of root, keyspace, table.
type Key = (DirectoryType, Option<String>, Option<String>);

#[derive(Default)]
struct Sums {
    extents: [Extent; 2],
    differences: BTreeMap<DifferenceKind, u64>,
    /// It is a symbolic link on a side: listed, and nothing behind it was looked at.
    link: bool,
}

/// Directories above tables that could not be listed: by kind of root, and keyspace where it is not the root itself. Nobody
/// knows what else lies there, in whatever root of that kind.
type Unlisted = BTreeSet<(DirectoryType, Option<String>)>;

/// How many differences of each kind lie in each table; counted as they go by.
#[derive(Debug, Clone, Default)]
pub struct DifferenceSums(BTreeMap<Key, BTreeMap<DifferenceKind, u64>>);

impl DifferenceSums {
    /// Counts a difference where it lies.
    pub fn add(&mut self, difference: &Difference) {
        *self.0.entry(key_of(difference)).or_default().entry(difference.kind).or_default() += 1;
    }
}

/// Sums up, ordered by kind of root, keyspace and table. `content_compared` tells whether every entry with the same
/// metadata had its content compared.
pub fn rollups(
    source: &RootTables<'_>,
    destination: &RootTables<'_>,
    differences: DifferenceSums,
    content_compared: bool,
) -> Vec<Rollup> {
    let mut sums: BTreeMap<Key, Sums> = BTreeMap::new();
    let mut unlisted = Unlisted::new();
    for (side, tables) in [source, destination].into_iter().enumerate() {
        for (id, table) in tables.iter().filter_map(|(id, table)| table.map(|table| (*id, table))) {
            add_unlisted(id, table, &mut unlisted);
            extents(id, table, &mut |key, extent, link| {
                let sums = sums.entry(key).or_default();
                sums.link |= link;
                let sum = &mut sums.extents[side];
                sum.files += extent.files;
                sum.bytes = sum.bytes.saturating_add(extent.bytes);
            });
        }
    }
    for (key, differences) in differences.0 {
        sums.entry(key).or_default().differences = differences;
    }
    sums.into_iter().map(|(key, sums)| rollup(key, sums, content_compared, &unlisted)).collect()
}

/// The places of one side that [`rollups`] may have a line for: each keyspace, for what lies beside its tables, and each of its tables.
pub fn summed_up<'a>(tables: &'a RootTables<'a>) -> impl Iterator<Item = (&'a Name, Option<&'a Name>)> {
    let covered = tables.iter().filter(|(id, _)| Selection::covers(*id)).filter_map(|(_, table)| *table);
    covered.flat_map(|table| {
        table.children(DirectoryIndex::ROOT).flat_map(|(keyspace, name)| {
            let below = table.children(keyspace).map(move |(_, table)| (name, Some(table)));
            std::iter::once((name, None)).chain(below)
        })
    })
}

fn add_unlisted(id: RootId, table: &DirectoryTable, unlisted: &mut Unlisted) {
    if table.get(DirectoryIndex::ROOT).unlisted.is_some() {
        unlisted.insert((id.directory_type, None));
    }
    for (keyspace, name) in table.children(DirectoryIndex::ROOT) {
        if table.get(keyspace).unlisted.is_some() {
            unlisted.insert((id.directory_type, Some(text(name.as_bytes()))));
        }
    }
}

fn rollup((directory_type, keyspace, table): Key, sums: Sums, content_compared: bool, unlisted: &Unlisted) -> Rollup {
    let Sums { extents: [source, destination], differences, link } = sums;
    let above = [None, keyspace.clone()].map(|place| unlisted.contains(&(directory_type, place)));
    let state = if differences.keys().any(|kind| *kind != DifferenceKind::Unverified) {
        RollupState::Different
    } else if !differences.is_empty() || above.contains(&true) {
        RollupState::Unverified
    } else if content_compared && !link {
        RollupState::Equal
    } else {
        RollupState::NotCompared
    };
    Rollup {
        directory_type,
        keyspace,
        table,
        state,
        source_files: source.files,
        source_bytes: source.bytes,
        destination_files: destination.files,
        destination_bytes: destination.bytes,
        differences,
    }
}

/// What lies in each table, beside the tables of each keyspace, and beside the keyspaces; nothing for an empty place.
fn extents(id: RootId, table: &DirectoryTable, each: &mut impl FnMut(Key, Extent, bool)) {
    let whole = |index| {
        let below = table.totals(index);
        Extent { files: below.files, bytes: below.bytes }
    };
    let kind = id.directory_type;
    let beside = |index: DirectoryIndex| {
        let directory = table.get(index);
        Extent { files: directory.files, bytes: directory.bytes }
    };
    if !Selection::covers(id) {
        return each((kind, None, None), whole(DirectoryIndex::ROOT), false);
    }
    // An empty table is worth a line, an empty place beside tables is not.
    let strays = |index| Some(beside(index)).filter(|extent| *extent != Extent::default());
    strays(DirectoryIndex::ROOT).into_iter().for_each(|extent| each((kind, None, None), extent, false));
    for (keyspace, name) in table.children(DirectoryIndex::ROOT) {
        let keyspace_name = text(name.as_bytes());
        strays(keyspace).into_iter().for_each(|extent| each((kind, Some(keyspace_name.clone()), None), extent, false));
        for (directory, name) in table.children(keyspace) {
            each(
                (kind, Some(keyspace_name.clone()), Some(text_of_table(name.as_bytes()))),
                whole(directory),
                table.get(directory).link,
            );
        }
    }
}

/// Where an entry is counted: a table's own directory with its table, a keyspace's own directory beside its tables, a
/// file with the directory it is in.
fn key_of(difference: &Difference) -> Key {
    let root = difference.url.root;
    let sides = [&difference.source, &difference.destination];
    let is_directory = sides.into_iter().flatten().any(|evidence| evidence.kind == Some(EntryKind::Directory));
    let names: Vec<&[u8]> = difference.url.path.names().take(3).collect();
    let directories = if is_directory { &names[..] } else { &names[..names.len().saturating_sub(1)] };
    match (Selection::covers(root), directories) {
        (true, [keyspace, table, ..]) => (root.directory_type, Some(text(keyspace)), Some(text_of_table(table))),
        (true, [keyspace]) => (root.directory_type, Some(text(keyspace)), None),
        _ => (root.directory_type, None, None),
    }
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn text_of_table(name: &[u8]) -> String {
    table_name(name).map_or_else(|| text(name), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exclude::Rules;
    use crate::manifest::{Comparand as _, Depth, Identity, Manifest, RootSpec, findings};
    use crate::scan::Context;
    use std::fs;
    use std::path::Path;

    fn walk(home: &Path) -> Manifest {
        let rules = Rules::none();
        let roots = ["data/0", "data/1", "hints/0"].map(|id| {
            let (id, home) = (id.parse().unwrap(), home.join(id));
            RootSpec { id, rules: rules.for_root(id, &home).unwrap(), home }
        });
        let identity = Identity::new(String::new(), String::new(), 0, &rules);
        let manifest = Manifest::walk(identity, &roots, &Context::default()).unwrap();
        manifest.hash_contents(&Context::default(), &|_, _, _, _| ()).unwrap();
        manifest
    }

    fn write(home: &Path, path: &str, bytes: &str) {
        let path = home.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::File::open(path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    }

    #[test]
    fn differences_are_counted_where_they_lie_and_the_rest_is_equal() {
        let id = "0123456789abcdef0123456789abcdef";
        let tmp = tempfile::tempdir().unwrap();
        let (s, d) = (tmp.path().join("s"), tmp.path().join("d"));
        for side in [&s, &d] {
            write(side, &format!("data/0/ks/t-{id}/f"), "12345");
            write(side, &format!("data/1/ks/t-{id}/backups/g"), "123");
            write(side, "data/0/ks/stray", "1");
            write(side, "data/0/stray", "1");
            write(side, "hints/0/a/b", "1");
        }
        write(&d, &format!("data/1/ks/t-{id}/backups/g"), "321");
        write(&d, "data/0/ks/more", "1");
        write(&s, &format!("data/0/ks/gone-{id}/x"), "1");
        let (source, destination) = (walk(&s), walk(&d));
        let found = findings(&source, &destination, Depth::Content).unwrap();
        let lines = |content_compared| {
            let mut sums = DifferenceSums::default();
            found.differences.iter().for_each(|difference| sums.add(difference));
            let rollups = rollups(&source.tables(), &destination.tables(), sums, content_compared);
            let line = |r: Rollup| {
                let place = [Some(r.directory_type.name()), r.keyspace.as_deref(), r.table.as_deref()];
                let place = place.into_iter().flatten().collect::<Vec<_>>().join(".");
                let found: u64 = r.differences.values().sum();
                format!("{place} {}/{} {found} {:?}", r.source_bytes, r.destination_bytes, r.state)
            };
            rollups.into_iter().map(line).collect::<Vec<_>>()
        };
        let expected = [
            "data 1/1 0 Equal",
            "data.ks 1/2 1 Different",
            "data.ks.gone 1/0 2 Different",
            "data.ks.t 8/8 1 Different",
            "hints 1/1 0 Equal",
        ];
        assert_eq!(lines(true), expected);
        assert_eq!(lines(false)[0], "data 1/1 0 NotCompared");
    }

    #[test]
    fn what_nobody_looked_at_is_not_equal() {
        let tmp = tempfile::tempdir().unwrap();
        let home = tmp.path();
        write(home, "data/0/ks/t/f", "1");
        fs::create_dir_all(home.join("data/1/ks")).unwrap();
        std::os::unix::fs::symlink("../../0/ks/t", home.join("data/1/ks/linked")).unwrap();
        write(home, "hints/0/a", "1");
        let manifest = walk(home);
        let states = |tables: &[(RootId, Option<&DirectoryTable>)]| {
            let rollups = rollups(tables, tables, DifferenceSums::default(), true);
            rollups.iter().map(|r| (r.table.clone().unwrap_or_default(), r.state)).collect::<Vec<_>>()
        };
        let expected = [("linked", RollupState::NotCompared), ("t", RollupState::Equal), ("", RollupState::Equal)];
        assert_eq!(states(&manifest.tables()), expected.map(|(table, state)| (table.to_owned(), state)));
        // Another data root that could not be listed at all: the table may lie there as well.
        fs::remove_dir_all(home.join("data/1")).unwrap();
        fs::write(home.join("data/1"), "").unwrap();
        let expected = [("t", RollupState::Unverified), ("", RollupState::Equal)];
        assert_eq!(states(&walk(home).tables()), expected.map(|(table, state)| (table.to_owned(), state)));
    }
}
