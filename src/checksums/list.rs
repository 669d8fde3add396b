//! A checksum list that was read. Pure.

use std::collections::BTreeSet;

use super::error::{ListError, ListFault};
use crate::model::{ChecksumAlgorithm, ContentDigest, EntryKind, RelPath};

/// What kind of list it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// A line for each file: those of `sha256sum` and its like, of `b3sum`, and of rclone's `hashsum`.
    Sums,
    /// That of `hashdeep`.
    Hashdeep,
    /// The `manifest.json` of cassandra-medusa.
    Medusa,
}

/// One file of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// Its path.
    pub path: RelPath,
    /// Its size in bytes, where the list has it.
    pub size: Option<u64>,
    /// Its digests, of each algorithm one; none where whoever wrote the list had none.
    pub digests: Vec<ContentDigest>,
}

/// A list that was read: each file once, sorted, and none of them in another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChecksumList {
    kind: ListKind,
    files: Vec<ListedFile>,
    sizes: bool,
}

impl ChecksumList {
    /// The list of these files. Values that stand with one file are put together; two of one algorithm must be the same.
    pub(super) fn new(kind: ListKind, mut files: Vec<ListedFile>) -> Result<Self, ListError> {
        // Stable, so that a file keeps its values in their order.
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut merged: Vec<ListedFile> = Vec::with_capacity(files.len());
        for file in files {
            match merged.last_mut().filter(|last| last.path == file.path) {
                Some(last) => merge(last, file).map_err(ListFault::of_all)?,
                None => merged.push(file),
            }
        }
        // What lies in a file comes right behind it.
        let within = |pair: &[ListedFile]| pair[1].path.names().zip(pair[0].path.names()).all(|(a, b)| a == b);
        if let Some(pair) = merged.windows(2).find(|pair| within(pair)) {
            return Err(ListFault::FileAndDirectory(pair[0].path.clone()).of_all());
        }
        match merged.is_empty() {
            true => Err(ListFault::Empty.of_all()),
            false => Ok(Self { kind, sizes: merged.iter().all(|file| file.size.is_some()), files: merged }),
        }
    }

    /// What kind of list it is.
    pub fn kind(&self) -> ListKind {
        self.kind
    }

    /// Its files, sorted by path.
    pub fn files(&self) -> &[ListedFile] {
        &self.files
    }

    /// Whether it has the size of every file.
    pub fn has_sizes(&self) -> bool {
        self.sizes
    }

    /// The algorithms of which it has a value of some file, the strongest first.
    pub fn algorithms(&self) -> Vec<ChecksumAlgorithm> {
        let has = |algorithm: &ChecksumAlgorithm| {
            self.files.iter().any(|file| file.digests.iter().any(|digest| algorithm.is_of(digest)))
        };
        ChecksumAlgorithm::ALL.into_iter().filter(has).collect()
    }

    /// The value that it has of a file.
    pub fn digest(&self, path: &RelPath, algorithm: ChecksumAlgorithm) -> Option<ContentDigest> {
        let at = self.files.binary_search_by(|file| file.path.cmp(path)).ok()?;
        self.files[at].digests.iter().find(|digest| algorithm.is_of(digest)).copied()
    }

    /// What stands under a name in it.
    pub fn entry(&self, path: &RelPath) -> Option<EntryKind> {
        match self.files.binary_search_by(|file| file.path.cmp(path)) {
            Ok(_) => Some(EntryKind::File),
            Err(next) => {
                let next = self.files.get(next)?;
                let below = next.path.names().count() > path.names().count()
                    && next.path.names().zip(path.names()).all(|(a, b)| a == b);
                below.then_some(EntryKind::Directory)
            }
        }
    }

    /// The same list without what is not wanted.
    pub fn retain(mut self, wanted: impl Fn(&RelPath) -> bool) -> Self {
        self.files.retain(|file| wanted(&file.path));
        self
    }
}

fn merge(into: &mut ListedFile, other: ListedFile) -> Result<(), ListFault> {
    let path = into.path.clone();
    let twice = || Err(ListFault::Twice(path.clone()));
    if into.size.is_some() && other.size.is_some() && into.size != other.size {
        return twice();
    }
    let known: BTreeSet<ContentDigest> = into.digests.iter().copied().collect();
    for digest in other.digests.into_iter().filter(|digest| !known.contains(digest)) {
        if ChecksumAlgorithm::ALL.iter().any(|of| of.is_of(&digest) && known.iter().any(|known| of.is_of(known))) {
            return twice();
        }
        into.digests.push(digest);
    }
    into.size = into.size.or(other.size);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    fn file(text: &str, size: Option<u64>, digests: &[ContentDigest]) -> ListedFile {
        ListedFile { path: path(text), size, digests: digests.to_vec() }
    }

    fn list(files: &[ListedFile]) -> Result<ChecksumList, ListFault> {
        ChecksumList::new(ListKind::Sums, files.to_vec()).map_err(|error| error.fault)
    }

    const MD5: ContentDigest = ContentDigest::Md5([1; 16]);
    const SHA1: ContentDigest = ContentDigest::Sha1([1; 20]);

    #[test]
    fn values_of_one_file_are_put_together_and_must_agree() {
        let both = list(&[file("b", None, &[SHA1]), file("a", Some(1), &[MD5]), file("a", None, &[SHA1])]).unwrap();
        assert_eq!(both.files(), [file("a", Some(1), &[MD5, SHA1]), file("b", None, &[SHA1])]);
        assert_eq!(both.algorithms(), [ChecksumAlgorithm::Sha1, ChecksumAlgorithm::Md5]);
        assert_eq!(both.digest(&path("a"), ChecksumAlgorithm::Sha1), Some(SHA1));
        assert_eq!(both.digest(&path("b"), ChecksumAlgorithm::Md5), None);
        assert!(!both.has_sizes());
        assert_eq!(list(&[file("a", None, &[MD5]), file("a", None, &[MD5])]).unwrap().files().len(), 1);
        let other = ContentDigest::Md5([2; 16]);
        assert_eq!(list(&[file("a", None, &[MD5]), file("a", None, &[other])]), Err(ListFault::Twice(path("a"))));
        let parts = ContentDigest::Md5OfParts([1; 16], 2);
        assert_eq!(list(&[file("a", None, &[MD5]), file("a", None, &[parts])]), Err(ListFault::Twice(path("a"))));
        assert_eq!(list(&[file("a", Some(1), &[]), file("a", Some(2), &[])]), Err(ListFault::Twice(path("a"))));
    }

    #[test]
    fn no_file_lies_in_another_one() {
        let wrong = list(&[file("a/b", None, &[MD5]), file("a-b", None, &[MD5]), file("a", None, &[MD5])]);
        assert_eq!(wrong, Err(ListFault::FileAndDirectory(path("a"))));
        assert!(list(&[file("a/b", None, &[MD5]), file("a-b", None, &[MD5]), file("ab", None, &[MD5])]).is_ok());
        assert_eq!(list(&[]), Err(ListFault::Empty));
    }

    #[test]
    fn names_of_files_and_of_the_directories_they_lie_in_are_entries() {
        let list = list(&[file("a/b/c", None, &[MD5]), file("a-b", None, &[MD5]), file("d", None, &[MD5])]).unwrap();
        let (one, two) = (Some(EntryKind::File), Some(EntryKind::Directory));
        for (text, entry) in [
            ("", two),
            ("a", two),
            ("a/b", two),
            ("a/b/c", one),
            ("a-b", one),
            ("a/b/c/d", None),
            ("a/c", None),
            ("e", None),
        ] {
            assert_eq!(list.entry(&path(text)), entry, "{text}");
        }
    }
}
