//! What all renderings say in the same words.

use super::units::{printable, time_utc};
use crate::model::{Counters, EntryKind, Provenance};
use crate::protocol::{DifferenceBody, EvidenceBody, TaskState};

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

/// What a state amounts to, in a sentence; `trusted`: some files were not read in this run.
pub(super) fn headline(state: TaskState, counters: &Counters, message: Option<&str>, trusted: bool) -> String {
    let Counters { files_matched, metadata_matched, .. } = counters;
    match (state, message) {
        (TaskState::Completed, _) if *files_matched == 0 => "there was not a single file to compare".to_owned(),
        (TaskState::Completed, _) if trusted => format!(
            "equal, trusting digests of earlier reads; {files_matched} files, {metadata_matched} entries in all"
        ),
        (TaskState::Completed, _) => format!("equal; {files_matched} files proven, {metadata_matched} entries in all"),
        (_, Some(message)) => printable(message),
        (TaskState::Failed, None) => "not proven equal".to_owned(),
        (state, None) => state.to_string(),
    }
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
    bytes.chain(files).chain(audited).collect::<Vec<_>>().join(", ")
}

/// Root and path, without the prefix that all file URLs share; the exact bytes where the text does not have them.
pub(super) fn name(difference: &DifferenceBody) -> String {
    let url = &difference.file_url;
    let short = url.strip_prefix("/api/v1/live-migration/files/").unwrap_or(url);
    match &difference.path_hex {
        Some(hex) => format!("{} (path bytes {hex})", printable(short)),
        None => printable(short),
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
    printable(&parts.join("  "))
}
