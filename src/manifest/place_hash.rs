//! The hashes of places that lie in several roots: a table, a keyspace, what lies beside them. `docs/format.md` is normative.

use super::hash::{HashKind, SubtreeHash};
use crate::model::{RelPath, RootId};

/// The version inside every hash input; another layout takes another number.
const HASH_VERSION: u32 = 1;

/// What a place is. The numbers are part of the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlaceKind {
    /// All directories of a table.
    Table,
    /// All directories of a keyspace.
    Keyspace,
    /// The files of directories that hold keyspaces or tables: what lies beside these.
    Beside,
    /// All roots of a type that has no keyspaces.
    Roots,
}

impl PlaceKind {
    /// All kinds; the position is the number.
    pub const ALL: [Self; 4] = [Self::Table, Self::Keyspace, Self::Beside, Self::Roots];

    /// The number in hashes.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// One directory of a place.
#[derive(Debug, Clone)]
pub struct PlacePart {
    /// The root it is in.
    pub root: RootId,
    /// Where below that root.
    pub path: RelPath,
    /// Its hash: that of the directory, and for [`PlaceKind::Beside`] what it would be if only its files were in it.
    pub hash: SubtreeHash,
}

fn context(kind: HashKind) -> &'static str {
    match kind {
        HashKind::Metadata => "twintree 2026-11-30 place metadata hash v1",
        HashKind::Content => "twintree 2026-11-30 place content hash v1",
    }
}

/// The hash of a place: binds its directories, sorted by root and then by path. Unproven as soon as one of them is.
pub fn place_hash(kind: HashKind, place: PlaceKind, parts: &[PlacePart]) -> SubtreeHash {
    let mut hasher = blake3::Hasher::new_derive_key(context(kind));
    hasher.update(&HASH_VERSION.to_le_bytes());
    hasher.update(&[place.code()]);
    hasher.update(&(parts.len() as u64).to_le_bytes());
    for PlacePart { root, path, hash } in parts {
        let SubtreeHash::Proven(digest) = hash else { return SubtreeHash::Unproven };
        hasher.update(&[root.directory_type.code()]);
        hasher.update(&root.index.to_le_bytes());
        // A path has at most `MAX_PATH_BYTES` bytes.
        hasher.update(&(path.as_bytes().len() as u32).to_le_bytes());
        hasher.update(path.as_bytes());
        hasher.update(&digest.0);
    }
    SubtreeHash::Proven(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Blake3Digest;

    fn part(root: &str, path: &str, byte: u8) -> PlacePart {
        let hash = SubtreeHash::Proven(Blake3Digest([byte; 32]));
        PlacePart { root: root.parse().unwrap(), path: RelPath::new(path.as_bytes()).unwrap(), hash }
    }

    #[test]
    fn everything_counts() {
        let mut seen = Vec::new();
        for kind in [HashKind::Metadata, HashKind::Content] {
            for place in PlaceKind::ALL {
                for parts in [
                    vec![],
                    vec![part("data/0", "ks/t", 1)],
                    vec![part("data/1", "ks/t", 1)],
                    vec![part("local_system_data/0", "ks/t", 1)],
                    vec![part("data/0", "ks/u", 1)],
                    vec![part("data/0", "ks/t", 2)],
                    vec![part("data/0", "ks/t", 1), part("data/1", "ks/t", 1)],
                ] {
                    seen.push(place_hash(kind, place, &parts).digest().unwrap());
                }
            }
        }
        let count = seen.len();
        seen.sort_by_key(|digest| digest.0);
        seen.dedup();
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn a_place_with_an_unproven_part_is_unproven() {
        let unproven = PlacePart { hash: SubtreeHash::Unproven, ..part("data/1", "ks/t", 1) };
        assert!(!place_hash(HashKind::Content, PlaceKind::Table, &[part("data/0", "ks/t", 1), unproven]).is_proven());
    }
}
