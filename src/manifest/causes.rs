//! What is plainly behind many differences at once, in a line each: data directories in exchanged order, and roots of which
//! one side has nothing. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::directory::DirectoryIndex;
use super::hash::SubtreeHash;
use super::scope::Described;
use super::table::DirectoryTable;
use crate::model::{DirectoryType, Name, RootId, SNAPSHOTS, Selection, Side, grouped};

/// The causes that are plain; exchanged directories first.
pub(super) fn causes(source: Described<'_>, destination: Described<'_>) -> Vec<String> {
    let exchanged = exchanged(source, destination);
    let explained: BTreeSet<RootId> = exchanged.iter().flat_map(|(a, b)| [*a, *b]).collect();
    let exchanged = exchanged.iter().map(|(a, b)| {
        format!(
            "{a} and {b} seem to be exchanged: what the source has in one, the destination has in the other; compare the \
             order of data_dirs"
        )
    });
    exchanged.chain(missing(source, destination, &explained)).collect()
}

/// A node has a few data directories; each is compared with each other.
const MOST_COMPARED: usize = 64;

/// Pairs of data directories of which each side has the other's content.
fn exchanged(source: Described<'_>, destination: Described<'_>) -> Vec<(RootId, RootId)> {
    let contents = |side: Described<'_>| side.tables.iter().filter_map(data_directory).collect::<BTreeMap<_, _>>();
    let (theirs, ours) = (contents(source), contents(destination));
    let both: Vec<RootId> = theirs.keys().filter(|id| ours.contains_key(id)).copied().collect();
    let moved =
        |from: RootId, to: RootId| theirs[&from].is_as(&ours[&to]) && !theirs[&from].is_a_little_as(&ours[&from]);
    let mut pairs = Vec::new();
    if both.len() > MOST_COMPARED {
        return pairs;
    }
    for (position, a) in both.iter().enumerate() {
        for b in &both[position + 1..] {
            if moved(*a, *b) && moved(*b, *a) {
                pairs.push((*a, *b));
            }
        }
    }
    pairs
}

fn data_directory((id, table): &(RootId, Option<&DirectoryTable>)) -> Option<(RootId, Content)> {
    let table = table.filter(|_| id.directory_type == DirectoryType::Data)?;
    Some((*id, Content::of(table)))
}

/// What a data directory holds, as far as telling two of them apart needs it.
struct Content {
    whole: SubtreeHash,
    /// Those that hold files, by keyspace and name. One that holds none looks like any other.
    tables: BTreeMap<(Name, Name), SubtreeHash>,
}

impl Content {
    fn of(root: &DirectoryTable) -> Self {
        let mut tables = BTreeMap::new();
        for (keyspace, keyspace_name) in root.children(DirectoryIndex::ROOT) {
            let filled = root.children(keyspace).filter(|(table, _)| root.totals(*table).files > 0);
            let named = filled.map(|(table, name)| ((keyspace_name.clone(), name.clone()), root.get(table).metadata));
            tables.extend(named);
        }
        Self { whole: root.get(DirectoryIndex::ROOT).metadata, tables }
    }

    /// All of it is the same, or most tables are.
    fn is_as(&self, other: &Self) -> bool {
        self.whole.proves_equal(&other.whole) || 2 * self.shared(other) > self.tables.len().max(other.tables.len())
    }

    /// More than a tenth of the tables is the same.
    fn is_a_little_as(&self, other: &Self) -> bool {
        self.whole.proves_equal(&other.whole) || 10 * self.shared(other) > self.tables.len().max(other.tables.len())
    }

    /// How many tables are on both sides. Each data directory of a node may have a directory for each table; the metadata
    /// tells those apart. Where it is not known, the name counts.
    fn shared(&self, other: &Self) -> usize {
        let same = |(name, hash): &(&(Name, Name), &SubtreeHash)| match other.tables.get(*name) {
            Some(there) => !there.is_proven() || !hash.is_proven() || hash.proves_equal(there),
            None => false,
        };
        self.tables.iter().filter(same).count()
    }
}

/// Roots of which one side has nothing while the other has files in it.
fn missing(source: Described<'_>, destination: Described<'_>, explained: &BTreeSet<RootId>) -> Vec<String> {
    let ids: BTreeSet<RootId> = source.tables.iter().chain(destination.tables).map(|(id, _)| *id).collect();
    let restricted = [source, destination].iter().any(|side| side.identity.selection.is_some());
    let looked_at = |id: &RootId| !explained.contains(id) && (!restricted || Selection::covers(*id));
    let of_both = |id| {
        missing_at(Side::Source, source, destination, id)
            .or_else(|| missing_at(Side::Destination, destination, source, id))
    };
    ids.into_iter().filter(looked_at).filter_map(of_both).collect()
}

fn missing_at(side: Side, here: Described<'_>, there: Described<'_>, id: RootId) -> Option<String> {
    let files = root(there, id).flatten()?.totals(DirectoryIndex::ROOT).files;
    let nothing = match root(here, id) {
        None => format!("{id} is not among the directories of the {side}"),
        Some(None) => format!("{id} is not there at the {side}"),
        Some(Some(table)) if !is_empty(table) => return None,
        Some(Some(_)) if here.listed => format!("the {side} lists nothing of {id}"),
        Some(Some(_)) if leaves_out_more_than_snapshots(here) => {
            format!("{id} has nothing at the {side} that is compared")
        }
        Some(Some(_)) => format!("{id} is empty at the {side}"),
    };
    let question = if root(here, id).is_some() { ": is its disk mounted?" } else { "" };
    let other = match side {
        Side::Source => Side::Destination,
        Side::Destination => Side::Source,
    };
    let unit = if files == 1 { "file" } else { "files" };
    (files > 0).then(|| format!("{nothing} (the {other} has {} {unit} in it){question}", grouped(files)))
}

/// The root of one side: `None` where it has no such root, `Some(None)` where that is absent.
fn root(side: Described<'_>, id: RootId) -> Option<Option<&DirectoryTable>> {
    let at = side.tables.binary_search_by_key(&id, |(other, _)| *other).ok()?;
    Some(side.tables[at].1)
}

/// What could not be listed may have something in it.
fn is_empty(table: &DirectoryTable) -> bool {
    let root = table.get(DirectoryIndex::ROOT);
    table.len() == 1 && root.files == 0 && root.unlisted.is_none()
}

/// What is left out may stand in a root that looks empty. A snapshot never does: it stands in a table's directory.
fn leaves_out_more_than_snapshots(side: Described<'_>) -> bool {
    let identity = side.identity;
    identity.selection.is_some()
        || !identity.file_patterns.is_empty()
        || identity.directory_patterns.iter().any(|pattern| pattern != SNAPSHOTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exclude::Rules;
    use crate::manifest::{Directory, Identity};
    use crate::model::{Blake3Digest, Problem, Reason};

    const UNPROVEN: SubtreeHash = SubtreeHash::Unproven;

    fn hash(of: u8) -> SubtreeHash {
        SubtreeHash::Proven(Blake3Digest([of; 32]))
    }

    fn directory(parent: u32, name: &str, files: u64, metadata: SubtreeHash) -> Directory {
        Directory {
            parent: DirectoryIndex(parent),
            name: (!name.is_empty()).then(|| Name::new(name.as_bytes()).unwrap()),
            link: false,
            files,
            bytes: files,
            metadata,
            unlisted: None,
        }
    }

    /// A data directory with the keyspace `ks` and these tables in it, each with a file; the hash of the root is not known.
    fn data_of(tables: &[(&str, SubtreeHash)]) -> DirectoryTable {
        let mut rows = vec![directory(0, "", 0, UNPROVEN), directory(0, "ks", 0, UNPROVEN)];
        rows.extend(tables.iter().map(|(name, hash)| directory(1, name, 1, *hash)));
        DirectoryTable::new(rows).unwrap()
    }

    fn single(files: u64, metadata: SubtreeHash) -> DirectoryTable {
        DirectoryTable::new(vec![directory(0, "", files, metadata)]).unwrap()
    }

    fn identity(file_patterns: &[&str], only: &[&str]) -> Identity {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let rules = Rules::compile(&texts(file_patterns), &[SNAPSHOTS.to_owned()]).unwrap();
        let rules = match only {
            [] => rules,
            only => rules.restricted_to(&Selection::parse(&texts(only)).unwrap()),
        };
        Identity::new("host".to_owned(), "instance".to_owned(), 0, &rules)
    }

    type Roots<'a> = &'a [(&'a str, Option<&'a DirectoryTable>)];

    fn tables<'a>(roots: Roots<'a>) -> Vec<(RootId, Option<&'a DirectoryTable>)> {
        roots.iter().map(|(id, table)| (id.parse().unwrap(), *table)).collect()
    }

    fn said(source: Roots<'_>, destination: Roots<'_>, identity: &Identity, listed: bool) -> Vec<String> {
        let (source, destination) = (tables(source), tables(destination));
        causes(
            Described { identity, tables: &source, listed },
            Described { identity, tables: &destination, listed: false },
        )
    }

    /// What is said of two data directories at the source and two at the destination.
    fn of_two(source: [&DirectoryTable; 2], destination: [&DirectoryTable; 2]) -> Vec<String> {
        let [s, d] = [source, destination].map(|[a, b]| [("data/0", Some(a)), ("data/1", Some(b))]);
        said(&s, &d, &identity(&[], &[]), false)
    }

    const EXCHANGED: &str = "data/0 and data/1 seem to be exchanged: what the source has in one, the destination has in \
                             the other; compare the order of data_dirs";

    #[test]
    fn two_data_directories_with_each_others_content_are_exchanged() {
        let (a, b) = (single(2, hash(1)), single(3, hash(2)));
        assert_eq!(of_two([&a, &b], [&b, &a]), [EXCHANGED]);
        assert!(of_two([&a, &b], [&a, &b]).is_empty());
        assert!(of_two([&a, &a], [&a, &a]).is_empty(), "two that are the same are in no order");
        assert!(of_two([&a, &b], [&b, &b]).is_empty(), "one copied twice is something else");
    }

    #[test]
    fn a_full_one_and_an_empty_one_can_be_exchanged_and_then_none_is_missing() {
        let (full, empty) = (single(2, hash(1)), single(0, hash(2)));
        assert_eq!(of_two([&full, &empty], [&empty, &full]), [EXCHANGED]);
    }

    /// In a real node each data directory has a directory for every table.
    #[test]
    fn tables_of_the_same_names_are_told_apart_by_their_metadata() {
        let names = ["t1", "t2", "t3"];
        let all = |first: u8| names.iter().enumerate().map(|(i, n)| (*n, hash(first + i as u8))).collect::<Vec<_>>();
        let (a, b) = (data_of(&all(10)), data_of(&all(20)));
        let mut changed = all(10);
        changed[1].1 = hash(99);
        assert_eq!(of_two([&a, &b], [&b, &data_of(&changed)]), [EXCHANGED], "a little differs");
        changed[2].1 = hash(98);
        assert!(of_two([&a, &b], [&b, &data_of(&changed)]).is_empty(), "most differs");
        let unproven = data_of(&names.map(|name| (name, UNPROVEN)));
        assert!(of_two([&a, &b], [&unproven, &unproven]).is_empty(), "these names tell nothing");
    }

    #[test]
    fn where_metadata_is_not_known_names_count() {
        let (a, b) = (data_of(&[("a", UNPROVEN), ("b", UNPROVEN)]), data_of(&[("c", UNPROVEN), ("d", UNPROVEN)]));
        assert_eq!(of_two([&a, &b], [&b, &a]), [EXCHANGED]);
        assert!(of_two([&a, &b], [&a, &b]).is_empty());
    }

    #[test]
    fn a_root_of_which_one_side_has_nothing_is_named() {
        let (full, empty) = (single(4021, hash(1)), single(0, hash(2)));
        let mut row = directory(0, "", 0, UNPROVEN);
        row.unlisted = Some(Problem::new(Reason::Unreadable, "no"));
        let unlisted = DirectoryTable::new(vec![row]).unwrap();
        let all = identity(&[], &[]);
        let full = [("data/1", Some(&full))];
        let line = |destination: Roots<'_>, identity: &Identity| said(&full, destination, identity, false);
        assert_eq!(
            line(&[("data/1", None)], &all),
            ["data/1 is not there at the destination (the source has 4,021 files in it): is its disk mounted?"]
        );
        assert_eq!(
            line(&[("data/1", Some(&empty))], &all),
            ["data/1 is empty at the destination (the source has 4,021 files in it): is its disk mounted?"]
        );
        assert_eq!(
            line(&[("data/1", Some(&empty))], &identity(&["glob:**.tmp"], &[])),
            [
                "data/1 has nothing at the destination that is compared (the source has 4,021 files in it): is its disk mounted?"
            ]
        );
        assert_eq!(
            line(&[("data/0", None)], &all),
            ["data/1 is not among the directories of the destination (the source has 4,021 files in it)"]
        );
        assert!(line(&[("data/1", Some(&unlisted))], &all).is_empty(), "nobody knows what is in it");
    }

    #[test]
    fn a_listing_does_not_tell_empty_from_absent() {
        let (one, empty) = (single(1, hash(1)), single(0, hash(2)));
        assert_eq!(
            said(&[("data/0", Some(&empty))], &[("data/0", Some(&one))], &identity(&[], &[]), true),
            ["the source lists nothing of data/0 (the destination has 1 file in it): is its disk mounted?"]
        );
    }

    #[test]
    fn nothing_on_either_side_and_what_is_left_out_are_no_news() {
        let (full, empty) = (single(5, hash(1)), single(0, hash(2)));
        let all = identity(&[], &[]);
        assert!(said(&[("hints/0", Some(&empty))], &[("hints/0", None)], &all, false).is_empty());
        assert!(said(&[("hints/0", None)], &[("hints/0", None)], &all, false).is_empty());
        let restricted = identity(&[], &["ks"]);
        assert!(said(&[("hints/0", Some(&full))], &[], &restricted, false).is_empty());
        assert!(!said(&[("hints/0", Some(&full))], &[], &all, false).is_empty());
    }
}
