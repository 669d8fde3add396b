//! The comparison and its digests against references that are too simple to be wrong, and the work it does, counted.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use proptest::sample::Index;
use twintree::manifest::{Comparand, Depth, DirectoryIndex, ManifestFile, findings, write};
use twintree::model::{Blake3Digest, DifferenceKind, Findings, MetadataSummary, RootId};

use crate::support::grown::{Edit, Node, Nodes, apply, edits, grow, nodes};
use crate::support::has_program;
use crate::support::manifests::manifest_of;
use crate::support::naive_diff::naive_diff;
use crate::support::trees::{copy_tree, flip_byte};

/// As a user compares: content only where no metadata differs, or where it is to keep going.
fn compare(source: &dyn Comparand, destination: &dyn Comparand, keep_going: bool) -> Findings {
    let metadata = findings(source, destination, Depth::Metadata).unwrap();
    if metadata.counters.metadata_summary() == MetadataSummary::Different && !keep_going {
        return metadata;
    }
    findings(source, destination, Depth::Content).unwrap()
}

fn the_comparison_agrees_with_a_naive_one_impl(left: &Nodes, right: &Nodes) {
    let tmp = tempfile::tempdir().unwrap();
    let homes = ["source", "destination"].map(|name| tmp.path().join(name));
    grow(left, &homes[0]);
    grow(right, &homes[1]);
    let [source, destination] = [&homes[0], &homes[1]].map(|home| manifest_of(home, 2));
    let open = |manifest, name: &str| {
        write(manifest, &tmp.path().join(name)).unwrap();
        ManifestFile::open(&tmp.path().join(name)).unwrap()
    };
    let (source_file, destination_file) = (open(&source, "s.manifest"), open(&destination, "d.manifest"));
    for keep_going in [false, true] {
        let naive = naive_diff(&homes[0], &homes[1], keep_going);
        let sides: [(&dyn Comparand, &dyn Comparand); 4] = [
            (&source, &destination),
            (&source_file, &destination_file),
            (&source, &destination_file),
            (&source_file, &destination),
        ];
        for (source, destination) in sides {
            let outcome = compare(source, destination, keep_going);
            assert_eq!(outcome.counters, naive.counters, "keep going: {keep_going}\n{outcome:#?}");
            let differences: BTreeSet<(Vec<u8>, DifferenceKind)> =
                outcome.differences.iter().map(|d| (d.url.path.as_bytes().to_vec(), d.kind)).collect();
            assert_eq!(differences.len(), outcome.differences.len(), "no entry is listed twice");
            assert_eq!(differences, naive.differences, "keep going: {keep_going}");
        }
    }
    let files = [open(&source, "s.manifest"), open(&destination, "d.manifest")];
    findings(&files[0], &files[1], Depth::Content).unwrap();
    let read = [files[0].blocks_read(), files[1].blocks_read()];
    assert_eq!(read, naive_diff(&homes[0], &homes[1], true).to_open, "only blocks of differing branches are read");
}

fn edited(nodes: &Nodes, edits: &[(Vec<Index>, Edit)]) -> Nodes {
    let mut edited = nodes.clone();
    edits.iter().for_each(|(way, edit)| apply(&mut edited, way, edit));
    edited
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_comparison_agrees_with_a_naive_one_proptest(nodes in nodes(), edits in edits()) {
        the_comparison_agrees_with_a_naive_one_impl(&nodes, &edited(&nodes, &edits));
    }

    #[test]
    fn the_comparison_of_unrelated_trees_agrees_with_a_naive_one_proptest(left in nodes(), right in nodes()) {
        the_comparison_agrees_with_a_naive_one_impl(&left, &right);
    }
}

#[test]
fn the_comparison_agrees_with_a_naive_one_cases() {
    let file = |byte: u8| Node::File(vec![byte], 1_000_000);
    let tree = |name: &'static [u8], node: Node| Nodes::from([(name, node)]);
    let deep = |node: Node| tree(b"a", Node::Directory(tree(b"b", Node::Directory(tree(b"c", node)))));
    let kinds = [
        file(0),
        file(1),
        Node::File(vec![0], 1_000_400),
        Node::File(vec![0], -1_500),
        Node::File(Vec::new(), 1_000_000),
        Node::Directory(Nodes::new()),
        Node::Directory(tree(b"c", file(0))),
        Node::Pipe,
        Node::DanglingLink,
        Node::LinkToDirectory,
    ];
    let none = Nodes::new();
    the_comparison_agrees_with_a_naive_one_impl(&none, &none);
    let top = tree(b"a", file(0));
    the_comparison_agrees_with_a_naive_one_impl(&top, &top);
    for left in &kinds {
        the_comparison_agrees_with_a_naive_one_impl(&deep(left.clone()), &none);
        for right in &kinds {
            the_comparison_agrees_with_a_naive_one_impl(&deep(left.clone()), &deep(right.clone()));
        }
    }
}

#[test]
fn one_changed_byte_among_200_directories_costs_the_blocks_on_its_path() {
    let tmp = tempfile::tempdir().unwrap();
    let (source, destination) = (tmp.path().join("source"), tmp.path().join("destination"));
    for number in 0..200 {
        let directory = source.join(format!("ks-{}/t-{number}", number / 20));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("nb-1-big-Data.db"), [7; 100]).unwrap();
    }
    // Of all directories that hold others, only this one holds a file too.
    fs::write(source.join("ks-5/schema.cql"), b"").unwrap();
    copy_tree(&source, &destination);
    let open = |home: &Path| {
        let path = home.with_extension("manifest");
        write(&manifest_of(home, 2), &path).unwrap();
        ManifestFile::open(&path).unwrap()
    };
    for (changed, blocks) in [(None, 0), (Some("ks-2/t-47"), 1), (Some("ks-5/t-100"), 3)] {
        // The changes add up, so the last comparison opens the first one's block again.
        changed.into_iter().for_each(|table| flip_byte(&destination.join(table).join("nb-1-big-Data.db"), 50));
        let (source, destination) = (open(&source), open(&destination));
        let found = findings(&source, &destination, Depth::Content).unwrap();
        assert_eq!(found.counters.digest_mismatches as usize, found.differences.len());
        assert_eq!((source.blocks_read(), destination.blocks_read()), (blocks, blocks), "{changed:?}");
    }
}

#[test]
fn digests_are_those_of_blake3_at_every_size_where_reading_changes_its_way() {
    let tmp = tempfile::tempdir().unwrap();
    let around = |size: usize| [size - 1, size, size + 1];
    let sizes = [0, 1].into_iter().chain(around(1024)).chain(around(256 << 10)).chain(around(4 << 20));
    let sizes: Vec<usize> = sizes.chain([(64 << 20) + 1]).collect();
    // No two blocks are the same, so pieces in a wrong order have another digest.
    let byte = |at: usize| (at as u32).wrapping_mul(0x9e37_79b1).to_le_bytes()[3];
    let bytes: Vec<u8> = (0..(64 << 20) + 1).map(byte).collect();
    for size in &sizes {
        fs::write(tmp.path().join(format!("{size:08}")), &bytes[..*size]).unwrap();
    }
    let b3sum_is_there = has_program("b3sum", "b3sum");
    for threads in [1, 8] {
        let manifest = manifest_of(tmp.path(), threads);
        let files = manifest.root(RootId::DATA_0).unwrap().tree.as_ref().unwrap().files(DirectoryIndex::ROOT);
        assert_eq!(files.len(), sizes.len());
        for (file, size) in files.iter().zip(&sizes) {
            let digest = file.digest().unwrap();
            assert_eq!(digest, Blake3Digest::from(blake3::hash(&bytes[..*size])), "{size} bytes, {threads} threads");
            if b3sum_is_there {
                let output = Command::new("b3sum").arg(tmp.path().join(file.name.to_string())).output().unwrap();
                let printed = String::from_utf8(output.stdout).unwrap();
                assert_eq!(printed.split(' ').next(), Some(digest.to_string().as_str()), "b3sum of {size} bytes");
            }
        }
    }
}
