//! The keyspaces and tables that a comparison is restricted to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{DirectoryType, RelPath, RootId, table_name};

/// The most names a selection may have.
const MAX_NAMES: usize = 10_000;

/// The longest name of a keyspace or table, in characters: what fits a file name beside a table's id.
const MAX_NAME_CHARACTERS: usize = 222;

/// Why texts are no selection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// A text that names neither.
    #[error("{0:?} is no keyspace: expected keyspace or keyspace.table, of letters, digits and underscores")]
    Name(String),
    /// Nothing would be compared.
    #[error("the list of keyspaces is empty: leave it out to compare all of them")]
    Empty,
    /// More names than a selection may have.
    #[error("the list of keyspaces has more than {MAX_NAMES} names")]
    TooMany,
}

/// Keyspaces and tables by name. A keyspace covers all its tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection(Arc<BTreeMap<String, SelectedTables>>);

/// What of a keyspace is selected.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SelectedTables {
    All,
    Named(BTreeSet<String>),
}

impl Selection {
    /// Reads texts such as `keyspace` and `keyspace.table`.
    pub fn parse(names: &[String]) -> Result<Self, SelectionError> {
        match names.len() {
            0 => return Err(SelectionError::Empty),
            1..=MAX_NAMES => {}
            _ => return Err(SelectionError::TooMany),
        }
        let mut keyspaces: BTreeMap<String, SelectedTables> = BTreeMap::new();
        for text in names {
            let (keyspace, table) = match text.split_once('.') {
                Some((keyspace, table)) => (keyspace, Some(table)),
                None => (text.as_str(), None),
            };
            if !is_name(keyspace) || table.is_some_and(|table| !is_name(table)) {
                return Err(SelectionError::Name(text.chars().take(MAX_NAME_CHARACTERS).collect()));
            }
            let named = || SelectedTables::Named(BTreeSet::new());
            let tables = keyspaces.entry(keyspace.to_owned()).or_insert_with(named);
            match (table, tables) {
                (None, tables) => *tables = SelectedTables::All,
                (Some(table), SelectedTables::Named(names)) => drop(names.insert(table.to_owned())),
                (Some(_), SelectedTables::All) => {}
            }
        }
        Ok(Self(Arc::new(keyspaces)))
    }

    /// What is part of both selections; `None` where nothing is.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let both = |(keyspace, tables): (&String, &SelectedTables)| {
            let tables = match (tables, other.0.get(keyspace)?) {
                (SelectedTables::All, tables) | (tables, SelectedTables::All) => tables.clone(),
                (SelectedTables::Named(a), SelectedTables::Named(b)) => SelectedTables::Named(a & b),
            };
            let nothing = matches!(&tables, SelectedTables::Named(names) if names.is_empty());
            (!nothing).then(|| (keyspace.clone(), tables))
        };
        let keyspaces: BTreeMap<_, _> = self.0.iter().filter_map(both).collect();
        (!keyspaces.is_empty()).then(|| Self(Arc::new(keyspaces)))
    }

    /// The selected names in their shortest form, sorted.
    pub fn names(&self) -> Vec<String> {
        let named = |(keyspace, tables): (&String, &SelectedTables)| match tables {
            SelectedTables::All => vec![keyspace.clone()],
            SelectedTables::Named(names) => names.iter().map(|table| format!("{keyspace}.{table}")).collect(),
        };
        self.0.iter().flat_map(named).collect()
    }

    /// Whether files directly in this directory, which is part of the selection, can be part of it too: those of a root
    /// belong to no keyspace, and those of a keyspace to none of its tables.
    pub fn may_hold_files(&self, root: RootId, directory: &RelPath) -> bool {
        let mut names = directory.names();
        match (names.next(), names.next()) {
            (None, _) => false,
            (Some(_), Some(_)) => Self::covers(root),
            (Some(keyspace), None) => {
                let keyspace = std::str::from_utf8(keyspace).ok().and_then(|keyspace| self.0.get(keyspace));
                Self::covers(root) && keyspace == Some(&SelectedTables::All)
            }
        }
    }

    /// Whether anything in roots of this kind can be selected: only some have keyspaces.
    pub fn covers(root: RootId) -> bool {
        matches!(root.directory_type, DirectoryType::Data | DirectoryType::LocalSystemData)
    }

    /// Whether an entry is part of the selection. Its keyspace's directory is, too, where only one table of it is.
    pub fn includes(&self, root: RootId, path: &RelPath, is_directory: bool) -> bool {
        if !Self::covers(root) {
            return false;
        }
        let mut names = path.names();
        let Some(keyspace) = names.next() else { return true };
        let selected = std::str::from_utf8(keyspace).ok().and_then(|keyspace| self.0.get(keyspace));
        match (selected, names.next()) {
            (None, _) => false,
            (Some(_), None) => is_directory,
            (Some(SelectedTables::All), Some(_)) => true,
            (Some(SelectedTables::Named(tables)), Some(name)) => {
                let below = names.next().is_some();
                (is_directory || below) && table_name(name).is_some_and(|table| tables.contains(table))
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_CHARACTERS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn selection(names: &[&str]) -> Result<Selection, SelectionError> {
        Selection::parse(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_keyspace_covers_its_tables_whatever_the_order() {
        for names in [["ks", "ks.t", "other.t"], ["other.t", "ks.t", "ks"]] {
            assert_eq!(selection(&names).unwrap().names(), ["ks", "other.t"]);
        }
    }

    #[test]
    fn what_two_selections_have_in_common() {
        let common = |a: &[&str], b: &[&str]| {
            let (a, b) = (selection(a).unwrap(), selection(b).unwrap());
            assert_eq!(a.intersection(&b), b.intersection(&a));
            a.intersection(&b).map(|both| both.names())
        };
        assert_eq!(common(&["a", "b", "c.t", "c.u"], &["b.t", "c", "d"]).unwrap(), ["b.t", "c.t", "c.u"]);
        assert_eq!(common(&["a.t", "a.u"], &["a.u", "a.v"]).unwrap(), ["a.u"]);
        assert_eq!(common(&["a.t", "b"], &["a.u", "c"]), None);
    }

    #[test]
    fn what_is_selected() {
        let selection = selection(&["ks", "k2.t"]).unwrap();
        let includes = |root: &str, path: &str, directory| {
            selection.includes(root.parse().unwrap(), &RelPath::new(path.as_bytes()).unwrap(), directory)
        };
        for root in ["data/0", "data/10", "local_system_data/0"] {
            assert!(includes(root, "", true));
            assert!(
                includes(root, "ks", true) && includes(root, "ks/any/thing", false) && includes(root, "ks/f", false)
            );
            assert!(includes(root, "k2", true) && includes(root, &format!("k2/t-{ID}"), true));
            assert!(includes(root, "k2/t", true) && includes(root, &format!("k2/t-{ID}/snapshots/s/f"), false));
            for path in ["ks2", "k", "k2/t2", &format!("k2/tt-{ID}"), "k2/t-1", &format!("k2/t-{ID}0")] {
                assert!(!includes(root, path, true), "{path}");
            }
            assert!(!includes(root, "ks", false), "a file is no keyspace");
            assert!(!includes(root, "k2/t", false), "a file is no table");
            for (path, holds) in [("", false), ("ks", true), ("k2", false), ("k2/t", true), ("ks/any", true)] {
                let path = RelPath::new(path.as_bytes()).unwrap();
                assert_eq!(selection.may_hold_files(root.parse().unwrap(), &path), holds, "{path}");
            }
        }
        assert!(!includes("commitlog/0", "", true) && !includes("hints/0", "ks", true));
    }

    #[test]
    fn texts_that_name_nothing_are_refused() {
        for text in ["", ".", "ks.", ".t", "a.b.c", "a/b", "a-b", "é", "ks ", "..", &"x".repeat(223)] {
            assert!(matches!(selection(&[text]), Err(SelectionError::Name(_))), "{text}");
        }
        assert_eq!(selection(&[]), Err(SelectionError::Empty));
        assert_eq!(selection(&["k"; MAX_NAMES + 1]), Err(SelectionError::TooMany));
    }
}
