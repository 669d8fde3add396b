//! Recorded bytes of everything that crosses the network between two services: a change here is a new protocol version.

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use twintree::manifest::{
    Directory, DirectoryIndex, DirectoryRecord, DirectoryTable, FileRecords, Identity, SubtreeHash,
};
use twintree::model::{Blake3Digest, Content, FileEntry, Listed, Name, Problem, Provenance, Reason, Selection};
use twintree::protocol::{
    BranchDirectory, BranchFrame, BranchRequest, End, FileRead, FrameDecoder, Hello, MAX_FRAME_BYTES, ManifestFrame,
    ManifestRequest, ProgressFrame, ReadOutcome, RootFrame, SourceFailure, encode_frame,
};

/// The frame has exactly these bytes (hex, spaces between fields), and decodes to the value it was made of.
fn recorded<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T, payload: &str) {
    let payload = payload.replace(' ', "");
    // Length of flags and payload, little-endian; flags 0: not packed.
    let length = hex::encode((payload.len() as u32 / 2 + 1).to_le_bytes());
    let frame = encode_frame(value);
    assert_eq!(hex::encode(&frame), format!("{length}00{payload}"), "{value:?}");
    let mut decoder = FrameDecoder::default();
    decoder.push(&frame);
    assert_eq!(decoder.decode::<T>().unwrap().as_ref(), Some(value));
}

fn files() -> FileRecords {
    let entry = |name: &[u8], listed| FileEntry { name: Name::new(name).unwrap(), listed };
    let problem = Problem::new(Reason::Vanished, "x");
    let digest = Content::Digest(Blake3Digest([0xaa; 32]));
    FileRecords::of(&[
        entry(b"a", Listed::File { size: 300, modified_ms: -1, content: digest }),
        entry(b"b", Listed::Unlistable(problem)),
    ])
}

/// Names `a/b`; states 0 and 3; sizes 300 and 0; times -1 and 0 in zigzag; one digest; one problem.
fn files_hex() -> String {
    format!("03612f62 020003 02fb2c0100 020100 20{} 01020178", "aa".repeat(32))
}

/// Every frame of a manifest stream, and its bytes.
fn manifest_frames() -> Vec<(ManifestFrame, String)> {
    let identity = Identity {
        host: "h".to_owned(),
        instance: "i".to_owned(),
        created_ms: 1,
        program: "p".to_owned(),
        rules: [0xbb; 32],
        file_patterns: vec!["f".to_owned()],
        directory_patterns: vec![],
        selection: None,
    };
    let selection = Selection::parse(&["k.t".to_owned()]).unwrap();
    let restricted = Identity { selection: Some(selection), ..identity.clone() };
    let hello = |identity| ManifestFrame::Hello(Hello { protocol_version: 2, manifest_id: [0xcc; 16], identity });
    let expected =
        |patterns| format!("00 02 {} 0168 0169 02 0170 {} 010166 {patterns}", "cc".repeat(16), "bb".repeat(32));
    let mut frames = vec![
        (hello(identity), expected("00")),
        // "only:k.t"
        (hello(restricted), expected("01 08 6f6e6c793a6b2e74")),
    ];
    let mut frame = |frame, payload: &str| frames.push((frame, payload.to_owned()));

    let progress = ProgressFrame { files_total: 250, bytes_total: 251, files_hashed: 1 << 16, bytes_hashed: 1 << 32 };
    frame(ManifestFrame::Progress(progress), "01 fa fbfb00 fc00000100 fd0000000001000000");
    frame(ManifestFrame::Root(RootFrame { directory_type: 1, index: 300, directories: None }), "02 01 fb2c01 00");
    frame(ManifestFrame::Root(RootFrame { directory_type: 0, index: 0, directories: Some(7) }), "02 00 00 0107");

    let directory = Directory {
        parent: DirectoryIndex(2),
        name: Some(Name::new(b"ks").unwrap()),
        link: false,
        files: 3,
        bytes: 4,
        metadata: SubtreeHash::Proven(Blake3Digest([0xdd; 32])),
        unlisted: None,
    };
    let unlisted = Directory {
        metadata: SubtreeHash::Unproven,
        unlisted: Some(Problem::new(Reason::Unreadable, "no")),
        ..directory.clone()
    };
    let records = [&directory, &unlisted].map(DirectoryRecord::from).to_vec();
    let expected = format!("03 02 02 026b73 00 03 04 01{} 00 02 026b73 00 03 04 00 0100026e6f", "dd".repeat(32));
    frame(ManifestFrame::Directories(records), &expected);

    frame(ManifestFrame::MetadataEnd, "04");
    let content = vec![(0, 5, Some([0xee; 32])), (1, 6, None)];
    frame(ManifestFrame::Content(content), &format!("05 02 00 05 01{} 01 06 00", "ee".repeat(32)));
    let end = End { files: 1, directories: 2, bytes: 3, metadata: Some([0x11; 32]), content: None };
    frame(ManifestFrame::End(end), &format!("06 01 02 03 01{} 00", "11".repeat(32)));
    let failure = SourceFailure { code: "c".to_owned(), message: "m".to_owned() };
    frame(ManifestFrame::Error(failure), "07 0163 016d");
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
    };
    frame(ManifestFrame::Provenance(provenance), "08 01 02 03 04 05 06 07 08 fb2c01");
    frames
}

/// Every frame of a branch stream, and its bytes.
fn branch_frames() -> Vec<(BranchFrame, String)> {
    let read = |outcome| BranchFrame::Read(FileRead { directory: 4, name: ByteBuf::from("a"), outcome });
    let digests = ReadOutcome::Digests([0x22; 32], ByteBuf::from(vec![1, 2, 3, 4]));
    let failure = SourceFailure { code: "c".to_owned(), message: "m".to_owned() };
    vec![
        (BranchFrame::Files(4, files()), format!("00 04 {}", files_hex())),
        (BranchFrame::FilesEnd, "01".to_owned()),
        (read(digests), format!("02 04 0161 00 {} 0401020304", "22".repeat(32))),
        (read(ReadOutcome::Problem(1, "x".to_owned())), "02 04 0161 01 01 0178".to_owned()),
        (BranchFrame::Progress(300), "03 fb2c01".to_owned()),
        (BranchFrame::End, "04".to_owned()),
        (BranchFrame::Error(failure), "05 0163 016d".to_owned()),
    ]
}

#[test]
fn frames_of_a_manifest_stream_are_recorded() {
    manifest_frames().iter().for_each(|(frame, payload)| recorded(frame, payload));
}

#[test]
fn frames_of_a_branch_stream_are_recorded() {
    branch_frames().iter().for_each(|(frame, payload)| recorded(frame, payload));
}

#[test]
fn a_branch_request_is_recorded() {
    let directory = |leaves| BranchDirectory { root: 0, directory: 9, leaves };
    let request = BranchRequest { directories: vec![directory(None)], algorithm: None, last: true };
    recorded(&request, "01 00 09 00 00 01");
    let request =
        BranchRequest { directories: vec![directory(Some(files()))], algorithm: Some("MD5".to_owned()), last: false };
    recorded(&request, &format!("01 00 09 01 {} 01034d4435 00", files_hex()));
}

#[test]
fn a_manifest_request_is_this_json_and_unknown_fields_are_ignored() {
    let request = ManifestRequest {
        protocol_version: 2,
        roots: None,
        rules_fingerprint: Some("ab".to_owned()),
        keyspaces: None,
        task: None,
        max_concurrency: 4,
        resume: None,
    };
    let text = r#"{"protocolVersion":2,"roots":null,"rulesFingerprint":"ab","maxConcurrency":4,"resume":null}"#;
    assert_eq!(serde_json::to_string(&request).unwrap(), text);
    let more = r#"{"later":[1],"protocolVersion":2,"maxConcurrency":4,"rulesFingerprint":"ab"}"#;
    assert_eq!(serde_json::from_str::<ManifestRequest>(more).unwrap(), request);
}

#[test]
fn a_large_frame_is_packed_and_comes_back() {
    let records = vec![(0, 1, None); 5000];
    let frame = encode_frame(&ManifestFrame::Content(records.clone()));
    assert_eq!(frame[4], 1, "flags: zstd");
    assert!(frame.len() < 1000);
    let mut decoder = FrameDecoder::default();
    decoder.push(&frame);
    assert_eq!(decoder.decode::<ManifestFrame>().unwrap(), Some(ManifestFrame::Content(records)));
}

/// Whatever comes, decoding ends in values, in a wait for more, or in an error; and so does checking the values.
fn decodes_without_panic_impl(bytes: &[u8], piece: usize) {
    fn drain<T: DeserializeOwned>(bytes: &[u8], piece: usize, check: impl Fn(T)) {
        let mut decoder = FrameDecoder::default();
        for piece in bytes.chunks(piece) {
            decoder.push(piece);
            loop {
                match decoder.decode::<T>() {
                    Ok(Some(value)) => check(value),
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
        }
    }
    drain(bytes, piece, |frame| {
        let ManifestFrame::Directories(records) = frame else { return };
        let Ok(directories) = records.into_iter().map(Directory::try_from).collect() else { return };
        let Ok(table) = DirectoryTable::new(directories) else { return };
        let _ = table.check_hashes_without_files(None);
    });
    drain(bytes, piece, |frame| {
        if let BranchFrame::Files(_, files) = frame {
            let _ = files.check();
        }
    });
    drain(bytes, piece, |request: BranchRequest| {
        request.directories.into_iter().filter_map(|directory| directory.leaves).for_each(|files| drop(files.check()));
    });
}

/// A sound stream of either kind with every frame there is; one frame of the first is packed.
fn streams() -> [Vec<u8>; 2] {
    let packed = encode_frame(&ManifestFrame::Content(vec![(0, 1, Some([1; 32])); 100]));
    let manifest = manifest_frames().iter().flat_map(|(frame, _)| encode_frame(frame)).collect::<Vec<_>>();
    let branches = branch_frames().iter().flat_map(|(frame, _)| encode_frame(frame)).collect();
    [[&packed[..], &manifest].concat(), branches]
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
