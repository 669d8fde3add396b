//! Files that carry another one's hash over a table that does not give it: `diff` finds it without opening a block where
//! nothing is wrong, and names the file.

use super::diff::{DiffError, findings};
use super::directory::{Directory, DirectoryIndex};
use super::file::tests::parts::{Node, Parts, Root, directory};
use super::hash::{HashKind, SubtreeHash, subtree_hash};
use super::record::FileRecords;
use super::root_hashes::Depth;
use crate::model::{Blake3Digest, Name};

/// Every directory that a lie is about, and each above one, holds a file, so that no hash follows from the tables alone.
fn tree() -> Node {
    let table = |size| directory([("f", Node::File(size)), ("sub", directory([("g", Node::File(2))]))]);
    let keyspace = directory([("schema", Node::File(1)), ("t0", table(3)), ("t1", table(4))]);
    directory([("ks", keyspace), ("root", Node::File(5)), ("z", directory([]))])
}

type Lie = fn(&mut Root);

/// Positions: 0 the root, 1 ks, 2 ks/t0, 3 ks/t0/sub, 4 ks/t1, 5 ks/t1/sub, 6 z.
const LIES: &[(&str, Lie)] = &[
    ("another hash", |root| root.directories[2].metadata = made_up()),
    ("another hash at the very end", |root| root.directories[5].metadata = made_up()),
    ("another name", |root| root.directories[2].name = name("t00")),
    ("another last name", |root| root.directories[6].name = name("zz")),
    ("one missing", |root| root.remove(2)),
    ("the last one missing", |root| root.remove(6)),
    ("nothing below", |root| [6, 1].into_iter().for_each(|at| root.remove(at))),
    ("nothing below the keyspace", |root| [4, 2].into_iter().for_each(|at| root.remove(at))),
    ("5,000 more", |root| add(root, 5000)),
    ("more files", |root| root.directories[3].files += 998),
    ("more files at the root", |root| root.directories[0].files += 998),
    ("more bytes", |root| root.directories[2].bytes += 1),
    ("one moved deeper", |root| root.directories[6].parent = DirectoryIndex(4)),
];

/// Those of content, under which the metadata is true.
const CONTENT_LIES: &[(&str, Lie)] = &[
    ("another content hash", |root| root.content[2] = made_up()),
    ("another content hash at the very end", |root| root.content[5] = made_up()),
];

fn made_up() -> SubtreeHash {
    SubtreeHash::Proven(Blake3Digest([77; 32]))
}

fn name(text: &str) -> Option<Name> {
    Some(Name::new(text.as_bytes()).unwrap())
}

/// Empty directories at the end of the root.
fn add(root: &mut Root, count: usize) {
    let hash = |kind| subtree_hash(kind, &[], std::iter::empty());
    for number in 0..count {
        let name = name(&format!("zz{number:05}"));
        let metadata = hash(HashKind::Metadata);
        root.directories.push(Directory { name, metadata, ..root.directories[6].clone() });
        root.content.push(hash(HashKind::Content));
        root.files.push(FileRecords::default());
    }
}

fn told(lie: fn(&mut Root)) -> Parts {
    let mut parts = Parts::honest([("data/0", tree())]);
    lie(&mut parts.roots[0]);
    parts
}

/// The message of a comparison that fails, whichever side lies; the honest one is never named.
fn refused(liar: &Parts, depth: Depth, what: &str) {
    let (_one, _, honest) = Parts::honest([("data/0", tree())]).open("honest");
    let (_other, path, liar) = liar.open("liar");
    let (honest, liar) = (honest.unwrap(), liar.unwrap_or_else(|error| panic!("{what}: {error}")));
    for (source, destination) in [(&honest, &liar), (&liar, &honest)] {
        match findings(source, destination, depth) {
            Err(error @ DiffError::Contradiction { .. }) => {
                let begin = format!("{} contradicts itself: data/0: the ", path.display());
                assert!(error.to_string().starts_with(&begin), "{what}: {error}");
            }
            other => panic!("{what}, {depth:?}: {other:?}"),
        }
    }
}

#[test]
fn equal_hashes_over_other_tables_are_a_contradiction() {
    for (what, lie) in LIES {
        refused(&told(*lie), Depth::Metadata, what);
        refused(&told(*lie), Depth::Content, what);
    }
    for (what, lie) in CONTENT_LIES {
        refused(&told(*lie), Depth::Content, what);
    }
}

/// A file of another time: the metadata hashes of the root differ, and those of its content do not.
#[test]
fn equal_content_over_other_content_is_one_where_metadata_differs() {
    for (what, lie) in CONTENT_LIES {
        let mut parts = Parts::honest([("data/0", tree())]);
        parts.roots[0].files[0].times[0] += 1;
        parts.roots[0].seal();
        lie(&mut parts.roots[0]);
        refused(&parts, Depth::Content, what);
    }
}

#[test]
fn what_is_true_is_compared_without_opening_a_block_and_counted_by_tables_that_agree() {
    let open = || Parts::honest([("data/0", tree())]).open("x");
    let ((_a, _, source), (_b, _, destination)) = (open(), open());
    let (source, destination) = (source.unwrap(), destination.unwrap());
    let found = findings(&source, &destination, Depth::Content).unwrap();
    assert_eq!((found.differences.len(), found.counters.files_matched), (0, 6));
    assert_eq!((source.blocks_read(), destination.blocks_read()), (0, 0));
}

/// A link to a directory and an empty directory have the same hashes, as they are one to the Sidecar.
#[test]
fn the_flag_of_a_link_is_no_contradiction() {
    let with = |node| Parts::honest([("data/0", directory([("d", node), ("f", Node::File(1))]))]).open("x");
    let ((_a, _, link), (_b, _, empty)) = (with(Node::Link), with(directory([])));
    let found = findings(&link.unwrap(), &empty.unwrap(), Depth::Content).unwrap();
    assert_eq!((found.differences.len(), found.counters.files_matched), (0, 1));
}
