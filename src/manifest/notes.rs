//! What a reader should know besides verdict and counters, in words.

use std::collections::BTreeMap;

use super::causes::causes;
use super::directory::DirectoryIndex;
use super::identity::Identity;
use super::scope::{Described, RootTables};
use super::table::DirectoryTable;
use crate::model::{Provenance, RelPath, RootId, Selection, Side, table_name};

/// What the note begins with that says what either side leaves out, where that is not the same.
const OTHER_RULES: &str = "the two sides leave out different files";

/// Whether a note says what either side leaves out.
pub fn tells_other_rules(note: &str) -> bool {
    note.starts_with(OTHER_RULES)
}

/// Whether a note says that a side has links to directories in a root. It names the first of them alone.
pub fn tells_links(note: &str, side: Side, root: RootId) -> bool {
    note.starts_with(&format!("{root}/")) && note.ends_with(&not_entered(side))
}

fn not_entered(side: Side) -> String {
    format!(" at the {side}: a symbolic link to a directory is listed and not entered; nothing behind it was compared")
}

/// Facts that change no counter and no state, and that a reader should know: causes of many differences first, then
/// rules that are not the same, roots that are absent, and links behind which nobody looked.
pub fn notes(source: Described<'_>, destination: Described<'_>) -> Vec<String> {
    let mut notes = causes(source, destination);
    if source.identity.rules != destination.identity.rules {
        notes.push(format!(
            "{OTHER_RULES}: source {}, destination {}",
            rules(source.identity),
            rules(destination.identity)
        ));
    }
    notes.extend(not_found(source, destination));
    notes.extend(absent_roots(source.tables, destination.tables));
    notes.extend(link_notes(Side::Source, source.tables));
    notes.extend(link_notes(Side::Destination, destination.tables));
    notes
}

/// A name that a comparison is restricted to and that nobody has is more often misspelt than meant.
fn not_found(source: Described<'_>, destination: Described<'_>) -> Option<String> {
    let selected = destination.identity.selection.as_ref()?.names();
    let tables: Vec<&DirectoryTable> =
        source.tables.iter().chain(destination.tables).filter_map(|(_, table)| *table).collect();
    let stands = |name: &String| tables.iter().any(|table| has_keyspace(table, name));
    let missing: Vec<String> = selected.into_iter().filter(|name| !stands(name)).collect();
    (!missing.is_empty()).then(|| format!("keyspaces or tables that stand on neither side: {}", missing.join(", ")))
}

/// Whether a root has the directory of a `keyspace` or `keyspace.table`.
fn has_keyspace(table: &DirectoryTable, name: &str) -> bool {
    let (keyspace, wanted) = name.split_once('.').map_or((name, None), |(keyspace, name)| (keyspace, Some(name)));
    // What could not be listed may have it.
    if table.get(DirectoryIndex::ROOT).unlisted.is_some() {
        return true;
    }
    let mut keyspaces = table.children(DirectoryIndex::ROOT);
    let Some((keyspace, _)) = keyspaces.find(|(_, name)| name.as_bytes() == keyspace.as_bytes()) else { return false };
    let has = |wanted| table.children(keyspace).any(|(_, name)| table_name(name.as_bytes()) == Some(wanted));
    table.get(keyspace).unlisted.is_some() || wanted.is_none_or(has)
}

fn rules(identity: &Identity) -> String {
    let patterns = identity.file_patterns.iter().chain(&identity.directory_patterns);
    let patterns: Vec<&str> = patterns.map(String::as_str).collect();
    let excludes =
        if patterns.is_empty() { "excludes nothing".to_owned() } else { format!("excludes {}", patterns.join(" ")) };
    match identity.selection.as_ref().map(Selection::names) {
        None => excludes,
        Some(names) => format!("{excludes} and is restricted to {}", names.join(" ")),
    }
}

/// An absent root counts as one without entries; that is no difference, and yet worth knowing. One in which the other
/// side has files is a cause, and was named there.
fn absent_roots(source: &RootTables<'_>, destination: &RootTables<'_>) -> Vec<String> {
    let mut roots: BTreeMap<RootId, ((bool, bool), u64)> = BTreeMap::new();
    for (id, table) in source {
        let (present, files) = roots.entry(*id).or_default();
        (present.0, *files) = (table.is_some(), files_of(*table));
    }
    for (id, table) in destination {
        let (present, files) = roots.entry(*id).or_default();
        (present.1, *files) = (table.is_some(), files.saturating_add(files_of(*table)));
    }
    let list = |wanted: (bool, bool)| {
        let ids = roots.iter().filter(|(_, (present, files))| *present == wanted && *files == 0);
        ids.map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(", ")
    };
    [("on either side", (false, false)), ("at the source", (false, true)), ("at the destination", (true, false))]
        .into_iter()
        .map(|(place, present)| (place, list(present)))
        .filter(|(_, roots)| !roots.is_empty())
        .map(|(place, roots)| format!("not there {place}: {roots}"))
        .collect()
}

fn files_of(table: Option<&DirectoryTable>) -> u64 {
    table.map_or(0, |table| table.totals(DirectoryIndex::ROOT).files)
}

/// A link to a directory is listed and never entered, so nothing behind it is part of any proof.
pub fn link_notes(side: Side, tables: &RootTables<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    for (id, table) in tables.iter().filter_map(|(id, table)| table.map(|table| (id, table))) {
        let mut links = table.indices().filter(|index| table.get(*index).link);
        if let Some(first) = links.next() {
            let more = links.count();
            let first = table.path(first);
            let others = if more > 0 { format!(" and {more} more") } else { String::new() };
            notes.push(format!("{id}/{first}{others}{}", not_entered(side)));
        }
    }
    notes
}

/// How many files of a side were not read, because their recorded digests were trusted; `None` where all were read.
pub fn trusted_note(side: Side, from: Option<Provenance>) -> Option<String> {
    let from = from.filter(|from| from.trusted_files > 0)?;
    let audited = match from.audited_files {
        0 => String::new(),
        audited => format!(" ({audited} more were read and had theirs)"),
    };
    Some(format!(
        "{} files ({} bytes) were not read at the {side}: their digests are those of earlier reads, and nothing says that \
         they changed since{audited}",
        from.trusted_files, from.trusted_bytes
    ))
}

/// How many files of a side will be read in every task, though it remembers digests; `None` where none.
pub fn unrecordable_note(side: Side, from: Option<Provenance>) -> Option<String> {
    let files = from.map(|from| from.unrecordable_files).filter(|files| *files > 0)?;
    Some(format!(
        "the digests of {files} files at the {side} are not remembered, and each task reads them: they belong to another user, or \
         their file system does not tell of every write (docs/guarantees.md)"
    ))
}

/// Equal, and yet nothing was there to be compared.
pub fn nothing_compared_note() -> String {
    "there was not a single file to compare on either side".to_owned()
}

/// What a checksum list is, as far as a reader must know it.
pub fn checksum_list_note(side: Side, what: &str) -> String {
    format!("the {side} is {what}: it says what another program read, and not when")
}

/// So many names that a comparison is narrowed to stand on neither side, of which this is the first.
pub fn names_not_found_note(count: usize, first: &RelPath) -> String {
    let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
    format!("names that stand on neither side: {first}{more}")
}

/// What a source leaves out by the per-file protocol cannot be compared with what this side leaves out.
pub fn rules_unknown_note() -> String {
    "the source's exclusion rules are not known: the per-file protocol does not tell them, only what they leave"
        .to_owned()
}

/// How often a source began its manifest again; `None` where it did not.
pub fn begun_again_note(times: u32) -> Option<String> {
    (times > 0).then(|| {
        format!(
            "the connection to the source broke, and it began its manifest again ({times} times): what it had read by then, it \
             read again"
        )
    })
}

/// How many files of the source were hashed on this side; `None` for none.
pub fn fetched_note(files: u64) -> Option<String> {
    (files > 0)
        .then(|| format!("{files} files were fetched and hashed here: the source did not get done with their digests"))
}
