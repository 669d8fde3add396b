//! Whether two sides whose hashes agree say the same below them. Hashes close subtrees unseen, so a side that carries the
//! other one's hash and a table that does not give it would be believed. A pure function of two tables.

use std::fmt;

use itertools::Itertools as _;

use super::directory::DirectoryIndex;
use super::hash::HashKind;
use super::root_hashes::{Depth, RootHashes};
use crate::model::{RelPath, RootId};

/// Equal hashes over unequal tables: at least one of the two sides contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{root}: the {kind} hash of the directory \"{path}\" is the same on both sides, and yet {what}")]
pub struct Contradiction {
    /// The root.
    pub root: RootId,
    /// The directory whose hashes agree.
    pub path: RelPath,
    /// Its places in the tables of source and destination.
    pub places: [DirectoryIndex; 2],
    /// Which of its hashes.
    pub kind: HashKind,
    /// What is not the same.
    pub what: Disagreement,
}

/// What two tables say differently below hashes that agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disagreement {
    /// Not the same directories are in it.
    Children,
    /// A directory in it has another hash.
    Hash,
    /// So many files are in it, at the source and at the destination.
    Files(u64, u64),
    /// So many bytes are in it, at the source and at the destination.
    Bytes(u64, u64),
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Children => f.write_str("not the same directories are in it"),
            Self::Hash => f.write_str("the hashes of the directories in it are not the same"),
            Self::Files(s, d) => write!(f, "{s} files are in it at the source, {d} at the destination"),
            Self::Bytes(s, d) => write!(f, "{s} bytes are in it at the source, {d} at the destination"),
        }
    }
}

/// Walks both tables of a root side by side: wherever a hash is the same on both sides, everything below must be.
pub fn check_agreement(
    root: RootId,
    source: RootHashes<'_>,
    destination: RootHashes<'_>,
    depth: Depth,
) -> Result<(), Contradiction> {
    let tables = Tables { root, source, destination };
    depth.kinds().iter().try_for_each(|kind| tables.pair(*kind, DirectoryIndex::ROOT, DirectoryIndex::ROOT))
}

#[derive(Clone, Copy)]
struct Tables<'a> {
    root: RootId,
    source: RootHashes<'a>,
    destination: RootHashes<'a>,
}

impl Tables<'_> {
    /// A table's paths are bounded, and so is the depth of this recursion.
    fn pair(self, kind: HashKind, source: DirectoryIndex, destination: DirectoryIndex) -> Result<(), Contradiction> {
        if self.agree(kind, source, destination) {
            return self.below(kind, source, destination);
        }
        let (left, right) = (self.source.table.children(source), self.destination.table.children(destination));
        let both = left.merge_join_by(right, |(_, a), (_, b)| a.cmp(b)).filter_map(|pair| pair.both());
        both.map(|((s, _), (d, _))| (s, d)).try_for_each(|(s, d)| self.pair(kind, s, d))
    }

    fn agree(self, kind: HashKind, source: DirectoryIndex, destination: DirectoryIndex) -> bool {
        self.source.hash(kind, source).proves_equal(&self.destination.hash(kind, destination))
    }

    /// Equal trees are equal lists in pre-order. The flag of a link may differ: a link to a directory and an empty directory
    /// have the same hashes.
    fn below(self, kind: HashKind, source: DirectoryIndex, destination: DirectoryIndex) -> Result<(), Contradiction> {
        let (left, right) = (self.source.table, self.destination.table);
        let wrong = |offset: u32, what| Contradiction {
            root: self.root,
            path: left.path(DirectoryIndex(source.0 + offset)),
            places: [source, destination].map(|top| DirectoryIndex(top.0 + offset)),
            kind,
            what,
        };
        let pairs = left.subtree(source).zip_longest(right.subtree(destination));
        for (offset, pair) in (0..).zip(pairs) {
            let (s, d) = (pair.as_ref().left().copied(), pair.as_ref().right().copied());
            if offset > 0 {
                // What came before is the same, so a parent has the same offset on both sides.
                let parents =
                    (s.map(|s| left.get(s).parent.0 - source.0), d.map(|d| right.get(d).parent.0 - destination.0));
                let names = (s.map(|s| &left.get(s).name), d.map(|d| &right.get(d).name));
                if parents.0 != parents.1 || names.0 != names.1 {
                    // The deeper one of the two is where a directory stands that the other side lacks.
                    return Err(wrong(parents.0.max(parents.1).unwrap_or(0), Disagreement::Children));
                }
                if let (Some(s), Some(d)) = (s, d)
                    && !self.agree(kind, s, d)
                {
                    return Err(wrong(parents.0.unwrap_or(0), Disagreement::Hash));
                }
            }
            let (Some(s), Some(d)) = (s, d) else { continue };
            let (s, d) = (left.get(s), right.get(d));
            if s.files != d.files {
                return Err(wrong(offset, Disagreement::Files(s.files, d.files)));
            }
            // The content hash says nothing of sizes, and a file of a special file system may have bytes and a size of 0.
            if kind == HashKind::Metadata && s.bytes != d.bytes {
                return Err(wrong(offset, Disagreement::Bytes(s.bytes, d.bytes)));
            }
        }
        Ok(())
    }
}
