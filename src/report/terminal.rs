//! Results as text for a terminal: plain lines, no colours, nothing that depends on its width.

use std::fmt::Write as _;

use super::units::time_utc;
use super::words::{counters, evidence_words, name, provenance};
use crate::manifest::Rollup;
use crate::manifest::{HashKind, ManifestFile};
use crate::model::{Provenance, Selection, printable};
use crate::protocol::{DamagedTask, DifferenceBody, ListedTask, ReportBody, TaskStatus};

/// How many differences are printed before the rest is only counted; `--json` has them all.
pub const MAX_PRINTED: usize = 200;

/// A comparison: verdict, counters, notes, differences with their evidence.
pub fn outcome(result: &ReportBody) -> String {
    let mut out = String::new();
    let status = &result.status;
    let _ = writeln!(out, "{}: {}", status.state, printable(&status.headline));
    for (count, what) in counters(&status.counters) {
        let _ = writeln!(out, "  {what:<26} {count:>12}");
    }
    for (side, read) in [("source", &result.summary.read.source), ("destination", &result.summary.read.destination)] {
        if let Some(from) = read.as_ref().and_then(|read| read.from).filter(|from| *from != Provenance::default()) {
            let _ = writeln!(out, "  read by the {side:<14} {}", provenance(&from));
        }
    }
    if !result.summary.notes.is_empty() {
        let _ = writeln!(out, "\nnotes:");
        result.summary.notes.iter().for_each(|note| {
            let _ = writeln!(out, "  {}", printable(note));
        });
    }
    sums(&mut out, &result.summary.rollups);
    if !status.state.is_final() {
        let _ = writeln!(out, "\ndifferences: none known yet, the task is not finished");
    }
    if !result.differences.is_empty() {
        let _ = writeln!(out, "\ndifferences:");
        result.differences.iter().take(MAX_PRINTED).for_each(|difference| one_difference(&mut out, difference));
        let more = result.differences_total.saturating_sub(MAX_PRINTED as u64);
        if more > 0 {
            let _ = writeln!(out, "  ... and {more} more; --json prints them all");
        }
    }
    out
}

/// Keyspaces and tables in which not everything is equal; nothing where all is.
fn sums(out: &mut String, rollups: &[Rollup]) {
    let unequal: Vec<&Rollup> = rollups.iter().filter(|rollup| !rollup.differences.is_empty()).collect();
    if unequal.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nnot equal by keyspace and table:");
    for rollup in unequal {
        let place = [Some(rollup.directory_type.name()), rollup.keyspace.as_deref(), rollup.table.as_deref()];
        let place: Vec<&str> = place.into_iter().flatten().collect();
        let found: Vec<String> =
            rollup.differences.iter().map(|(kind, count)| format!("{count} {}", kind.name())).collect();
        let _ = writeln!(out, "  {:<40} {}", printable(&place.join(" ")), found.join(", "));
    }
}

fn one_difference(out: &mut String, difference: &DifferenceBody) {
    let _ = write!(out, "  {:<22} {}", difference.kind.name(), name(difference));
    if let (Some(reason), Some(side)) = (difference.reason, &difference.side) {
        let detail = printable(difference.detail.as_deref().unwrap_or_default());
        let _ = write!(out, "\n    {reason} at {}: {detail}", printable(side));
    }
    let _ = writeln!(out);
    for (side, evidence) in [("source", &difference.source), ("destination", &difference.destination)] {
        let _ = writeln!(out, "    {side:<12} {}", evidence.as_ref().map_or("-".to_owned(), evidence_words));
    }
}

/// A task in one line.
pub fn task_line(status: &TaskStatus) -> String {
    let trouble = status.state_trouble.as_deref().map(|cause| format!("; not safe on disk yet: {}", printable(cause)));
    format!(
        "{}  {:<11}  {}  source {}:{}  {}{}",
        printable(&status.id),
        status.state,
        time_utc(status.started_at),
        printable(&status.source),
        status.port,
        printable(&status.headline),
        trouble.unwrap_or_default(),
    )
}

/// One line about a task in the list of all.
pub fn listed_line(task: &ListedTask) -> String {
    match task {
        ListedTask::Known(status) => task_line(status),
        ListedTask::Damaged(DamagedTask { id, damaged }) => {
            format!("{}  damaged      {}", printable(id), printable(damaged))
        }
    }
}

/// What a manifest file holds: so many entries that were not read, of which the first are at hand as lines.
pub fn inspection(manifest: &ManifestFile, first: &[String], unverified: usize) -> String {
    let mut out = String::new();
    let identity = manifest.identity();
    let totals = manifest.totals();
    let hash = |kind| manifest.instance_hash(kind).digest().map_or("unproven".to_owned(), |digest| digest.to_string());
    let _ = writeln!(out, "instance       {}", printable(&identity.instance));
    let _ = writeln!(out, "host           {}", printable(&identity.host));
    let _ = writeln!(out, "made           {} by {}", time_utc(identity.created_ms), printable(&identity.program));
    let _ = writeln!(out, "rules          {}", identity.rules_fingerprint());
    for pattern in identity.file_patterns.iter().chain(&identity.directory_patterns) {
        let _ = writeln!(out, "  leaves out   {}", printable(pattern));
    }
    for name in identity.selection.iter().flat_map(Selection::names) {
        let _ = writeln!(out, "  holds only   {}", printable(&name));
    }
    let _ = writeln!(out, "files          {}", totals.files);
    let _ = writeln!(out, "directories    {}", totals.directories);
    let _ = writeln!(out, "bytes          {}", totals.bytes);
    let _ = writeln!(out, "metadata hash  {}", hash(HashKind::Metadata));
    let _ = writeln!(out, "content hash   {}", hash(HashKind::Content));
    for (id, table) in manifest.tables() {
        let what = match table {
            None => "absent".to_owned(),
            Some(table) => {
                let sums = table.totals(crate::manifest::DirectoryIndex::ROOT);
                format!("{} files, {} directories, {} bytes", sums.files, sums.directories, sums.bytes)
            }
        };
        let _ = writeln!(out, "root           {id}: {what}");
    }
    if unverified > 0 {
        let _ = writeln!(out, "\nnot read ({unverified}):");
        first.iter().take(MAX_PRINTED).for_each(|line| {
            let _ = writeln!(out, "  {line}");
        });
        let more = unverified.saturating_sub(MAX_PRINTED);
        if more > 0 {
            let _ = writeln!(out, "  ... and {more} more; --json prints them all");
        }
    }
    out
}
