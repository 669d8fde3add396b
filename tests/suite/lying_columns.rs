//! Sound records with one lie in them: a column with an element more or less, a count or a length that is not what follows,
//! a column that is missing or stands twice, names out of order. Each is refused, whatever the rest says.

use bytes::Bytes;
use proptest::prelude::*;
use twintree::manifest::{
    Directory, DirectoryIndex, Reader, SubtreeHash, Writer, decode_block, decode_directories, encode_block,
    encode_directories,
};
use twintree::model::{Blake3Digest, Content, FileEntry, Listed, Name, Problem, Reason};
use twintree::protocol::{
    BranchDirectory, BranchRequest, FinishedDirectory, FrameDecoder, MAX_FRAME_BYTES, ManifestFrame, encode_frame,
};

/// What a column holds.
#[derive(Clone, Copy)]
enum Column {
    /// A list; the bytes are one more element.
    List(&'static [u8]),
    /// Raw bytes, so many for each element.
    Raw(usize),
    /// Names joined by `/`.
    Names,
}

type Fields = Vec<(u32, Vec<u8>)>;

fn fields(record: &[u8], tags: impl Iterator<Item = u32>) -> Fields {
    let mut reader = Reader::<MAX_FRAME_BYTES>::new(record).unwrap();
    tags.filter_map(|tag| Some((tag, reader.optional_bytes(tag).unwrap()?))).collect()
}

fn record(fields: &[(u32, Vec<u8>)]) -> Vec<u8> {
    fields.iter().fold(Writer::default(), |record, (tag, bytes)| record.with_bytes(*tag, bytes.clone())).finish()
}

/// Every lie about one column. The lists are short, so that a count is one byte.
fn lies(column: Column, honest: &[u8]) -> Vec<Vec<u8>> {
    match column {
        Column::List(more) => {
            assert!(honest[0] < 250);
            let counted = |count: &[u8], more: &[u8]| [count, &honest[1..], more].concat();
            let huge = |count: u64| counted(&[&[253][..], &count.to_le_bytes()].concat(), &[]);
            let mut lies = vec![
                counted(&[honest[0] + 1], more),
                counted(&[honest[0] + 1], &[]),
                counted(&[honest[0]], more),
                huge(u64::MAX),
                huge(1 << 40),
                huge(u64::from(honest[0]) + 1),
                Vec::new(),
            ];
            lies.extend((honest[0] > 0).then(|| counted(&[honest[0] - 1], &[])));
            lies
        }
        Column::Raw(size) => {
            let mut lies = vec![[honest, &vec![0; size]].concat(), [honest, &[0][..]].concat()];
            lies.extend((!honest.is_empty()).then(|| honest[..honest.len() - 1].to_vec()));
            lies.extend((honest.len() >= size && size > 1).then(|| honest[size..].to_vec()));
            lies
        }
        Column::Names => {
            let more = if honest.is_empty() { b"zz".to_vec() } else { [honest, b"/zz"].concat() };
            let mut lies = vec![more, [honest, b"/"].concat(), [honest, b"/.."].concat()];
            lies.extend(honest.iter().position(|byte| *byte == b'/').map(|at| honest[..at].to_vec()));
            lies
        }
    }
}

/// Tells every lie about every column, and that each is missing or stands twice.
fn each_is_refused(honest: &[(u32, Vec<u8>)], columns: &[(u32, Column)], decodes: impl Fn(&[u8]) -> bool) {
    assert!(decodes(&record(honest)), "the truth is read");
    for (tag, column) in columns {
        let at = honest.iter().position(|(known, _)| known == tag).unwrap();
        for lie in lies(*column, &honest[at].1) {
            let mut told = honest.to_vec();
            told[at].1 = lie.clone();
            assert!(!decodes(&record(&told)), "column {tag}: {lie:?} instead of {:?}", honest[at].1);
        }
        let mut told = honest.to_vec();
        let column = told.remove(at);
        assert!(!decodes(&record(&told)), "without column {tag}");
        told.extend([column.clone(), column]);
        assert!(!decodes(&record(&told)), "column {tag} twice");
    }
}

const PROBLEM: &[u8] = &[1, 2, b'n', b'o'];

fn problem() -> Problem {
    Problem::new(Reason::Unreadable, "no")
}

fn hash(known: bool) -> SubtreeHash {
    if known { SubtreeHash::Proven(Blake3Digest([9; 32])) } else { SubtreeHash::Unproven }
}

fn listed() -> impl Strategy<Value = Listed> {
    (0..4_u8, 0..100_u64, -50..50_i64).prop_map(|(state, size, modified_ms)| {
        let known = |content| Listed::File { size, modified_ms, content };
        match state {
            0 => known(Content::Digest(Blake3Digest([state; 32]))),
            1 => known(Content::NotRead),
            2 => known(Content::Unverified(problem())),
            _ => Listed::Unlistable(problem()),
        }
    })
}

fn names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set("[a-y]{1,3}", 1..6).prop_map(|names| names.into_iter().collect())
}

fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_block_with_one_lie_is_no_block(names in names(), facts in prop::collection::vec(listed(), 5)) {
        let files: Vec<FileEntry> =
            names.iter().zip(facts).map(|(text, listed)| FileEntry { name: name(text), listed }).collect();
        let honest = fields(&encode_block(&files), 1..=6);
        let columns = [
            (1, Column::Names), (2, Column::Raw(1)), (3, Column::List(&[0])), (4, Column::List(&[0])),
            (5, Column::Raw(32)), (6, Column::List(PROBLEM)),
        ];
        each_is_refused(&honest, &columns, |bytes| decode_block(bytes).is_ok());
        let mut backwards = honest.clone();
        let reversed: Vec<&str> = names.iter().rev().map(String::as_str).collect();
        backwards[0].1 = reversed.join("/").into_bytes();
        prop_assert_eq!(decode_block(&record(&backwards)).is_ok(), names.len() == 1);
    }

    #[test]
    fn directories_with_one_lie_are_none(names in names(), facts in prop::collection::vec(any::<[bool; 3]>(), 6)) {
        let directories: Vec<Directory> = names.iter().zip(&facts).map(|(text, [link, known, unlisted])| Directory {
            parent: DirectoryIndex(0),
            name: Some(name(text)),
            link: *link,
            files: 3,
            bytes: 7,
            metadata: hash(*known),
            unlisted: unlisted.then(problem),
        }).collect();
        let honest = fields(&encode_directories(directories.iter(), Writer::default()).finish(), 1..=7);
        let columns = [
            (1, Column::List(&[0])), (2, Column::Names), (3, Column::Raw(1)), (4, Column::List(&[0])),
            (5, Column::List(&[0])), (6, Column::Raw(32)), (7, Column::List(PROBLEM)),
        ];
        each_is_refused(&honest, &columns, |bytes| {
            Reader::<MAX_FRAME_BYTES>::new(bytes).is_ok_and(|mut record| decode_directories(&mut record).is_ok())
        });
    }

    #[test]
    fn content_with_one_lie_is_none(facts in prop::collection::vec(0..3_u8, 1..6)) {
        let finished = (0..).zip(&facts).map(|(at, state)| FinishedDirectory {
            root: 0,
            directory: DirectoryIndex(at),
            hash: hash(*state == 1),
            problem: (*state == 2).then(problem),
        });
        let frame = encode_frame(&ManifestFrame::Content(finished.collect()));
        let plain = match frame[4] {
            0 => frame[5..].to_vec(),
            _ => zstd::bulk::decompress(&frame[5..], MAX_FRAME_BYTES).unwrap(),
        };
        let columns = [
            (1, Column::List(&[0])), (2, Column::List(&[0])), (3, Column::Raw(1)), (4, Column::Raw(32)),
            (5, Column::List(PROBLEM)),
        ];
        each_is_refused(&fields(&plain, 0..=5), &columns, |record| {
            let frame = [&(record.len() as u32 + 1).to_le_bytes()[..], &[0], record].concat();
            let mut decoder = FrameDecoder::default();
            decoder.push(&frame);
            decoder.decode::<ManifestFrame>().is_ok_and(|frame| frame.is_some())
        });
    }

    #[test]
    fn a_branch_request_with_one_lie_is_none(places in prop::collection::vec((any::<u32>(), any::<u32>(), any::<bool>()), 1..6)) {
        let directories = places.into_iter().map(|(root, directory, leaves)| BranchDirectory {
            root,
            directory,
            leaves: leaves.then(|| Bytes::from(encode_block(&[]))),
        });
        let request = BranchRequest { directories: directories.collect(), algorithm: None, last: true };
        let columns = [(1, Column::List(&[0, 0])), (2, Column::List(&[0]))];
        each_is_refused(&fields(&request.encode(), 1..=4), &columns, |bytes| BranchRequest::decode(&Bytes::copy_from_slice(bytes)).is_ok());
    }
}
