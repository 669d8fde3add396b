//! Differences as JSON: in a task's report, and in the output of the command line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::task::{Protocol, TaskStatus};
use super::task_state::{Progress, TaskState};
use crate::manifest::Rollup;
use crate::model::{Difference, DifferenceKind, EntryKind, Evidence, Outcome, Provenance, Reason, Verdict};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DifferenceBody {
    /// The entry's file URL; bytes that are not UTF-8 stand as U+FFFD.
    pub file_url: String,
    /// The path's exact bytes in hex, where the URL cannot carry them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path_hex: Option<String>,
    /// What is not the same.
    pub kind: DifferenceKind,
    /// For unverified entries: `source`, `destination` or `both`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub side: Option<String>,
    /// For unverified entries: why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Reason>,
    /// For unverified entries: what the system said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// What the source knows; null where it lacks the entry.
    pub source: Option<EvidenceBody>,
    /// What the destination knows; null where it lacks the entry.
    pub destination: Option<EvidenceBody>,
}

/// What one side knows of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceBody {
    /// `FILE` or `DIRECTORY`; null where not even that could be learned.
    pub file_type: Option<EntryKind>,
    /// Bytes; null for a directory.
    pub size: Option<u64>,
    /// Epoch milliseconds; null for a directory.
    pub last_modified_time: Option<i64>,
    /// From algorithm to the digest's text.
    pub digests: BTreeMap<String, String>,
}

/// What a report says besides status and differences.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportSummary {
    /// Facts that change no counter and no state.
    pub notes: Vec<String>,
    /// The comparison summed up by keyspace and table; empty where there was none.
    pub rollups: Vec<Rollup>,
    /// What was read, and from where.
    pub read: ReadBody,
    /// How long it took.
    pub timings: Timings,
}

/// What was read on both sides; null where it never came to that.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReadBody {
    /// By the source.
    pub source: Option<SideBody>,
    /// By the destination.
    pub destination: Option<SideBody>,
}

impl ReadBody {
    /// Whether a side trusted digests of earlier reads.
    pub fn trusts(&self) -> bool {
        let sides = self.source.iter().chain(&self.destination);
        sides.filter_map(|side| side.from).any(|from| from.trusted_files > 0)
    }
}

/// What one side read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SideBody {
    /// The machine's own name; the address of a source that does not tell it.
    pub host: String,
    /// The instance, as its configuration names it.
    pub instance: String,
    /// The roots that exist there, such as `data/0`.
    pub roots: Vec<String>,
    /// Files found.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Where what is known of their content came from; null where that was not told.
    #[serde(default)]
    pub from: Option<Provenance>,
}

/// Milliseconds from the begin of the task until each phase was over; null where it never was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Timings {
    /// The destination knew its own entries.
    pub walked_ms: Option<u64>,
    /// The source's entries were known.
    pub source_walked_ms: Option<u64>,
    /// The destination had read its files.
    pub hashed_ms: Option<u64>,
    /// The source had read its files.
    pub source_hashed_ms: Option<u64>,
    /// The task was over.
    pub total_ms: Option<u64>,
}

/// A result: the body of a task's report with one page of its differences, and what every command with `--json` prints. A
/// comparison without a service has no task: its id is empty, its port 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportBody {
    /// The task's status.
    #[serde(flatten)]
    pub status: TaskStatus,
    /// Notes, sums, what was read and how long it took.
    #[serde(flatten)]
    pub summary: ReportSummary,
    /// How many differences there are in all.
    pub differences_total: u64,
    /// The position of the page's first difference.
    pub offset: u64,
    /// The page.
    pub differences: Vec<DifferenceBody>,
}

impl ReportBody {
    /// The result of a comparison without a service: begun and ended at these moments, in milliseconds since the epoch, of a
    /// source of this name. Of all its differences the first are at hand.
    pub fn local(
        outcome: &Outcome,
        differences: Vec<DifferenceBody>,
        summary: ReportSummary,
        source: String,
        (began, ended): (i64, i64),
    ) -> Self {
        let state = match outcome.verdict() {
            Verdict::Equal | Verdict::NothingCompared => TaskState::Completed,
            Verdict::Different | Verdict::Unverified => TaskState::Failed,
        };
        let mut status = TaskStatus {
            id: String::new(),
            digest_algorithm: LOCAL_ALGORITHM.to_owned(),
            state,
            source,
            port: 0,
            counters: outcome.counters,
            protocol: Protocol::Manifest,
            protocol_reason: None,
            source_trouble: None,
            state_trouble: None,
            progress: progress(&summary.read),
            started_at: began,
            ended_at: Some(ended),
            message: outcome.summary(),
            scope: Some(outcome.scope.clone()),
            trusting: summary.read.trusts(),
            content_not_compared: outcome.content_not_compared,
            headline: String::new(),
        };
        status.refresh();
        Self { status, summary, differences_total: outcome.differences, offset: 0, differences }
    }
}

/// What equality rests on where no task asked for another digest.
const LOCAL_ALGORITHM: &str = "BLAKE3";

/// Files found and bytes read, as far as a comparison without a service knows them.
fn progress(read: &ReadBody) -> Progress {
    let files = |side: &Option<SideBody>| side.as_ref().map_or((0, 0), |side| (side.files, side.bytes));
    let hashed = |side: &Option<SideBody>| side.as_ref().and_then(|side| side.from).map_or(0, |from| from.read_bytes());
    let ((source_files_total, source_bytes_total), (files_total, bytes_total)) =
        (files(&read.source), files(&read.destination));
    Progress {
        source_files_total,
        source_bytes_total,
        files_total,
        bytes_total,
        source_bytes_hashed: hashed(&read.source),
        bytes_hashed: hashed(&read.destination),
        ..Progress::default()
    }
}

impl From<&Difference> for DifferenceBody {
    fn from(difference: &Difference) -> Self {
        let unverified = difference.unverified.as_ref();
        Self {
            file_url: difference.url.text(),
            path_hex: difference.url.path_hex(),
            kind: difference.kind,
            side: unverified.map(|u| u.side().to_owned()),
            reason: unverified.map(|u| u.reason()),
            detail: unverified.map(|u| u.detail()),
            source: difference.source.as_ref().map(EvidenceBody::from),
            destination: difference.destination.as_ref().map(EvidenceBody::from),
        }
    }
}

impl From<&Evidence> for EvidenceBody {
    fn from(evidence: &Evidence) -> Self {
        Self {
            file_type: evidence.kind,
            size: evidence.size,
            last_modified_time: evidence.modified_ms,
            digests: evidence.digests.iter().map(|d| (d.algorithm().to_owned(), d.to_string())).collect(),
        }
    }
}
