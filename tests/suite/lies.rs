//! Sources that say what cannot be true. The two trees have not one file in common, so a match would be a lie believed.

use twintree::manifest::{DirectoryIndex, SubtreeHash, Writer, encode_block};
use twintree::model::{Blake3Digest, Content, FileEntry, Listed, Name};
use twintree::protocol::{BranchFrame, FileRead, FinishedDirectory, MAX_FRAME_BYTES, ManifestFrame, ReadOutcome};

use crate::faults::Faced;
use crate::support::scripted_source::{Answer, Ending, bytes_of};

/// Directories as a liar could encode them: the root and a child, with any name.
fn forged(name: &str) -> Vec<u8> {
    let columns = Writer::default()
        .with(0, &4_u32)
        .with(1, &vec![0_u32, 0])
        .with_bytes(2, format!("/{name}"))
        .with_bytes(3, [0, 0])
        .with(4, &vec![0_u64, 0])
        .with(5, &vec![0_u64, 0])
        .with_bytes(6, [])
        .with(7, &Vec::<(u8, String)>::new());
    raw_frame(0, &columns.finish())
}

fn raw_frame(flags: u8, payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32 + 1).to_le_bytes()[..], &[flags], payload].concat()
}

/// The truth up to the first directories, and then these bytes.
fn instead_of_directories(truth: &[ManifestFrame], bytes: &[u8]) -> Vec<u8> {
    let at = truth.iter().position(|frame| matches!(frame, ManifestFrame::Directories(_))).unwrap();
    [&bytes_of(&truth[..at])[..], bytes].concat()
}

fn changed(truth: &[ManifestFrame], change: impl Fn(&mut Vec<ManifestFrame>)) -> Vec<u8> {
    let mut frames = truth.to_vec();
    change(&mut frames);
    bytes_of(&frames)
}

fn find(frames: &[ManifestFrame], wanted: fn(&ManifestFrame) -> bool) -> usize {
    frames.iter().position(wanted).unwrap()
}

fn is_content(frame: &ManifestFrame) -> bool {
    matches!(frame, ManifestFrame::Content(_))
}

fn is_root(frame: &ManifestFrame) -> bool {
    matches!(frame, ManifestFrame::Root(root) if root.directories.is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_contradicts_itself_breaks_the_protocol() {
    let faced = Faced::start().await;
    let mut truth = faced.pair.true_frames().await;
    // They may stand anywhere.
    truth.retain(|frame| !matches!(frame, ManifestFrame::Progress(_)));
    let with_directories = |change: fn(&mut Vec<twintree::manifest::Directory>)| {
        changed(&truth, |frames| {
            let at = find(frames, |frame| matches!(frame, ManifestFrame::Directories(_)));
            let ManifestFrame::Directories(directories) = &mut frames[at] else { unreachable!() };
            change(directories);
        })
    };
    let with_root = |by: i64| {
        changed(&truth, |frames| {
            let at = find(frames, is_root);
            let ManifestFrame::Root(root) = &mut frames[at] else { unreachable!() };
            root.directories = root.directories.map(|count| (i64::from(count) + by) as u32);
        })
    };
    let with_contents = |change: fn(&mut Vec<FinishedDirectory>)| {
        changed(&truth, |frames| {
            let mut all = Vec::new();
            let at = find(frames, is_content);
            frames.retain_mut(|frame| match frame {
                ManifestFrame::Content(hashes) => {
                    all.append(hashes);
                    false
                }
                _ => true,
            });
            all.sort_unstable_by_key(|one| (one.root, one.directory));
            change(&mut all);
            frames.insert(at, ManifestFrame::Content(all));
        })
    };
    let with_end = |change: fn(&mut twintree::protocol::End)| {
        changed(&truth, |frames| {
            let Some(ManifestFrame::End(end)) = frames.last_mut() else { unreachable!() };
            change(end);
        })
    };
    // In pre-order: the root, the keyspace, two tables.
    let lies: Vec<(&str, Vec<u8>)> = vec![
        (
            "data/0: directory 1: its Content hash is not",
            with_contents(|hashes| hashes[2].hash = SubtreeHash::Proven(Blake3Digest([7; 32]))),
        ),
        (
            "data/0: directory 0: its Content hash is not",
            with_contents(|hashes| hashes[1].hash = SubtreeHash::Unproven),
        ),
        ("data/0: directory 1: its Metadata hash is not", with_directories(|d| d[2].metadata = SubtreeHash::Unproven)),
        ("the totals or root hashes at the end", with_end(|end| end.files += 1)),
        ("the totals or root hashes at the end", with_end(|end| end.directories -= 1)),
        ("the totals or root hashes at the end", with_end(|end| end.metadata = None)),
        ("the totals or root hashes at the end", with_end(|end| end.content = Some([1; 32]))),
        (
            "data/0: directory 2: the sums of files or bytes",
            with_directories(|d| {
                d[2].bytes = u64::MAX;
                d[3].bytes = u64::MAX;
            }),
        ),
        ("data/0: directory 3: its name does not come after", with_directories(|d| d.swap(2, 3))),
        ("data/0: directory 2: its parent is not", with_directories(|d| d[2].parent.0 = 9)),
        ("data/0: another number of directories than announced", with_root(-1)),
        ("data/0: another number of directories than announced", with_root(1)),
        ("data/0: 16777217 directories are more than", with_root((1 << 24) - 3)),
        ("a content hash of a directory that does not exist, or a second", with_contents(|h| h.push(h[0].clone()))),
        (
            "a content hash of a directory that does not exist",
            with_contents(|h| h.push(FinishedDirectory { directory: DirectoryIndex(4), ..h[0].clone() })),
        ),
        ("the stream ended without the content hash of 1 dir", with_contents(|hashes| hashes.truncate(3))),
        ("a hello frame came where it has no place", changed(&truth, |frames| frames.insert(1, frames[0].clone()))),
        (
            "a provenance frame came where it has no place",
            changed(&truth, |frames| {
                let at = find(frames, |frame| matches!(frame, ManifestFrame::Provenance(_)));
                frames.insert(at, frames[at].clone());
            }),
        ),
        (
            "a end frame came where it has no place",
            changed(&truth, |frames| frames.retain(|frame| !matches!(frame, ManifestFrame::Provenance(_)))),
        ),
        ("a root frame came where it has no place", changed(&truth, |frames| drop(frames.remove(0)))),
        ("a content frame came where it has no place", {
            changed(&truth, |frames| frames.insert(1, frames[find(frames, is_content)].clone()))
        }),
        ("a end frame came where it has no place", {
            changed(&truth, |frames| frames.insert(1, frames.last().unwrap().clone()))
        }),
        ("the roots are unknown, out of order", {
            changed(&truth, |frames| frames.insert(1, frames[find(frames, is_root)].clone()))
        }),
        ("a frame is damaged: a name is not valid", instead_of_directories(&truth, &forged(".."))),
        ("a frame is damaged: the columns of a", instead_of_directories(&truth, &forged("a/b"))),
        ("a frame has unknown flags 0x07", instead_of_directories(&truth, &raw_frame(7, b"x"))),
        ("a frame is damaged", instead_of_directories(&truth, &raw_frame(0, &[99]))),
        ("a frame is empty", instead_of_directories(&truth, &[0; 4])),
        ("a frame is announced as longer", instead_of_directories(&truth, &(2u32 << 30).to_le_bytes())),
        ("a frame does not unpack", {
            let bomb = zstd::bulk::compress(&vec![0; 4 * MAX_FRAME_BYTES], 19).unwrap();
            instead_of_directories(&truth, &raw_frame(1, &bomb))
        }),
    ];
    for (text, body) in lies {
        let before = faced.source.asked().len();
        faced.source.script(move |asked| match asked.starts_with("POST") {
            true => Answer::manifest(body.clone(), Ending::Clean),
            false => Answer::new(204, "text/plain", ""),
        });
        faced.fails_with(&format!(" broke the protocol: {text}")).await;
        let posts = faced.source.asked()[before..].iter().filter(|asked| asked.starts_with("POST")).count();
        assert_eq!(posts, 1, "a lie is not asked for again: {text}");
    }
}

/// The files of one planted table at the source, as it would send them.
pub fn entries(faced: &Faced, table: &str) -> Vec<FileEntry> {
    let path = faced.trees.path().join("source/data/ks").join(table);
    let mut entries: Vec<FileEntry> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            let modified = metadata.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
            let digest = Blake3Digest(*blake3::hash(&std::fs::read(entry.path()).unwrap()).as_bytes());
            let (size, modified_ms) = (metadata.len(), modified.as_millis() as i64);
            let listed = Listed::File { size, modified_ms, content: Content::Digest(digest) };
            FileEntry { name: Name::new(entry.file_name().as_encoded_bytes()).unwrap(), listed }
        })
        .collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_that_do_not_fit_the_manifest_break_the_protocol() {
    let faced = Faced::start().await;
    let manifest = bytes_of(&faced.pair.true_frames().await);
    let (first, second) = (entries(&faced, "table-0000"), entries(&faced, "table-0001"));
    let files = |position: u32, files: &[FileEntry]| BranchFrame::Files(position, encode_block(files));
    let read = |directory: u32, name: &str| {
        let outcome = ReadOutcome::Digests(Blake3Digest([0; 32]), vec![0; 16]);
        BranchFrame::Read(FileRead { directory, name: name.as_bytes().to_vec(), outcome })
    };
    let name = "nb-0-big-Data.db";
    let honest = [files(0, &first), files(1, &second), BranchFrame::FilesEnd];
    let then = |frames: &[BranchFrame]| [&honest[..], frames].concat();
    let mut other_content = first.clone();
    let Listed::File { content, .. } = &mut other_content[0].listed else { panic!("no file") };
    *content = Content::Digest(Blake3Digest([3; 32]));
    let does_not_fit = "the entries of directory \"ks/table-0000\" do not fit what it said before";
    let lies = [
        (does_not_fit, vec![files(0, &other_content), files(1, &second), BranchFrame::FilesEnd]),
        (does_not_fit, vec![files(0, &first[1..]), files(1, &second), BranchFrame::FilesEnd]),
        (does_not_fit, vec![BranchFrame::FilesEnd]),
        ("files out of order", vec![files(0, &first[1..]), files(0, &first[..1])]),
        ("more files in a directory than it said before", {
            let extra = FileEntry { name: Name::new(b"zz").unwrap(), ..first[0].clone() };
            vec![files(0, &first), files(0, &[extra])]
        }),
        ("files of a directory nobody asked for", vec![files(2, &first)]),
        ("a frame came where it has no place", vec![files(0, &first), BranchFrame::End]),
        ("a frame came where it has no place", vec![read(0, name)]),
        ("a file was read that is not in its directory", then(&[read(0, "nb-9-big-Data.db")])),
        ("a file was read that is not in its directory", then(&[read(2, name)])),
        ("a file was read a second time twice", then(&[read(0, name), read(0, name)])),
        ("a name that is none", then(&[read(0, "..")])),
    ];
    for (text, frames) in lies {
        let (manifest, branches) = (manifest.clone(), Answer::branches(&frames));
        faced.source.script(move |asked| match asked.ends_with("/branches") {
            true => branches.clone(),
            false => Answer::manifest(manifest.clone(), Ending::Clean),
        });
        faced.fails_with(&format!(" broke the protocol: {text}")).await;
    }
    // The same frames without a lie are an answer, though it breaks off.
    let (manifest, branches) = (manifest.clone(), Answer::branches(&honest));
    faced.source.script(move |asked| match asked.ends_with("/branches") {
        true => branches.clone(),
        false => Answer::manifest(manifest.clone(), Ending::Clean),
    });
    faced.fails_with(": the exchange was interrupted: the stream stopped before its end (gave up after 3").await;
}
