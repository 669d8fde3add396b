//! Recorded bytes of everything that crosses the network between two services. They are kept for ever: what is added later
//! comes as new fields, columns and frames, and a change of these bytes is a new protocol version.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use twintree::manifest::{
    Directory, DirectoryIndex, DirectoryTable, Identity, Reader, SubtreeHash, Writer, decode_block, encode_block,
};
use twintree::model::{Blake3Digest, Content, FileEntry, Listed, Name, Problem, Provenance, Reason, Selection};
use twintree::protocol::{
    BranchDirectory, BranchFrame, BranchRequest, End, FileRead, FinishedDirectory, Frame, FrameDecoder, Hello,
    MAX_FRAME_BYTES, ManifestFrame, ManifestRequest, ProgressFrame, ReadOutcome, RootFrame, SourceFailure,
    encode_frame,
};

/// From name to bytes, as they were recorded.
fn recorded() -> BTreeMap<&'static str, Vec<u8>> {
    let lines = include_str!("../data/wire-v3.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, bytes) = line.split_once(": ").unwrap();
            (name, hex::decode(bytes).unwrap())
        })
        .collect()
}

/// The frame has the recorded bytes, and what they decode to has them too.
fn is_recorded<F: Frame>(name: &str, frame: &F) {
    let bytes = encode_frame(frame);
    assert_eq!(hex::encode(&bytes), recorded().get(name).map(hex::encode).unwrap_or_default(), "{name}");
    let mut decoder = FrameDecoder::default();
    decoder.push(&bytes);
    let decoded: F = decoder.decode().unwrap().unwrap();
    assert_eq!(encode_frame(&decoded), bytes, "{name}");
}

fn files() -> Vec<FileEntry> {
    let entry = |name: &[u8], listed| FileEntry { name: Name::new(name).unwrap(), listed };
    let problem = Problem::new(Reason::Vanished, "x");
    let digest = Content::Digest(Blake3Digest([0xaa; 32]));
    vec![
        entry(b"a", Listed::File { size: 300, modified_ms: -1, content: digest }),
        entry(b"b", Listed::Unlistable(problem)),
    ]
}

fn identity(selection: Option<Selection>) -> Identity {
    Identity {
        host: "h".to_owned(),
        instance: "i".to_owned(),
        created_ms: 1,
        program: "p".to_owned(),
        rules: [0xbb; 32],
        file_patterns: vec!["f".to_owned()],
        directory_patterns: vec![],
        selection,
    }
}

/// Every frame of a manifest stream, by name.
fn manifest_frames() -> Vec<(&'static str, ManifestFrame)> {
    let hello = |selection| Hello { protocol_version: 3, manifest_id: [0xcc; 16], identity: identity(selection) };
    let selection = Selection::parse(&["ks".to_owned(), "shop.orders".to_owned()]).unwrap();
    let progress = ProgressFrame { files_total: 250, bytes_total: 251, files_hashed: 1 << 16, bytes_hashed: 1 << 32 };
    let directory = Directory {
        parent: DirectoryIndex(2),
        name: Some(Name::new(b"ks").unwrap()),
        link: false,
        files: 3,
        bytes: 4,
        metadata: SubtreeHash::Proven(Blake3Digest([0xdd; 32])),
        unlisted: None,
    };
    let root = Directory { parent: DirectoryIndex(0), name: None, ..directory.clone() };
    let link = Directory { name: Some(Name::new(b"l").unwrap()), link: true, files: 0, bytes: 0, ..directory.clone() };
    let unlisted = Directory {
        metadata: SubtreeHash::Unproven,
        unlisted: Some(Problem::new(Reason::Unreadable, "no")),
        ..directory.clone()
    };
    let finished = |root, directory, hash, problem| FinishedDirectory {
        root,
        directory: DirectoryIndex(directory),
        hash,
        problem,
    };
    let content = vec![
        finished(0, 5, SubtreeHash::Proven(Blake3Digest([0xee; 32])), None),
        finished(1, 6, SubtreeHash::Unproven, None),
        finished(1, 7, SubtreeHash::Unproven, Some(Problem::new(Reason::ChangedWhileReading, "moved"))),
    ];
    let provenance = Provenance {
        page_cache_bytes: 1,
        media_bytes: 2,
        direct_bytes: 3,
        unknown_bytes: 4,
        linked_files: 5,
        linked_bytes: 6,
        trusted_files: 7,
        trusted_bytes: 8,
        audited_files: 300,
        unrecordable_files: 0,
        reads_in_flight: 0,
    };
    let end = End { files: 1, directories: 2, bytes: 3, metadata: Some([0x11; 32]), content: None };
    let failure = SourceFailure { code: "c".to_owned(), message: "m".to_owned() };
    let head = |directory_type, index, directories| RootFrame { directory_type, index, directories };
    vec![
        ("hello", ManifestFrame::Hello(hello(None))),
        ("hello of a selection", ManifestFrame::Hello(hello(Some(selection)))),
        ("progress", ManifestFrame::Progress(progress)),
        ("absent root", ManifestFrame::Root(head(1, 300, None))),
        ("root", ManifestFrame::Root(head(0, 0, Some(7)))),
        ("directories", ManifestFrame::Directories(vec![root, directory, link, unlisted])),
        ("metadata end", ManifestFrame::MetadataEnd),
        ("content", ManifestFrame::Content(content)),
        ("provenance", ManifestFrame::Provenance(provenance)),
        ("end", ManifestFrame::End(end)),
        ("error", ManifestFrame::Error(failure)),
    ]
}

/// Every frame of a branch stream, by name.
fn branch_frames() -> Vec<(&'static str, BranchFrame)> {
    let read = |outcome| BranchFrame::Read(FileRead { directory: 4, name: b"a".to_vec(), outcome });
    let failure = SourceFailure { code: "c".to_owned(), message: "m".to_owned() };
    vec![
        ("branch files", BranchFrame::Files(4, encode_block(&files()))),
        ("branch files end", BranchFrame::FilesEnd),
        ("branch read", read(ReadOutcome::Digests(Blake3Digest([0x22; 32]), vec![1, 2, 3, 4]))),
        ("branch read problem", read(ReadOutcome::Problem(Problem::new(Reason::ChangedWhileReading, "x")))),
        ("branch progress", BranchFrame::Progress(300)),
        ("branch end", BranchFrame::End),
        ("branch error", BranchFrame::Error(failure)),
    ]
}

fn branch_requests() -> [(&'static str, BranchRequest); 2] {
    let directory = |leaves| BranchDirectory { root: 0, directory: 9, leaves };
    let leaves = Some(Bytes::from(encode_block(&files())));
    let algorithm = Some("MD5".to_owned());
    [
        ("branch request", BranchRequest { directories: vec![directory(None)], algorithm: None, last: true }),
        ("branch request with leaves", BranchRequest { directories: vec![directory(leaves)], algorithm, last: false }),
    ]
}

#[test]
fn frames_of_a_manifest_stream_are_recorded() {
    manifest_frames().iter().for_each(|(name, frame)| is_recorded(name, frame));
}

#[test]
fn frames_of_a_branch_stream_are_recorded() {
    branch_frames().iter().for_each(|(name, frame)| is_recorded(name, frame));
}

#[test]
fn branch_requests_are_recorded() {
    for (name, request) in branch_requests() {
        assert_eq!(hex::encode(request.encode()), hex::encode(&recorded()[name]), "{name}");
        assert_eq!(BranchRequest::decode(&request.encode().into()).unwrap(), request);
    }
}

/// A block crosses the wire as it stands in a manifest file.
#[test]
fn the_block_on_the_wire_is_the_block_of_a_file() {
    let frame = &recorded()["branch files"];
    let block = encode_block(&files());
    assert!(frame.windows(block.len()).any(|window| window == block));
    assert_eq!(decode_block(&block).unwrap(), files());
}

#[test]
fn a_manifest_request_is_this_json_and_unknown_fields_are_ignored() {
    let request = ManifestRequest {
        lowest_version: 3,
        highest_version: 3,
        roots: None,
        rules_fingerprint: Some("ab".to_owned()),
        keyspaces: None,
        task: None,
        max_concurrency: 4,
        resume: None,
    };
    let text = r#"{"lowestVersion":3,"highestVersion":3,"roots":null,"rulesFingerprint":"ab","maxConcurrency":4,"resume":null}"#;
    assert_eq!(serde_json::to_string(&request).unwrap(), text);
    let more = r#"{"later":[1],"lowestVersion":3,"highestVersion":3,"maxConcurrency":4,"rulesFingerprint":"ab"}"#;
    assert_eq!(serde_json::from_str::<ManifestRequest>(more).unwrap(), request);
}

#[test]
fn a_large_frame_is_packed_and_comes_back() {
    let one = FinishedDirectory { root: 0, directory: DirectoryIndex(1), hash: SubtreeHash::Unproven, problem: None };
    let frame = encode_frame(&ManifestFrame::Content(vec![one; 5000]));
    assert_eq!(frame[4], 1, "flags: zstd");
    assert!(frame.len() < 1000);
    let mut decoder = FrameDecoder::default();
    decoder.push(&frame);
    let Some(ManifestFrame::Content(finished)) = decoder.decode().unwrap() else { panic!("no content") };
    assert_eq!(finished.len(), 5000);
}

/// Whatever comes, decoding ends in values, in a wait for more, or in an error; and so does checking the values.
fn decodes_without_panic_impl(bytes: &[u8], piece: usize) {
    fn drain<F: Frame>(bytes: &[u8], piece: usize, check: impl Fn(F)) {
        let mut decoder = FrameDecoder::default();
        for piece in bytes.chunks(piece) {
            decoder.push(piece);
            loop {
                match decoder.decode::<F>() {
                    Ok(Some(value)) => check(value),
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
        }
    }
    drain(bytes, piece, |frame| {
        let ManifestFrame::Directories(directories) = frame else { return };
        let Ok(table) = DirectoryTable::new(directories) else { return };
        let _ = table.check_hashes_without_files(None, |_| false);
    });
    drain(bytes, piece, |frame| {
        if let BranchFrame::Files(_, block) = frame {
            let _ = decode_block(&block);
        }
    });
    if let Ok(request) = BranchRequest::decode(&Bytes::copy_from_slice(bytes)) {
        request.directories.into_iter().filter_map(|asked| asked.leaves).for_each(|block| drop(decode_block(&block)));
    }
}

/// A sound stream of either kind with every frame there is, one frame of the first packed; and a request.
fn streams() -> [Vec<u8>; 3] {
    let one = FinishedDirectory { root: 0, directory: DirectoryIndex(1), hash: SubtreeHash::Unproven, problem: None };
    let packed = encode_frame(&ManifestFrame::Content(vec![one; 100]));
    let manifest = manifest_frames().iter().flat_map(|(_, frame)| encode_frame(frame)).collect::<Vec<_>>();
    let branches = branch_frames().iter().flat_map(|(_, frame)| encode_frame(frame)).collect();
    [[&packed[..], &manifest].concat(), branches, branch_requests()[1].1.encode()]
}

/// A record with a field that no version has yet, skippable.
fn with_later_field(record: &[u8]) -> Vec<u8> {
    let mut fields = Reader::<MAX_FRAME_BYTES>::new(record).unwrap();
    let mut out = Writer::default().with(777, "a fact of a later version");
    for tag in 0..2000 {
        if let Some(bytes) = fields.optional_bytes(tag).unwrap() {
            out = out.with_bytes(tag, bytes);
        }
    }
    out.finish()
}

/// A frame as a later version would send it: with one more field, after a frame of a kind that no version has yet.
pub fn as_sent_later<F: Frame>(frame: &F) -> Vec<u8> {
    let plain = |record: Vec<u8>| [&(record.len() as u32 + 1).to_le_bytes()[..], &[0], &record].concat();
    let (kind, fields) = frame.write();
    let unknown = Writer::default().with(0, &888_u32).with(1, "a frame of a later version").finish();
    [plain(unknown), plain(with_later_field(&fields.with(0, &kind).finish()))].concat()
}

#[test]
fn what_a_later_version_adds_is_skipped() {
    let mut decoder = FrameDecoder::default();
    for (name, frame) in manifest_frames() {
        decoder.push(&as_sent_later(&frame));
        let decoded: ManifestFrame = decoder.decode().unwrap().unwrap();
        assert_eq!(encode_frame(&decoded), encode_frame(&frame), "{name}");
    }
    for (name, frame) in branch_frames() {
        decoder.push(&as_sent_later(&frame));
        assert_eq!(decoder.decode::<BranchFrame>().unwrap().as_ref(), Some(&frame), "{name}");
    }
    for (_, request) in branch_requests() {
        assert_eq!(BranchRequest::decode(&with_later_field(&request.encode()).into()).unwrap(), request);
    }
    assert_eq!(decode_block(&with_later_field(&encode_block(&files()))).unwrap(), files());
}

/// Today's `hello of a selection` is what a program without selections must not take for a whole instance.
#[test]
fn a_selection_must_be_understood() {
    let (kind, fields) = manifest_frames()[1].1.write();
    let bytes = fields.with(0, &kind).finish();
    let mut record = Reader::<MAX_FRAME_BYTES>::new(&bytes).unwrap();
    (0..1000).for_each(|tag| drop(record.optional_bytes(tag).unwrap()));
    assert!(record.finish().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn decodes_without_panic_proptest(
        noise in prop::collection::vec(any::<u8>(), 0..300),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        piece in 1..64_usize,
    ) {
        decodes_without_panic_impl(&noise, piece);
        // Noise as the payload of a plain frame.
        let length = (noise.len() as u32 + 1).to_le_bytes();
        decodes_without_panic_impl(&[&length[..], &[0], &noise].concat(), piece);
        for mut stream in streams() {
            for (at, byte) in &changes {
                let at = at.index(stream.len());
                stream[at] = *byte;
            }
            stream.truncate(cut.index(stream.len() + 1));
            decodes_without_panic_impl(&stream, piece);
        }
    }
}

#[test]
fn decodes_without_panic_cases() {
    for stream in streams() {
        decodes_without_panic_impl(&stream, 1);
        for at in 0..stream.len() {
            for byte in [0, 1, 251, 252, 253, 254, 255, stream[at] ^ 1] {
                let mut changed = stream.clone();
                changed[at] = byte;
                decodes_without_panic_impl(&changed, stream.len());
            }
        }
    }
    decodes_without_panic_impl(&u32::MAX.to_le_bytes(), 4);
    decodes_without_panic_impl(&(MAX_FRAME_BYTES as u32).to_le_bytes(), 4);
}
