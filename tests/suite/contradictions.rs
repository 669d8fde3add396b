//! Sources that carry the destination's own hashes over something else: what is in hand is looked at before any of it counts.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use twintree::manifest::{Directory, DirectoryIndex, HashKind, SubtreeHash, subtree_hash};
use twintree::model::{Blake3Digest, Name};
use twintree::protocol::{FinishedDirectory, ManifestFrame};

use crate::faults::Faced;
use crate::support::manifests::{CHECKSUM_BYTES, HEAD_BYTES, place, with_section};
use crate::support::program::{text, twintree};
use crate::support::scripted_source::{Answer, Ending, ScriptedSource, bytes_of};
use crate::support::services::{Pair, Setup, storage_dirs};
use crate::support::trees::copy_tree;

/// Seven files; each directory above another holds one, so that no hash of those follows from the table.
fn plant(storage: &Path) {
    for path in ["root", "ks/schema", "ks/t0/f", "ks/t0/sub/g", "ks/t1/f", "ks/t1/sub/g", "z/f"] {
        let path = storage.join("data").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, path.file_name().unwrap().as_encoded_bytes()).unwrap();
    }
}

async fn equal_trees() -> Faced {
    let trees = tempfile::tempdir().unwrap();
    let (original, copy) = (trees.path().join("source"), trees.path().join("destination"));
    plant(&original);
    copy_tree(&original, &copy);
    let source = ScriptedSource::start().await;
    let (mut s, mut d) = (original.display().to_string(), copy.display().to_string());
    let setup = Setup { source_port: Some(source.port), ..storage_dirs(&mut s, &mut d) };
    Faced { pair: Pair::start(setup).await, source, trees }
}

/// What a source says of data/0, in pre-order: 0 the root, 1 ks, 2 ks/t0, 3 ks/t0/sub, 4 ks/t1, 5 ks/t1/sub, 6 z.
#[derive(Clone)]
struct Told {
    directories: Vec<Directory>,
    contents: Vec<SubtreeHash>,
}

impl Told {
    fn of(truth: &[ManifestFrame]) -> Self {
        let (mut directories, mut contents) = (Vec::new(), vec![SubtreeHash::Unproven; 7]);
        for frame in truth {
            match frame {
                ManifestFrame::Directories(columns) => directories.extend(columns.clone()),
                ManifestFrame::Content(finished) => {
                    let data = finished.iter().filter(|one| one.root == 0);
                    data.for_each(|one| contents[one.directory.at()] = one.hash);
                }
                _ => {}
            }
        }
        assert_eq!(directories.len(), 7, "the other roots are absent");
        Self { directories, contents }
    }

    /// The stream with these directories; everything else in it fits.
    fn frames(&self, truth: &[ManifestFrame]) -> Vec<u8> {
        let count = self.directories.len() as u32;
        let finished = (0..count).map(|at| FinishedDirectory {
            root: 0,
            directory: DirectoryIndex(at),
            hash: self.contents[at as usize],
            problem: None,
        });
        let mut finished: Option<Vec<_>> = Some(finished.collect());
        let told = truth.iter().filter_map(|frame| match frame {
            ManifestFrame::Progress(_) => None,
            ManifestFrame::Root(root) if root.directories.is_some() => {
                let root = twintree::protocol::RootFrame { directories: Some(count), ..*root };
                Some(ManifestFrame::Root(root))
            }
            ManifestFrame::Directories(_) => Some(ManifestFrame::Directories(self.directories.clone())),
            ManifestFrame::Content(_) => finished.take().map(ManifestFrame::Content),
            ManifestFrame::End(end) => {
                let files = self.directories.iter().map(|d| d.files).sum();
                let bytes = self.directories.iter().map(|d| d.bytes).sum();
                let directories = u64::from(count) - 1;
                Some(ManifestFrame::End(twintree::protocol::End { files, directories, bytes, ..*end }))
            }
            frame => Some(frame.clone()),
        });
        bytes_of(&told.collect::<Vec<_>>())
    }

    fn remove(&mut self, at: usize) {
        self.directories.remove(at);
        self.contents.remove(at);
        self.directories.iter_mut().filter(|d| d.parent.at() > at).for_each(|d| d.parent.0 -= 1);
    }
}

fn made_up() -> SubtreeHash {
    SubtreeHash::Proven(Blake3Digest([77; 32]))
}

fn name(text: &str) -> Option<Name> {
    Some(Name::new(text.as_bytes()).unwrap())
}

type Lie = fn(&mut Told);

/// Each with what the message says after the directory.
const LIES: &[(&str, Lie)] = &[
    ("ks\" is the same on both sides, and yet the hashes of the directories in it are not", |told| {
        told.directories[2].metadata = made_up();
    }),
    ("ks\" is the same on both sides, and yet not the same directories are in it", |told| {
        told.directories[2].name = name("t00");
    }),
    ("\" is the same on both sides, and yet not the same directories are in it", |told| told.remove(6)),
    ("ks\" is the same on both sides, and yet not the same directories are in it", |told| {
        [5, 4].into_iter().for_each(|at| told.remove(at));
    }),
    ("\" is the same on both sides, and yet not the same directories are in it", |told| {
        (1..7).rev().for_each(|at| told.remove(at));
    }),
    ("\" is the same on both sides, and yet not the same directories are in it", |told| {
        for number in 0..5000 {
            let hash = |kind| subtree_hash(kind, &[], std::iter::empty());
            let (name, metadata) = (name(&format!("zz{number:05}")), hash(HashKind::Metadata));
            told.directories.push(Directory { name, metadata, files: 0, bytes: 0, ..told.directories[6].clone() });
            told.contents.push(hash(HashKind::Content));
        }
    }),
    ("ks/t0\" is the same on both sides, and yet 1003 files are in it at the source, 1 at the destination", |told| {
        told.directories[2].files = 1003;
    }),
    ("\" is the same on both sides, and yet 5 bytes are in it at the source, 4 at the destination", |told| {
        told.directories[0].bytes = 5;
    }),
];

fn request(keep_going: bool) -> Value {
    json!({ "maxConcurrency": 4, "digestAlgorithm": "MD5", "keepGoing": keep_going })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_with_our_hashes_over_other_tables_contradicts_itself() {
    let faced = equal_trees().await;
    let truth = faced.pair.true_frames().await;
    let honest = Told::of(&truth);
    let body = honest.frames(&truth);
    faced.source.script(move |_| Answer::manifest(body.clone(), Ending::Clean));
    let report = faced.pair.verify(&request(false)).await;
    assert_eq!((&report["state"], &report["filesMatched"]), (&json!("COMPLETED"), &json!(7)), "{report:#}");
    for (text, lie) in LIES {
        let mut told = honest.clone();
        lie(&mut told);
        let body = told.frames(&truth);
        faced.source.script(move |asked| match asked.starts_with("POST") {
            true => Answer::manifest(body.clone(), Ending::Clean),
            false => Answer::new(204, "text/plain", ""),
        });
        for keep_going in [false, true] {
            let before = faced.source.asked().len();
            let expected = " broke the protocol: it contradicts itself: data/0: the metadata hash of the directory \"";
            let report = faced.fails(&request(keep_going), &format!("{expected}{text}")).await;
            assert_eq!(report["metadataMatched"], 0, "{text}");
            let posts = faced.source.asked()[before..].iter().filter(|asked| asked.starts_with("POST")).count();
            assert_eq!(posts, 1, "nothing of it is opened: {text}");
        }
    }
}

/// The metadata is true, or differs at the root alone: the content of the root is ours, that of what is in it is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_with_our_content_hash_over_other_content_contradicts_itself() {
    let faced = equal_trees().await;
    let truth = faced.pair.true_frames().await;
    for other_metadata in [false, true] {
        if other_metadata {
            let file = fs::File::options().write(true).open(faced.trees.path().join("destination/data/root"));
            file.unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        for at in [2, 5] {
            let mut told = Told::of(&truth);
            told.contents[at] = made_up();
            let body = told.frames(&truth);
            faced.source.script(move |asked| match asked.starts_with("POST") {
                true => Answer::manifest(body.clone(), Ending::Clean),
                false => Answer::new(204, "text/plain", ""),
            });
            let report = faced.pair.verify(&request(true)).await;
            let message = report["message"].as_str().unwrap_or_default();
            let expected = format!(
                "source 127.0.0.1:{} broke the protocol: it contradicts itself: data/0: the content hash of the directory \"",
                faced.source.port
            );
            assert!(message.starts_with(&expected), "{at}, {other_metadata}: {report:#}");
            assert_eq!(report["state"], "FAILED");
        }
    }
}

/// From the command line: the file that lies is named, whichever side it is, and the exit code is that of what cannot be read.
#[test]
fn diff_names_the_file_that_contradicts_itself() {
    let tmp = tempfile::tempdir().unwrap();
    plant(tmp.path());
    let [tree, honest, liar] = ["data", "honest.manifest", "liar.manifest"].map(|name| tmp.path().join(name));
    assert_eq!(twintree(&["manifest", text(&tree), "-o", text(&honest)]).0, 0);
    let bytes = fs::read(&honest).unwrap();
    let section = place(&bytes, b"DIRS");
    let mut table = bytes[section.start + HEAD_BYTES..section.end - CHECKSUM_BYTES].to_vec();
    let at = table.windows(3).position(|window| window == b"\x02t0").unwrap();
    table[at + 2] = b'-';
    fs::write(&liar, with_section(&bytes, b"DIRS", &table)).unwrap();
    assert_eq!(twintree(&["diff", text(&honest), text(&honest)]).0, 0);
    for other in [&tree, &honest] {
        for sides in [[other, &liar], [&liar, other]] {
            for more in [&[][..], &["--keep-going"], &["--json"]] {
                let arguments = [&["diff", "--quiet", text(sides[0]), text(sides[1])][..], more].concat();
                let (code, out, err) = twintree(&arguments);
                assert_eq!((code, out.as_str()), (3, ""), "{arguments:?}: {err}");
                let expected =
                    format!("{} contradicts itself: data/0: the metadata hash of the directory", liar.display());
                assert!(err.contains(&expected), "{err}");
            }
        }
    }
    let (code, _, err) = twintree(&["inspect", text(&liar)]);
    assert_eq!(code, 3, "{err}");
}
