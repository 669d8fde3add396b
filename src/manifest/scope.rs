//! The scope of a comparison of two manifests, and the one that a task has while the source has not answered.

use std::collections::BTreeSet;

use super::identity::Identity;
use super::table::DirectoryTable;
use crate::model::{RootId, Scope, ScopeLimits, Selection, SourceRules};

/// The roots of one side, sorted by id; `None` for an absent one.
pub type RootTables<'a> = [(RootId, Option<&'a DirectoryTable>)];

/// What one side is, as far as scope and notes need it.
#[derive(Debug, Clone, Copy)]
pub struct Described<'a> {
    /// What the manifest is of.
    pub identity: &'a Identity,
    /// Its roots.
    pub tables: &'a RootTables<'a>,
    /// All that is known is a listing, which has no more of an empty root than of an absent one.
    pub listed: bool,
}

/// What a comparison of these two sides speaks of: the roots of either side, what both are restricted to, and what either
/// leaves out.
pub fn scope(source: Described<'_>, destination: Described<'_>) -> Scope {
    let (theirs, ours) = (source.identity, destination.identity);
    let roots: BTreeSet<RootId> = source.tables.iter().chain(destination.tables).map(|(id, _)| *id).collect();
    Scope {
        roots: roots.into_iter().collect(),
        selection: restriction(theirs.selection.as_ref(), ours.selection.as_ref()),
        files_excluded: union(&theirs.file_patterns, &ours.file_patterns),
        directories_excluded: union(&theirs.directory_patterns, &ours.directory_patterns),
        source_rules: if theirs.rules == ours.rules { SourceRules::Same } else { SourceRules::Different },
        limits: ScopeLimits::default(),
    }
}

/// What a comparison with a source speaks of whose rules are not known, or not yet.
pub fn scope_of_one_side(identity: &Identity, roots: impl IntoIterator<Item = RootId>) -> Scope {
    let roots: BTreeSet<RootId> = roots.into_iter().collect();
    Scope {
        roots: roots.into_iter().collect(),
        selection: identity.selection.as_ref().map(Selection::names),
        files_excluded: union(&identity.file_patterns, &[]),
        directories_excluded: union(&identity.directory_patterns, &[]),
        source_rules: SourceRules::Unknown,
        limits: ScopeLimits::default(),
    }
}

/// What was looked at on both sides: what one side did not look at is not known to be the same there.
fn restriction(source: Option<&Selection>, destination: Option<&Selection>) -> Option<Vec<String>> {
    match (source, destination) {
        (None, None) => None,
        (Some(only), None) | (None, Some(only)) => Some(only.names()),
        (Some(s), Some(d)) => Some(s.intersection(d).map(|both| both.names()).unwrap_or_default()),
    }
}

fn union(source: &[String], destination: &[String]) -> Vec<String> {
    let all: BTreeSet<&String> = source.iter().chain(destination).collect();
    all.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exclude::Rules;

    fn identity(directories: &[&str], only: &[&str]) -> Identity {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let rules = Rules::compile(&[], &texts(directories)).unwrap();
        let rules = match only {
            [] => rules,
            only => rules.restricted_to(&Selection::parse(&texts(only)).unwrap()),
        };
        Identity::new("host".to_owned(), "instance".to_owned(), 0, &rules)
    }

    fn scope_of(source: &Identity, destination: &Identity) -> Scope {
        let [data, hints] = ["data/0", "hints/0"].map(|root| root.parse().unwrap());
        let source = Described { identity: source, tables: &[(hints, None)], listed: false };
        scope(source, Described { identity: destination, tables: &[(data, None), (hints, None)], listed: false })
    }

    #[test]
    fn a_scope_is_what_both_sides_looked_at() {
        let whole = scope_of(&identity(&["glob:b"], &[]), &identity(&["glob:b"], &[]));
        assert_eq!((whole.selection, whole.source_rules), (None, SourceRules::Same));
        assert_eq!(whole.roots.iter().map(ToString::to_string).collect::<Vec<_>>(), ["data/0", "hints/0"]);

        let mixed = scope_of(&identity(&["glob:b", "glob:a"], &[]), &identity(&["glob:c", "glob:b"], &["ks"]));
        assert_eq!(mixed.directories_excluded, ["glob:a", "glob:b", "glob:c"]);
        assert_eq!((mixed.selection.unwrap(), mixed.source_rules), (vec!["ks".to_owned()], SourceRules::Different));

        let apart = scope_of(&identity(&[], &["a", "b.t"]), &identity(&[], &["b", "c"]));
        assert_eq!(apart.selection.unwrap(), ["b.t"]);
        assert_eq!(scope_of(&identity(&[], &["a"]), &identity(&[], &["b"])).selection, Some(vec![]));
    }

    #[test]
    fn one_side_alone_does_not_know_the_other() {
        let scope = scope_of_one_side(&identity(&["glob:b", "glob:b"], &["ks"]), [RootId::DATA_0]);
        assert_eq!(
            (scope.directories_excluded, scope.selection),
            (vec!["glob:b".to_owned()], Some(vec!["ks".to_owned()]))
        );
        assert_eq!((scope.roots, scope.source_rules), (vec![RootId::DATA_0], SourceRules::Unknown));
    }
}
