//! Manifests of trees that are on no disk: entries as a map, so that whatever a scan may find can be said of them.

use std::collections::BTreeMap;

use twintree::exclude::Rules;
use twintree::manifest::{Identity, Manifest};
use twintree::model::{Blake3Digest, Content, FileEntry, Listed, Name, Problem, RelPath, RootId};
use twintree::scan::{Context, WalkedDirectory};

/// An entry.
#[derive(Debug, Clone)]
pub enum Entry {
    File(Listed),
    /// With the reason why it could not be listed.
    Directory(Option<Problem>),
}

/// The entries of one root by their paths; directories stand in it like files. The empty path, where it is there, is the root itself.
pub type Entries = BTreeMap<RelPath, Entry>;

pub fn path(bytes: impl AsRef<[u8]>) -> RelPath {
    RelPath::new(bytes.as_ref()).unwrap()
}

/// A file that was read.
pub fn file(size: u64, modified_ms: i64, bytes: &str) -> Entry {
    let content = Content::Digest(Blake3Digest(*blake3::hash(bytes.as_bytes()).as_bytes()));
    Entry::File(Listed::File { size, modified_ms, content })
}

/// What is below a path, itself included.
pub fn subtree(entries: &Entries, top: &RelPath) -> Vec<RelPath> {
    let below = |path: &&RelPath| {
        path.names().zip(top.names()).all(|(a, b)| a == b) && path.names().count() >= top.names().count()
    };
    entries.keys().filter(below).cloned().collect()
}

fn directories(entries: &Entries) -> Vec<WalkedDirectory> {
    let mut directories: BTreeMap<RelPath, WalkedDirectory> = BTreeMap::new();
    directories.insert(RelPath::root(), WalkedDirectory::empty_root());
    for (path, entry) in entries {
        match entry {
            Entry::Directory(unlisted) => {
                let directory =
                    WalkedDirectory { path: path.clone(), unlisted: unlisted.clone(), ..WalkedDirectory::empty_root() };
                directories.insert(path.clone(), directory);
            }
            Entry::File(listed) => {
                let name = Name::new(path.names().last().unwrap()).unwrap();
                let directory = directories.get_mut(&path.parent().unwrap()).unwrap();
                directory.files.push(FileEntry { name, listed: listed.clone() });
            }
        }
    }
    for directory in directories.values_mut() {
        directory.files.sort_by(|a, b| a.name.cmp(&b.name));
    }
    directories.into_values().collect()
}

/// The manifest of such roots, hashed.
pub fn listed_manifest(host: &str, created_ms: i64, roots: &[(RootId, &Entries)]) -> Manifest {
    let identity = Identity::new(host.to_owned(), format!("{host}'s instance"), created_ms, &Rules::none());
    let roots = roots.iter().map(|(id, entries)| (*id, directories(entries)));
    let manifest = Manifest::of_listed(identity, roots).unwrap();
    manifest.hash_contents(&Context::default(), &|_, _, _, _| ()).unwrap();
    manifest
}
