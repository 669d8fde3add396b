//! What all renderings say in the same words.

use super::units::time_utc;
use crate::model::{Counters, EntryKind, FileUrl, Provenance, printable};
use crate::protocol::{DifferenceBody, EvidenceBody};

/// The counters with their names, in the order in which they are shown.
pub(super) fn counters(c: &Counters) -> [(u64, &'static str); 7] {
    [
        (c.metadata_matched, "metadata matched"),
        (c.files_matched, "files matched"),
        (c.files_not_found_at_source, "missing at the source"),
        (c.files_not_found_at_destination, "missing at the destination"),
        (c.metadata_mismatches, "metadata mismatches"),
        (c.digest_mismatches, "digest mismatches"),
        (c.digest_verification_failures, "could not be verified"),
    ]
}

/// Where what is known came from; only what there is.
pub(super) fn provenance(from: &Provenance) -> String {
    let bytes = [
        (from.page_cache_bytes, "from the page cache"),
        (from.media_bytes, "from the media"),
        (from.direct_bytes, "from the media, around the page cache"),
        (from.unknown_bytes, "from the file system"),
    ];
    let bytes = bytes.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} bytes {what}"));
    let files = [
        (from.linked_files, from.linked_bytes, "are further names of those"),
        (from.trusted_files, from.trusted_bytes, "trusted from earlier reads"),
    ];
    let files = files.iter().filter(|(count, ..)| *count > 0);
    let files = files.map(|(count, bytes, what)| format!("{count} files ({bytes} bytes) {what}"));
    let audited = (from.audited_files > 0).then(|| format!("{} recorded digests audited", from.audited_files));
    let unrecordable = (from.unrecordable_files > 0)
        .then(|| format!("digests of {} files not to be recorded", from.unrecordable_files));
    let reads = (from.reads_in_flight > 0).then(|| format!("up to {} reads in flight", from.reads_in_flight));
    bytes.chain(reads).chain(files).chain(audited).chain(unrecordable).collect::<Vec<_>>().join(", ")
}

/// Root and path, without the prefix that all file URLs share; the exact bytes where the text does not have them.
pub(super) fn name(difference: &DifferenceBody) -> String {
    match (FileUrl::parse(&difference.file_url, difference.path_hex.as_deref()), &difference.path_hex) {
        (Some(url), Some(hex)) => format!("{url} (path bytes {hex})"),
        (Some(url), None) => url.to_string(),
        // Not what a twintree says; it is shown as it came.
        (None, _) => printable(&difference.file_url).into_owned(),
    }
}

/// What one side knows of an entry, in a line.
pub(super) fn evidence_words(evidence: &EvidenceBody) -> String {
    let mut parts = Vec::new();
    match evidence.file_type {
        Some(EntryKind::Directory) => parts.push("directory".to_owned()),
        Some(EntryKind::File) => {}
        None => parts.push("not known".to_owned()),
    }
    parts.extend(evidence.size.map(|size| format!("{size} bytes")));
    parts.extend(evidence.last_modified_time.map(time_utc));
    parts.extend(evidence.digests.iter().map(|(algorithm, text)| format!("{algorithm} {text}")));
    printable(&parts.join("  ")).into_owned()
}
