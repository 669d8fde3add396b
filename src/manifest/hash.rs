//! Subtree hashes: what makes two directories provably equal. `docs/format.md` is normative.

use std::fmt;

use crate::model::{Blake3Digest, Content, FileEntry, Listed, MAX_NAME_BYTES, Name, RootId};

/// The version inside every hash input; another layout takes another number.
const HASH_VERSION: u32 = 1;

/// Which of the two hashes of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashKind {
    /// Names, kinds, sizes and times.
    Metadata,
    /// Names, kinds and file digests.
    Content,
}

impl HashKind {
    /// The key-derivation context of a directory's hash.
    fn directory_context(self) -> &'static str {
        match self {
            Self::Metadata => "twintree 2026-11-23 directory metadata hash v1",
            Self::Content => "twintree 2026-11-23 directory content hash v1",
        }
    }

    /// The key-derivation context of an instance's hash.
    fn instance_context(self) -> &'static str {
        match self {
            Self::Metadata => "twintree 2026-11-23 instance metadata hash v1",
            Self::Content => "twintree 2026-11-23 instance content hash v1",
        }
    }
}

impl fmt::Display for HashKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => "metadata",
            Self::Content => "content",
        })
    }
}

/// The hash of a directory with everything below it, where everything below it is known.
///
/// There is no `==`, under which what is not known would be equal to what is not known:
///
/// ```compile_fail,E0369
/// use twintree::manifest::SubtreeHash;
///
/// let equal = SubtreeHash::Unproven == SubtreeHash::Unproven;
/// ```
///
/// [`SubtreeHash::proves_equal`] is the question whether two subtrees are the same:
///
/// ```
/// use twintree::manifest::SubtreeHash;
///
/// assert!(!SubtreeHash::Unproven.proves_equal(&SubtreeHash::Unproven));
/// ```
#[derive(Debug, Clone, Copy)]
pub enum SubtreeHash {
    /// Everything the hash covers was read.
    Proven(Blake3Digest),
    /// Something below could not be read, or was not read yet. Equal to nothing, itself included.
    Unproven,
}

impl SubtreeHash {
    /// Whether the two hashes prove their subtrees equal.
    pub fn proves_equal(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Proven(a), Self::Proven(b)) if a == b)
    }

    /// Whether both say the same of one and the same subtree, be it that nothing is proven: for a claim that is checked
    /// against what it should be. Proves nothing about two subtrees.
    pub fn is_same_claim_as(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }

    /// Whether there is a hash.
    pub fn is_proven(&self) -> bool {
        matches!(self, Self::Proven(_))
    }

    /// The hash, where there is one.
    pub fn digest(&self) -> Option<Blake3Digest> {
        match self {
            Self::Proven(digest) => Some(*digest),
            Self::Unproven => None,
        }
    }
}

impl From<Option<Blake3Digest>> for SubtreeHash {
    fn from(digest: Option<Blake3Digest>) -> Self {
        digest.map_or(Self::Unproven, Self::Proven)
    }
}

/// An entry as the hash sees it.
enum Row<'a> {
    File(&'a FileEntry),
    Directory(SubtreeHash),
}

const KIND_FILE: u8 = 0;
const KIND_DIRECTORY: u8 = 1;

/// The hash of a directory from its files and its child directories with their hashes; both sorted by name.
///
/// Unproven as soon as one entry's part is: a file without digest (for the content hash), an entry whose metadata
/// could not be read, a child that is unproven.
pub fn subtree_hash<'a>(
    kind: HashKind,
    files: &'a [FileEntry],
    children: impl Iterator<Item = (&'a Name, SubtreeHash)>,
) -> SubtreeHash {
    let mut rows: Vec<(&[u8], Row<'_>)> = files.iter().map(|f| (f.name.as_bytes(), Row::File(f))).collect();
    let sorted_files = rows.len();
    rows.extend(children.map(|(name, hash)| (name.as_bytes(), Row::Directory(hash))));
    if rows.len() > sorted_files {
        rows.sort_by(|a, b| a.0.cmp(b.0));
    }
    let mut hasher = blake3::Hasher::new_derive_key(kind.directory_context());
    let mut input = Vec::with_capacity(INPUT_BYTES);
    input.extend_from_slice(&HASH_VERSION.to_le_bytes());
    input.extend_from_slice(&(rows.len() as u64).to_le_bytes());
    for (name, row) in rows {
        let known = match row {
            Row::File(file) => add_file(&mut input, kind, name, file),
            Row::Directory(SubtreeHash::Proven(digest)) => {
                add_head(&mut input, KIND_DIRECTORY, name);
                input.extend_from_slice(&digest.0);
                Some(())
            }
            Row::Directory(SubtreeHash::Unproven) => None,
        };
        if known.is_none() {
            return SubtreeHash::Unproven;
        }
        if input.len() > INPUT_BYTES - MAX_ROW_BYTES {
            hasher.update(&input);
            input.clear();
        }
    }
    hasher.update(&input);
    SubtreeHash::Proven(hasher.finalize().into())
}

/// How much is handed to the hash at once: enough for it to hash many chunks side by side.
const INPUT_BYTES: usize = 64 << 10;

/// The longest row: kind, length, name, digest.
const MAX_ROW_BYTES: usize = 1 + 4 + MAX_NAME_BYTES + 32;

fn add_file(input: &mut Vec<u8>, kind: HashKind, name: &[u8], file: &FileEntry) -> Option<()> {
    let Listed::File { size, modified_ms, content } = &file.listed else { return None };
    add_head(input, KIND_FILE, name);
    match (kind, content) {
        (HashKind::Metadata, _) => {
            input.extend_from_slice(&size.to_le_bytes());
            input.extend_from_slice(&modified_ms.to_le_bytes());
        }
        (HashKind::Content, Content::Digest(digest)) => input.extend_from_slice(&digest.0),
        (HashKind::Content, _) => return None,
    }
    Some(())
}

fn add_head(input: &mut Vec<u8>, kind: u8, name: &[u8]) {
    input.push(kind);
    // A name has at most `MAX_NAME_BYTES` bytes.
    input.extend_from_slice(&(name.len() as u32).to_le_bytes());
    input.extend_from_slice(name);
}

/// The root hash of an instance: binds its roots, sorted by id. `None` stands for an absent root.
pub fn instance_hash(kind: HashKind, roots: &[(RootId, Option<SubtreeHash>)]) -> SubtreeHash {
    let mut hasher = blake3::Hasher::new_derive_key(kind.instance_context());
    hasher.update(&HASH_VERSION.to_le_bytes());
    hasher.update(&(roots.len() as u64).to_le_bytes());
    for (id, hash) in roots {
        hasher.update(&[id.directory_type.code()]);
        hasher.update(&id.index.to_le_bytes());
        match hash {
            None => {
                hasher.update(&[0]);
            }
            Some(SubtreeHash::Proven(digest)) => {
                hasher.update(&[1]);
                hasher.update(&digest.0);
            }
            Some(SubtreeHash::Unproven) => return SubtreeHash::Unproven,
        }
    }
    SubtreeHash::Proven(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &[u8], size: u64, content: Content) -> FileEntry {
        FileEntry { name: Name::new(name).unwrap(), listed: Listed::File { size, modified_ms: 5, content } }
    }

    #[test]
    fn unproven_is_equal_to_nothing() {
        assert!(!SubtreeHash::Unproven.proves_equal(&SubtreeHash::Unproven));
        let one = SubtreeHash::Proven(Blake3Digest([1; 32]));
        assert!(one.proves_equal(&one));
        assert!(!one.proves_equal(&SubtreeHash::Unproven));
    }

    #[test]
    fn the_same_claim_is_no_proof() {
        let [one, two] = [1, 2].map(|n| SubtreeHash::Proven(Blake3Digest([n; 32])));
        assert!(one.is_same_claim_as(&one) && SubtreeHash::Unproven.is_same_claim_as(&SubtreeHash::Unproven));
        assert!(!one.is_same_claim_as(&two) && !one.is_same_claim_as(&SubtreeHash::Unproven));
    }

    #[test]
    fn a_file_without_digest_makes_only_the_content_hash_unproven() {
        let files = [file(b"f", 1, Content::NotRead)];
        assert!(subtree_hash(HashKind::Metadata, &files, std::iter::empty()).digest().is_some());
        assert!(!subtree_hash(HashKind::Content, &files, std::iter::empty()).is_proven());
    }

    #[test]
    fn the_kind_the_name_and_the_child_all_count() {
        let digest = |n| Blake3Digest([n; 32]);
        let f = [file(b"f", 1, Content::Digest(digest(1)))];
        let g = [file(b"g", 1, Content::Digest(digest(1)))];
        let name = Name::new(b"f").unwrap();
        let child = |n| std::iter::once((&name, SubtreeHash::Proven(digest(n))));
        let none = std::iter::empty;
        let hashes = [
            subtree_hash(HashKind::Content, &f, none()),
            subtree_hash(HashKind::Content, &g, none()),
            subtree_hash(HashKind::Metadata, &f, none()),
            subtree_hash(HashKind::Content, &[], child(1)),
            subtree_hash(HashKind::Content, &[], child(2)),
            subtree_hash(HashKind::Content, &[], none()),
        ];
        for (i, a) in hashes.iter().enumerate() {
            assert!(hashes.iter().skip(i + 1).all(|b| !a.proves_equal(b)), "{i}");
        }
    }

    #[test]
    fn an_absent_root_is_not_an_empty_one() {
        let empty = subtree_hash(HashKind::Metadata, &[], std::iter::empty());
        let with = |root| instance_hash(HashKind::Metadata, &[(RootId::DATA_0, root)]);
        assert!(!with(None).proves_equal(&with(Some(empty))));
        assert!(!with(Some(SubtreeHash::Unproven)).is_proven());
    }
}
