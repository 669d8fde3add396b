//! The directories of a tree of which somebody else says what is in it. Pure.

use std::collections::BTreeMap;

use crate::model::{FileEntry, Listed, Name, RelPath};
use crate::scan::WalkedDirectory;

/// The directories in which these files lie, those above them, and others besides, in pre-order. No path may be both a file's and a
/// directory's, and no file may stand twice.
pub fn directories_of(
    files: impl IntoIterator<Item = (RelPath, Listed)>,
    others: impl IntoIterator<Item = RelPath>,
) -> Vec<WalkedDirectory> {
    let mut directories: BTreeMap<RelPath, Vec<FileEntry>> = BTreeMap::from([(RelPath::root(), Vec::new())]);
    for path in others {
        make(&mut directories, path);
    }
    for (path, listed) in files {
        let name = path.names().last().and_then(|name| Name::new(name).ok());
        let (Some(name), Some(directory)) = (name, path.parent()) else { continue };
        if !directories.contains_key(&directory) {
            make(&mut directories, directory.clone());
        }
        directories.entry(directory).or_default().push(FileEntry { name, listed });
    }
    let directory = |(path, mut files): (RelPath, Vec<FileEntry>)| {
        files.sort_by(|a, b| a.name.cmp(&b.name));
        WalkedDirectory { path, files, ..WalkedDirectory::empty_root() }
    };
    directories.into_iter().map(directory).collect()
}

/// Adds a directory with those above it.
fn make(directories: &mut BTreeMap<RelPath, Vec<FileEntry>>, path: RelPath) {
    let mut next = Some(path);
    while let Some(path) = next.filter(|path| !directories.contains_key(path)) {
        next = path.parent();
        directories.insert(path, Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Content;

    #[test]
    fn every_directory_above_a_file_is_there_once() {
        let path = |text: &str| RelPath::new(text.as_bytes()).unwrap();
        let file = |text| (path(text), Listed::File { size: 1, modified_ms: 0, content: Content::NotRead });
        let walked = directories_of([file("a/b/z"), file("a-b/x"), file("a/b/c"), file("t")], [path("e/f")]);
        let shown: Vec<(String, Vec<String>)> = walked
            .iter()
            .map(|one| (one.path.to_string(), one.files.iter().map(|file| file.name.to_string()).collect()))
            .collect();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let expected = [("", &["t"][..]), ("a", &[]), ("a/b", &["c", "z"]), ("a-b", &["x"]), ("e", &[]), ("e/f", &[])];
        assert_eq!(shown, expected.map(|(path, files)| (path.to_owned(), names(files))));
    }
}
