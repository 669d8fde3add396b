//! The entries of a root in the order of their paths' bytes, as object stores list keys. Pure but for what `open` does.

use std::cmp::Ordering;
use std::iter::Peekable;

use super::directory::DirectoryIndex;
use super::table::DirectoryTable;
use crate::model::{FileEntry, Name};

/// What is met on the way.
#[derive(Debug)]
pub enum ByKey {
    /// A directory, before all that is in it.
    Directory(DirectoryIndex),
    /// A file of that directory.
    File(DirectoryIndex, FileEntry),
}

/// Goes through a root. A directory stands where its path with a `/` behind it would: so `a.txt` and `a-b/c` come before `a/b`, though
/// `a` comes before both, and files come in the order of their paths. What is held are the files of the directories on the way.
pub fn by_key<E>(
    table: &DirectoryTable,
    open: &mut impl FnMut(DirectoryIndex) -> Result<Vec<FileEntry>, E>,
    each: &mut impl FnMut(ByKey) -> Result<(), E>,
) -> Result<(), E> {
    directory(table, DirectoryIndex::ROOT, open, each)
}

/// A table's paths are bounded, and so is the depth of this recursion.
fn directory<E>(
    table: &DirectoryTable,
    index: DirectoryIndex,
    open: &mut impl FnMut(DirectoryIndex) -> Result<Vec<FileEntry>, E>,
    each: &mut impl FnMut(ByKey) -> Result<(), E>,
) -> Result<(), E> {
    each(ByKey::Directory(index))?;
    let mut files = match table.get(index).files {
        0 => Vec::new(),
        _ => open(index)?,
    }
    .into_iter()
    .peekable();
    let mut children: Vec<(DirectoryIndex, &Name)> = table.children(index).collect();
    children.sort_by(|(_, a), (_, b)| as_directory(a).cmp(as_directory(b)));
    for (child, name) in children {
        while let Some(file) = next_before(&mut files, name) {
            each(ByKey::File(index, file))?;
        }
        directory(table, child, open, each)?;
    }
    files.try_for_each(|file| each(ByKey::File(index, file)))
}

fn next_before(files: &mut Peekable<std::vec::IntoIter<FileEntry>>, child: &Name) -> Option<FileEntry> {
    files.next_if(|file| file.name.as_bytes().iter().cmp(as_directory(child)) == Ordering::Less)
}

/// The bytes that all paths below a directory of this name have in common.
fn as_directory(name: &Name) -> impl Iterator<Item = &u8> {
    name.as_bytes().iter().chain(b"/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exclude::{RootRules, Rules};
    use crate::manifest::{Comparand as _, Identity, Manifest, RootSpec};
    use crate::model::RootId;
    use crate::scan::Context;

    #[test]
    fn entries_come_in_the_order_of_their_bytes() {
        let tmp = tempfile::tempdir().unwrap();
        for path in ["a/b", "a/x/y", "a-b/c", "a.txt", "a0", "b/c", "b", "z", "A/a", "a/x-/y", "c/d/e"] {
            let path = tmp.path().join(if path == "b" { "b-" } else { path });
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::fs::create_dir(tmp.path().join("a+")).unwrap();
        let identity = Identity::new(String::new(), String::new(), 0, &Rules::none());
        let root = RootSpec { id: RootId::DATA_0, home: tmp.path().to_owned(), rules: RootRules::none() };
        let manifest = Manifest::walk(identity, &[root], &Context::default()).unwrap();
        let tables = manifest.tables();
        let table = tables[0].1.unwrap();
        let (mut files, mut directories) = (Vec::new(), Vec::new());
        let mut open = |index| manifest.open(RootId::DATA_0, index);
        by_key(table, &mut open, &mut |entry| {
            match entry {
                ByKey::Directory(index) => directories.push([table.path(index).as_bytes(), b"/"].concat()),
                ByKey::File(index, file) => files.push(table.path(index).join(&file.name).unwrap().as_bytes().to_vec()),
            }
            Ok(())
        })
        .unwrap();
        assert_eq!((files.len(), directories.len()), (11, 10));
        assert!(files.is_sorted(), "{files:?}");
        // The root has no name, and comes first.
        assert!(directories[1..].is_sorted(), "{directories:?}");
    }
}
