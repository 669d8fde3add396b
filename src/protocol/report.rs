//! Differences as JSON: in a task's report, and in the output of the command line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::task::TaskStatus;
use crate::model::{Difference, DifferenceKind, EntryKind, Evidence, Reason};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// The body of a task's report: one page of its differences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportBody {
    /// The task's status.
    #[serde(flatten)]
    pub status: TaskStatus,
    /// Facts that change no counter and no state.
    pub notes: Vec<String>,
    /// How many differences there are in all.
    pub differences_total: u64,
    /// The position of the page's first difference.
    pub offset: u64,
    /// The page.
    pub differences: Vec<DifferenceBody>,
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
