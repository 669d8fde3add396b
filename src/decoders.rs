//! Every decoder of bytes from outside behind one door, for the fuzz targets of `fuzz/` and the test that feeds them their
//! corpus. No part of the program: compiled for unit tests and with the feature `fuzzing` alone.
//!
//! Each takes any bytes. It panics where what it decodes breaks a promise: that a value that was read is written and read
//! again as the same one, that a manifest that passes every check agrees with itself, that no path leads out of its root; and where a
//! temporary file cannot be made, since a target that checks nothing must not pass.

use std::io::Write as _;
use std::path::Path;

use bytes::Bytes;

use crate::checksums::{self, Reading};
use crate::config::Config;
use crate::exclude::Rules;
use crate::manifest::{
    Comparand as _, Depth, DiffError, HashKind, Identity, Manifest, ManifestFile, decode_block, diff, encode_block,
};
use crate::model::{ChecksumAlgorithm, ContentDigest, FileUrl, RelPath, RootId};
use crate::peer::{Allowance, Assembly, of_frame, read_listing};
use crate::protocol::{
    BranchFrame, BranchRequest, FrameDecoder, MAX_BRANCH_REQUEST_BYTES, ManifestFrame, ReportBody, routes,
};
use crate::server::request_path;
use crate::store::{PageTable, Pages, Place, record, unpack};

/// Takes whatever bytes.
pub type Decoder = fn(&[u8]);

/// All of them, by the names of the fuzz targets and of the folders of their corpus.
pub const ALL: [(&str, Decoder); 13] = [
    ("block", block),
    ("branch_answer", branch_answer),
    ("branch_request", branch_request),
    ("checksum_list", checksum_list),
    ("configuration", configuration),
    ("exclusion_pattern", exclusion_pattern),
    ("listing", listing),
    ("manifest_file", manifest_file),
    ("manifest_sealed", manifest_sealed),
    ("manifest_stream", manifest_stream),
    ("report", report),
    ("request_path", request_path_of),
    ("store_record", store_record),
];

/// The files of a directory, as a manifest file, a branch request and a branch answer hold them.
pub fn block(bytes: &[u8]) {
    if let Ok(files) = decode_block(bytes) {
        assert!(files.is_sorted_by(|a, b| a.name < b.name));
        let again = decode_block(&encode_block(&files));
        assert!(again.is_ok_and(|again| again == files), "what was read is written as something else");
    }
}

/// A source's answer to a branch request: frames.
pub fn branch_answer(bytes: &[u8]) {
    frames::<BranchFrame>(bytes, |frame| {
        if let BranchFrame::Files(_, files) = frame {
            block(&files);
        }
        true
    });
}

/// A destination's branch request.
pub fn branch_request(bytes: &[u8]) {
    if bytes.len() > MAX_BRANCH_REQUEST_BYTES {
        return;
    }
    if let Ok(request) = BranchRequest::decode(&Bytes::copy_from_slice(bytes)) {
        request.directories.iter().filter_map(|asked| asked.leaves.as_ref()).for_each(|leaves| block(leaves));
        let again = BranchRequest::decode(&request.encode().into());
        assert!(again.is_ok_and(|again| again == request), "what was read is written as something else");
    }
}

/// A checksum list of whatever kind. What its lines say of BLAKE3 and SHA-256 is written as the same.
pub fn checksum_list(bytes: &[u8]) {
    for algorithm in [None, Some(ChecksumAlgorithm::Sha256), Some(ChecksumAlgorithm::Blake3)] {
        let reading = Reading { algorithm, prefix: None, file_name: "list" };
        let Ok(list) = checksums::read(bytes, &reading) else { continue };
        assert!(list.files().is_sorted_by(|a, b| a.path < b.path));
        list.files().iter().for_each(|file| stays_below_its_root(&file.path));
        let Some(algorithm) = algorithm else { continue };
        let values = list.files().iter().filter_map(|file| Some((&file.path, list.digest(&file.path, algorithm)?)));
        let values: Vec<(&RelPath, ContentDigest)> = values.collect();
        let written: Vec<u8> = values.iter().flat_map(|(path, digest)| checksums::write_line(digest, path)).collect();
        let again = checksums::read(&written, &reading);
        let again =
            again.as_ref().map(|again| again.files().iter().map(|file| (&file.path, file.digests[0])).collect());
        assert_eq!(again, Ok(values), "what was read is written as something else");
    }
}

/// A `sidecar.yaml`.
pub fn configuration(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Config::parse(text, Path::new("sidecar.yaml"), Some(Path::new("/home/somebody")));
    }
}

/// An exclusion pattern, and in the line below it a path it is asked about.
pub fn exclusion_pattern(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (pattern, path) = text.split_once('\n').unwrap_or((text, "ks/t/nb-1-big-Data.db"));
    let pattern = [pattern.to_owned()];
    let Ok(rules) = Rules::compile(&pattern, &pattern) else { return };
    let Ok(rules) = rules.for_root(RootId::DATA_0, Path::new("/var/lib/cassandra/data")) else { return };
    if let Ok(path) = RelPath::new(path.as_bytes()) {
        let asked = [rules.excludes_file(&path), rules.excludes_directory(&path)];
        assert_eq!(asked[0], asked[1], "the same pattern for both");
    }
}

/// A source's listing by the per-file protocol.
pub fn listing(bytes: &[u8]) {
    let Ok(listing) = read_listing(bytes, Allowance::new(256 << 20).hold()) else { return };
    let identity = Identity::new(String::new(), String::new(), 0, &Rules::none());
    let Ok(manifest) = Manifest::of_listed(identity, listing.roots) else { return };
    agrees_with_itself(diff(&manifest, &manifest, Depth::Metadata));
}

/// A manifest file, as it is.
pub fn manifest_file(bytes: &[u8]) {
    let Ok(mut file) = tempfile::NamedTempFile::new() else { return };
    if file.write_all(bytes).is_err() {
        return;
    }
    let Ok(manifest) = ManifestFile::open(file.path()) else { return };
    for kind in [HashKind::Metadata, HashKind::Content] {
        let _ = manifest.instance_hash(kind);
    }
    for (id, table) in manifest.tables() {
        for index in table.into_iter().flat_map(|table| table.indices()) {
            let _ = manifest.open(id, index);
        }
    }
    let compared = diff(&manifest, &manifest, Depth::Content);
    if manifest.check_all().is_ok() {
        assert!(compared.is_ok(), "a manifest that passes every check cannot be compared");
        agrees_with_itself(compared);
    }
}

/// A manifest file whose sections are given the checksums they must have, so that what they hold is looked at.
pub fn manifest_sealed(bytes: &[u8]) {
    let mut sealed = bytes.to_vec();
    let mut at = HEAD;
    while let Some(length) = sealed.get(at + 4..at + SECTION_HEAD) {
        let length = length.try_into().map_or(u64::MAX, u64::from_le_bytes);
        let Some(end) = usize::try_from(length).ok().and_then(|length| (at + SECTION_HEAD).checked_add(length)) else {
            break;
        };
        let Some(section) = sealed.get(at..end) else { break };
        let mut checksum = blake3::Hasher::new_derive_key("twintree 2026-11-23 manifest section checksum v1");
        let checksum = *checksum.update(section).finalize().as_bytes();
        let Some(place) = sealed.get_mut(end..end + checksum.len()) else { break };
        place.copy_from_slice(&checksum);
        at = end + checksum.len();
    }
    manifest_file(&sealed);
}

/// Magic and version.
const HEAD: usize = 12;

/// Tag and length of a section.
const SECTION_HEAD: usize = 12;

/// A source's manifest stream: frames, put together to a manifest within what one source may make us hold.
pub fn manifest_stream(bytes: &[u8]) {
    let (mut assembly, mut held) = (Assembly::default(), Allowance::new(256 << 20).hold());
    frames::<ManifestFrame>(bytes, |frame| held.take(of_frame(&frame)).is_ok() && assembly.accept(frame).is_ok());
}

/// A report as the command line reads it from a service, rendered.
pub fn report(bytes: &[u8]) {
    if let Ok(report) = serde_json::from_slice::<ReportBody>(bytes) {
        let _ = crate::report::outcome(&report);
        let _ = (crate::report::csv(&report), crate::report::csv_rows(&report.differences));
        let shown = report.differences.len() as u64;
        let _ = (crate::report::html(&report, "/report", 100, shown), crate::report::html_rows(&report.differences));
        for difference in &report.differences {
            let url = FileUrl::parse(&difference.file_url, difference.path_hex.as_deref());
            url.iter().for_each(|url| stays_below_its_root(&url.path));
        }
    }
}

/// What stands in a request behind the route of files.
pub fn request_path_of(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(target) = request_path(text, |root| root.index < 2) {
        target.readings.iter().flatten().for_each(stays_below_its_root);
    }
    let _ = FileUrl::parse(&format!("{}/{text}", routes::FILES), None);
}

/// A record of the state directory, and a list that stands there: a line of JSON says where its pages are, and may lie. Each page
/// is a record whose check no noise passes, so the bytes are taken as one, and as the body of one that is sealed.
pub fn store_record(bytes: &[u8]) {
    let place = Place { owner: "owner", kind: PAGE_RECORD, position: 0 };
    if let Ok((body, rest)) = unpack(place, bytes) {
        assert_eq!(
            bytes[..bytes.len() - rest.len()],
            record(place, body),
            "what was read is written as something else"
        );
    }
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (table, body) = bytes.split_at(line);
    let sealed = record(place, body);
    assert_eq!(unpack(place, &sealed), Ok((body, &[][..])));
    if let Ok(table) = serde_json::from_slice::<PageTable>(table) {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(&sealed).expect("room for a temporary file");
        let (pages, items) = (Pages::in_file("owner".to_owned(), table.clone(), file), table.items);
        for (offset, limit) in [(0, u64::MAX), (1, 1), (items / 2, 10), (items, 1)] {
            let _ = pages.read(offset, limit);
        }
    }
}

/// What the records of a list's pages say they are.
const PAGE_RECORD: u8 = 2;

fn stays_below_its_root(path: &RelPath) {
    assert!(path.names().all(|name| !matches!(name, b"" | b"." | b"..")), "{path} leads out");
}

fn agrees_with_itself(compared: Result<crate::model::Outcome, DiffError>) {
    let contradicts = matches!(compared, Err(DiffError::Contradiction { .. }));
    assert!(!contradicts, "a manifest contradicts itself");
    if let Ok(outcome) = compared {
        let other = outcome.counters.metadata_mismatches + outcome.counters.digest_mismatches;
        assert_eq!(other, 0, "a manifest is not what it is");
    }
}

/// Decodes the bytes in pieces of 1 to 1024 bytes, and hands on each frame as long as they are wanted.
fn frames<F: crate::protocol::Frame>(bytes: &[u8], mut wanted: impl FnMut(F) -> bool) {
    let mut decoder = FrameDecoder::default();
    let size = bytes.first().map_or(1, |first| 1 + usize::from(*first) * 4);
    for piece in bytes.chunks(size) {
        decoder.push(piece);
        while let Ok(Some(frame)) = decoder.decode() {
            if !wanted(frame) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::PathBuf;
    use std::process::Command;

    fn corpus() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
    }

    fn names(folder: &Path) -> BTreeSet<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn each_decoder_takes_its_corpus() {
        let decoders: BTreeSet<String> = ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names(&corpus()), decoders, "a folder for each decoder, and none besides");
        let targets = names(&corpus().join("../fuzz_targets"));
        assert_eq!(targets, decoders.iter().map(|name| format!("{name}.rs")).collect());
        for (name, decode) in ALL {
            let files = names(&corpus().join(name));
            assert!((3..=60).contains(&files.len()), "{name} has {} files", files.len());
            for file in files {
                let bytes = fs::read(corpus().join(name).join(&file)).unwrap();
                assert!(bytes.len() <= 16 << 10, "{name}/{file} is no small file");
                decode(&bytes);
            }
        }
    }

    /// The address space is limited: a decoder that believed a length would die of it.
    #[test]
    fn each_decoder_takes_its_corpus_in_little_memory() {
        let this = std::env::current_exe().unwrap();
        let test = "decoders::tests::each_decoder_takes_its_corpus";
        let limited = format!("ulimit -v 600000; exec {this:?} --exact {test} --test-threads=1");
        let output = Command::new("sh").args(["-c", &limited]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
