//! A manifest that passes every check is one that a careful writer could have written: each lie is found, wherever in a tree
//! it stands.

use proptest::prelude::*;

use super::parts::{Node, Parts, Root, directory};
use crate::exclude::Rules;
use crate::manifest::hash::SubtreeHash;
use crate::manifest::identity::Identity;
use crate::model::{Blake3Digest, Problem, Reason, RootId, Selection};

/// What is wrong with a file; empty where nothing is.
fn fault(parts: &Parts) -> String {
    let (_tmp, path, opened) = parts.open("x.manifest");
    match opened.and_then(|manifest| manifest.check_all()) {
        Ok(()) => String::new(),
        Err(error) => error.to_string().strip_prefix(&format!("{}: ", path.display())).unwrap().to_owned(),
    }
}

fn made_up() -> SubtreeHash {
    SubtreeHash::Proven(Blake3Digest([77; 32]))
}

/// A lie about the directory at a position of the first root; `false` where it cannot be told there.
type Lie = fn(&mut Root, usize) -> bool;

/// With what a reader says to each.
const LIES: &[(&str, Lie)] = &[
    ("bytes are said to be in it, and no file", |root, at| {
        let directory = &mut root.directories[at];
        directory.bytes = 7;
        directory.files == 0
    }),
    ("an entry that could not be examined has a size or a time", |root, at| {
        let state = root.files[at].states.iter().position(|state| *state == 3);
        state.is_some_and(|file| {
            root.files[at].times[file] = 5;
            true
        })
    }),
    ("an entry that could not be examined has a size or a time", |root, at| {
        let state = root.files[at].states.iter().position(|state| *state == 3);
        state.is_some_and(|file| {
            root.files[at].sizes[file] = 5;
            root.directories[at].bytes += 5;
            true
        })
    }),
    // Two sizes of which the sum saturates.
    ("not the number of files or bytes its record says", |root, at| {
        let known: Vec<usize> = (0..root.files[at].states.len()).filter(|i| root.files[at].states[*i] < 3).collect();
        let others: u64 = root.directories.iter().map(|d| d.bytes).sum::<u64>() - root.directories[at].bytes;
        if known.len() < 2 || others > 0 {
            return false;
        }
        root.files[at].sizes[known[0]] = u64::MAX;
        root.files[at].sizes[known[1]] = 1;
        root.directories[at].bytes = u64::MAX;
        root.seal();
        true
    }),
    ("not the number of files or bytes its record says", |root, at| {
        root.directories[at].files += 1;
        root.directories[at].files > 1
    }),
    ("not the number of files or bytes its record says", |root, at| {
        root.directories[at].bytes += 1;
        root.directories[at].files > 0
    }),
    ("its content is said to be known, and its metadata not", |root, at| {
        let told = root.directories[at].files > 0 && root.content[at].is_proven();
        root.directories[at].metadata = SubtreeHash::Unproven;
        let mut above = at;
        while above > 0 {
            above = root.directories[above].parent.at();
            (root.directories[above].metadata, root.content[above]) = (SubtreeHash::Unproven, SubtreeHash::Unproven);
        }
        told
    }),
    // A digest of a directory in which a file was not read.
    ("Content hash is not that of", |root, at| {
        let read = root.files[at].states.iter().all(|state| *state == 0);
        root.content[at] = made_up();
        !read
            && root.directories[at].metadata.is_proven()
            && root.children(at).all(|child| root.content[child].is_proven())
    }),
    ("Content hash is not that of", |root, at| {
        let known = root.content[at].is_proven() && at == 0;
        root.content[at] = SubtreeHash::Unproven;
        known
    }),
    ("Metadata hash is not that of", |root, at| {
        let known = root.directories[at].metadata.is_proven() && at == 0;
        root.directories[at].metadata = SubtreeHash::Unproven;
        root.content[at] = SubtreeHash::Unproven;
        known
    }),
    ("Metadata hash is not that of", |root, at| {
        root.directories[at].metadata = made_up();
        root.directories[at].unlisted.is_some() || (at == 0 && root.content[at].is_proven())
    }),
    // A digest more than there are files that were read, as for one with a problem.
    ("the columns of a directory's files have different lengths", |root, at| {
        root.files[at].digests.extend([1; 32]);
        root.files[at].states.iter().any(|state| *state > 0)
    }),
    ("the columns of a directory's files have different lengths", |root, at| {
        root.files[at].problems.push((0, "no".to_owned()));
        root.directories[at].files > 0
    }),
    ("the names of a directory's files are not in ascending order", |root, at| {
        let names: Vec<&[u8]> = root.files[at].names.split(|byte| *byte == b'/').collect();
        let backwards: Vec<&[u8]> = names.iter().rev().copied().collect();
        let told = names.len() > 1;
        root.files[at].names = backwards.join(&b'/');
        told
    }),
    ("the names of a directory's files are not in ascending order", |root, at| {
        let first = root.files[at].names.split(|byte| *byte == b'/').next().unwrap().to_vec();
        let count = root.files[at].states.len();
        root.files[at].names = vec![first; count].join(&b'/');
        count > 1
    }),
    ("a file and a directory have the same name", |root, at| {
        let Some(child) = root.children(at).next() else { return false };
        let name = root.directories[child].name.as_ref().unwrap().as_bytes().to_vec();
        root.files[at].names = name;
        root.files[at].states.len() == 1
    }),
    ("was not entered, and yet something is said to be in it", |root, at| {
        root.directories[at].link = true;
        at > 0
            && root.directories[at].unlisted.is_none()
            && (root.directories[at].files > 0 || root.children(at).next().is_some())
    }),
    ("was not entered, and yet something is said to be in it", |root, at| {
        root.directories[at].unlisted = Some(Problem::new(Reason::Unreadable, "no"));
        root.directories[at].files > 0 || root.children(at).next().is_some()
    }),
    ("a symbolic link is not entered, and yet it is said that it could not be listed", |root, at| {
        root.directories[at].unlisted = Some(Problem::new(Reason::Unreadable, "no"));
        root.directories[at].link
    }),
    ("the root must be the first directory", |root, at| {
        root.directories[at].link = true;
        at == 0
    }),
    ("its name does not come after that of the directory before it", |root, at| {
        let children: Vec<usize> = root.children(at).collect();
        let [.., elder, younger] = children[..] else { return false };
        root.directories[younger].name = root.directories[elder].name.clone();
        true
    }),
    ("9 stands for no state of a file", |root, at| {
        let file = root.files[at].states.iter().position(|state| *state == 1);
        file.is_some_and(|file| {
            root.files[at].states[file] = 9;
            true
        })
    }),
    ("77 stands for no reason", |root, at| {
        root.files[at].problems.first_mut().is_some_and(|problem| {
            problem.0 = 77;
            true
        })
    }),
];

/// Everything that can stand in a tree, so that each lie can be told somewhere.
fn rich() -> [Node; 4] {
    let read = directory([
        ("a", Node::File(5)),
        ("b", Node::File(0)),
        ("d", directory([("e", directory([])), ("f", Node::File(9))])),
        ("link", Node::Link),
    ]);
    let partly = directory([
        ("a", Node::NotRead(5)),
        ("b", Node::Unreadable(8)),
        ("d", directory([("one", Node::File(4)), ("two", directory([("f", Node::File(1))]))])),
        ("empty", directory([])),
    ]);
    let unknown = directory([
        ("a", Node::File(3)),
        ("gone", Node::Unlistable),
        ("closed", Node::Unlisted),
        ("d", directory([("f", Node::File(1))])),
    ]);
    let flat = directory([("a", Node::File(3)), ("b", Node::File(4)), ("d", directory([]))]);
    [read, partly, unknown, flat]
}

#[test]
fn each_lie_is_found_at_every_place_where_it_can_be_told() {
    for tree in rich() {
        assert_eq!(fault(&Parts::honest([("data/0", tree.clone())])), "", "{tree:?}");
    }
    for (number, (expected, lie)) in LIES.iter().enumerate() {
        let mut told = 0;
        for tree in rich() {
            let honest = Parts::honest([("data/0", tree)]);
            for at in 0..honest.roots[0].directories.len() {
                let mut parts = honest.clone();
                if lie(&mut parts.roots[0], at) {
                    told += 1;
                    let fault = fault(&parts);
                    assert!(fault.contains(expected), "lie {number} at {at}: {expected:?}, not {fault:?}");
                }
            }
        }
        assert!(told > 0, "lie {number} can be told nowhere: {expected}");
    }
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        6 => (0..9_u64).prop_map(Node::File),
        1 => (0..9_u64).prop_map(Node::NotRead),
        1 => (0..9_u64).prop_map(Node::Unreadable),
        1 => Just(Node::Unlistable),
        1 => Just(Node::Unlisted),
        1 => Just(Node::Link),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| entries(inner).boxed())
}

fn entries(node: impl Strategy<Value = Node>) -> impl Strategy<Value = Node> {
    let name = prop::sample::select(vec!["a", "a-b", "b", "c", "d"]);
    prop::collection::btree_map(name.prop_map(str::to_owned), node, 0..5).prop_map(Node::Directory)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_true_passes_and_a_lie_does_not_proptest(
        tree in entries(node()),
        lie in 0..LIES.len(),
        at in any::<prop::sample::Index>(),
    ) {
        let honest = Parts::honest([("data/0", tree)]);
        prop_assert_eq!(fault(&honest), "");
        let mut parts = honest.clone();
        let at = at.index(parts.roots[0].directories.len());
        let (expected, lie) = LIES[lie];
        if lie(&mut parts.roots[0], at) {
            prop_assert!(!fault(&parts).is_empty(), "{}", expected);
        }
    }
}

#[test]
fn sums_over_several_roots_neither_wrap_nor_saturate() {
    let root = |size| directory([("f", Node::File(size))]);
    let sum = |a, b| fault(&Parts::honest([("data/0", root(a)), ("data/1", root(b))]));
    assert_eq!(sum(u64::MAX - 3, 3), "");
    assert_eq!(sum(u64::MAX - 3, 4), "section DIRS: the sums of files or bytes over all roots are beyond 64 bits");
    let mut saturated = Parts::honest([("data/0", root(u64::MAX)), ("data/1", root(4))]);
    saturated.end = |end| end.bytes = u64::MAX;
    assert_eq!(fault(&saturated), "section DIRS: the sums of files or bytes over all roots are beyond 64 bits");
}

#[test]
fn what_it_all_comes_to_follows_from_the_tables() {
    let [tree, ..] = rich();
    let honest = Parts::honest([("data/0", tree.clone()), ("hints/0", tree)]);
    let lies: [fn(&mut super::super::EndRecord); 5] = [
        |end| end.files += 1,
        |end| end.directories -= 1,
        |end| end.bytes += 1,
        |end| end.metadata = None,
        |end| end.content = Some([1; 32]),
    ];
    for end in lies {
        let fault = fault(&Parts { end, ..honest.clone() });
        assert_eq!(fault, "section TEND: the totals or root hashes are not those of the directories");
    }
    let mut twice = honest.clone();
    twice.roots[1].id = RootId::DATA_0;
    assert_eq!(fault(&twice), "section DIRS: the columns do not fit together");
}

#[test]
fn the_fingerprint_is_that_of_the_patterns_beside_it() {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let rules = Rules::compile(&texts(&["glob:**.tmp", "glob:**.tmp"]), &texts(&["glob:**/x"])).unwrap();
    let mut parts = Parts::honest([("data/0", directory([("f", Node::File(3))]))]);
    parts.identity = Identity::new(String::new(), String::new(), 0, &rules);
    assert_eq!(fault(&parts), "");
    let wrong = "section IDEN: the fingerprint is not that of the patterns and the selection";
    let told = |lie: fn(&mut Identity)| {
        let mut parts = parts.clone();
        lie(&mut parts.identity);
        fault(&parts)
    };
    assert_eq!(told(|identity| identity.rules[0] ^= 1), wrong);
    assert_eq!(told(|identity| identity.file_patterns.clear()), wrong);
    assert_eq!(told(|identity| identity.file_patterns.truncate(1)), "", "a pattern stands once");
    assert_eq!(told(|identity| std::mem::swap(&mut identity.file_patterns, &mut identity.directory_patterns)), wrong);
    assert_eq!(told(|identity| identity.selection = Selection::parse(&["ks".to_owned()]).ok()), wrong);
}

#[test]
fn a_restricted_manifest_holds_only_what_it_is_restricted_to() {
    let selection = Selection::parse(&["ks".to_owned(), "k2.t".to_owned()]).unwrap();
    let rules = Rules::none().restricted_to(&selection);
    let restricted = |id: &str, tree: Node| {
        let mut parts = Parts::honest([(id, tree)]);
        parts.identity = Identity::new(String::new(), String::new(), 0, &rules);
        fault(&parts)
    };
    let file = || Node::File(3);
    let table = || directory([("f", file())]);
    let sound =
        directory([("k2", directory([("t", table())])), ("ks", directory([("any", table()), ("beside", file())]))]);
    assert_eq!(restricted("data/3", sound), "");
    for (root, tree, outside) in [
        ("hints/0", table(), ""),
        ("data/0", table(), ""),
        ("data/0", directory([("other", directory([]))]), "other"),
        ("data/0", directory([("k2", directory([("beside", file()), ("t", table())]))]), "k2"),
        ("data/0", directory([("k2", directory([("u", directory([]))]))]), "k2/u"),
    ] {
        let expected = format!("section DIRS: {root}: \"{outside}\" holds what is not selected");
        assert_eq!(restricted(root, tree), expected);
    }
}

/// A path that is too long is found where the directory is opened, though each of its parts is sound.
#[test]
fn a_path_of_a_file_beyond_the_limit_is_refused() {
    let name = "n".repeat(1000);
    let tree = |file: &str| {
        let deepest = directory([(file, Node::File(1))]);
        (0..4).fold(deepest, |inner, _| directory([(name.as_str(), inner)]))
    };
    assert_eq!(fault(&Parts::honest([("data/0", tree(&"f".repeat(92)))])), "");
    let long = fault(&Parts::honest([("data/0", tree(&"f".repeat(93)))]));
    assert!(long.ends_with("the path of a file is too long"), "{long}");
}
