//! Which directories of two trees must be opened to know all that differs between them. A pure function of two tables.

use std::collections::{BTreeMap, BTreeSet};

use itertools::{EitherOrBoth, Itertools as _};

use super::agreement::{Contradiction, check_agreement};
use super::directory::DirectoryIndex;
use super::root_hashes::{Depth, RootHashes};
use super::table::DirectoryTable;
use crate::model::{Counters, RootId};

/// Where one side stands at a directory of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairSide {
    /// It has the directory.
    Directory(DirectoryIndex),
    /// It has nothing of that name, or something that is no directory.
    Missing,
    /// It could not list this directory on the path, so nobody knows what it has.
    Unlisted(DirectoryIndex),
}

/// Two directories, at the same path, whose direct entries are to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryPair {
    /// At the source.
    pub source: PairSide,
    /// At the destination.
    pub destination: PairSide,
}

/// What follows from the hashes alone, and what is left to look at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RootPlan {
    /// Entries that equal hashes prove to match.
    pub proven: Counters,
    /// The directories to open, in pre-order.
    pub open: Vec<DirectoryPair>,
    /// Files that equal metadata hashes prove to match in metadata, where content is not looked at.
    pub content_not_compared: u64,
}

impl RootPlan {
    /// Whether two proven metadata hashes, or a directory that only one side has, already say that metadata differs.
    pub fn metadata_surely_differs(
        &self,
        source: Option<&DirectoryTable>,
        destination: Option<&DirectoryTable>,
    ) -> bool {
        let metadata = |table: Option<&DirectoryTable>, index| table.and_then(|t| t.get(index).metadata.digest());
        self.open.iter().any(|pair| match (pair.source, pair.destination) {
            (PairSide::Directory(s), PairSide::Directory(d)) => {
                matches!((metadata(source, s), metadata(destination, d)), (Some(a), Some(b)) if a != b)
            }
            // An empty directory that only one side has may stand against an entry that could not be examined.
            (PairSide::Missing, PairSide::Directory(index)) => holds_entries(destination, index),
            (PairSide::Directory(index), PairSide::Missing) => holds_entries(source, index),
            _ => false,
        })
    }
}

fn holds_entries(table: Option<&DirectoryTable>, index: DirectoryIndex) -> bool {
    table.map(|table| table.totals(index)).is_some_and(|totals| totals.files + totals.directories > 0)
}

/// Walks both tables side by side and stays out of every subtree whose hashes prove it equal.
///
/// Entries proven equal are counted by this side's, the destination's, own sums: the other side's are only claims.
pub fn plan(source: RootHashes<'_>, destination: RootHashes<'_>, depth: Depth) -> RootPlan {
    let mut planner = Planner { source, destination, depth, plan: RootPlan::default() };
    planner.both(DirectoryIndex::ROOT, DirectoryIndex::ROOT);
    planner.plan
}

struct Planner<'a> {
    source: RootHashes<'a>,
    destination: RootHashes<'a>,
    depth: Depth,
    plan: RootPlan,
}

impl Planner<'_> {
    /// A table's paths are bounded, and so is the depth of this recursion.
    fn both(&mut self, source: DirectoryIndex, destination: DirectoryIndex) {
        if self.proves_equal(source, destination) {
            let totals = self.destination.table.totals(destination);
            self.plan.proven.metadata_matched += totals.files + totals.directories;
            match self.depth {
                Depth::Content => self.plan.proven.files_matched += totals.files,
                Depth::Metadata => self.plan.content_not_compared += totals.files,
            }
            return;
        }
        let pair = DirectoryPair { source: PairSide::Directory(source), destination: PairSide::Directory(destination) };
        self.plan.open.push(pair);
        let (source_table, destination_table) = (self.source.table, self.destination.table);
        let without_source = side_without(source_table, source);
        let without_destination = side_without(destination_table, destination);
        let (left, right) = (source_table.children(source), destination_table.children(destination));
        for child in left.merge_join_by(right, |(_, a), (_, b)| a.cmp(b)) {
            match child {
                EitherOrBoth::Both((s, _), (d, _)) => self.both(s, d),
                EitherOrBoth::Left((s, _)) => self.one_side(source_table.subtree(s), |index| DirectoryPair {
                    source: PairSide::Directory(index),
                    destination: without_destination,
                }),
                EitherOrBoth::Right((d, _)) => self.one_side(destination_table.subtree(d), |index| DirectoryPair {
                    source: without_source,
                    destination: PairSide::Directory(index),
                }),
            }
        }
    }

    fn proves_equal(&self, source: DirectoryIndex, destination: DirectoryIndex) -> bool {
        let agree = |kind| self.source.hash(kind, source).proves_equal(&self.destination.hash(kind, destination));
        self.depth.kinds().iter().all(|kind| agree(*kind))
    }

    fn one_side(
        &mut self,
        subtree: impl Iterator<Item = DirectoryIndex>,
        pair: impl Fn(DirectoryIndex) -> DirectoryPair,
    ) {
        self.plan.open.extend(subtree.map(pair));
    }
}

/// What a side is to a directory that it does not list: it lacks it, or it could not look.
fn side_without(table: &DirectoryTable, parent: DirectoryIndex) -> PairSide {
    match table.get(parent).hidden() {
        Some(_) => PairSide::Unlisted(parent),
        None => PairSide::Missing,
    }
}

/// The plan of one root of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRoot {
    /// The root.
    pub id: RootId,
    /// What is proven and what to open.
    pub plan: RootPlan,
}

/// The plans of all roots that either side has, in the order of their ids; `None` where a side's root is absent on
/// disk, which is the same as lacking it. Fails where hashes that agree stand over tables that do not: no subtree is closed by
/// a hash that is only said.
pub fn plan_instance(
    source: &[(RootId, Option<RootHashes<'_>>)],
    destination: &[(RootId, Option<RootHashes<'_>>)],
    depth: Depth,
) -> Result<Vec<PlannedRoot>, Contradiction> {
    let (left, right) = (by_id(source), by_id(destination));
    let ids: BTreeSet<RootId> = left.keys().chain(right.keys()).copied().collect();
    ids.into_iter()
        .map(|id| {
            let plan = match (left.get(&id).copied(), right.get(&id).copied()) {
                (Some(s), Some(d)) => {
                    check_agreement(id, s, d, depth)?;
                    plan(s, d, depth)
                }
                (Some(s), None) => one_sided(s.table, |index| DirectoryPair {
                    source: PairSide::Directory(index),
                    destination: PairSide::Missing,
                }),
                (None, Some(d)) => one_sided(d.table, |index| DirectoryPair {
                    source: PairSide::Missing,
                    destination: PairSide::Directory(index),
                }),
                (None, None) => RootPlan::default(),
            };
            Ok(PlannedRoot { id, plan })
        })
        .collect()
}

/// The roots that are there. A side may have as many as a file can name, so none is looked for in a list.
fn by_id<'a>(side: &[(RootId, Option<RootHashes<'a>>)]) -> BTreeMap<RootId, RootHashes<'a>> {
    side.iter().filter_map(|(id, hashes)| hashes.map(|hashes| (*id, hashes))).collect()
}

/// All directories of a root that only one side has.
fn one_sided(table: &DirectoryTable, pair: impl Fn(DirectoryIndex) -> DirectoryPair) -> RootPlan {
    RootPlan { open: table.indices().map(pair).collect(), ..RootPlan::default() }
}
