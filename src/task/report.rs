//! A task with one page of what it found, whether it is at hand or in the history.

use std::sync::Arc;

use super::kind::Kind;
use crate::store::{Fault, PageError, Pages};

/// A task with one page of what it found.
#[derive(Debug)]
pub struct TaskReport<K: Kind> {
    /// Where it stands.
    pub status: K::Status,
    /// What its report says besides.
    pub summary: K::Summary,
    /// How many findings there are in all; none while it is under way.
    pub findings_total: u64,
    /// The page.
    pub findings: Vec<K::Finding>,
}

/// What a task left behind, or has so far.
#[derive(Debug)]
pub(super) struct LeftBehind<K: Kind> {
    pub summary: K::Summary,
    pub findings: Arc<Pages>,
}

impl<K: Kind> Clone for LeftBehind<K> {
    fn clone(&self) -> Self {
        Self { summary: self.summary.clone(), findings: Arc::clone(&self.findings) }
    }
}

/// What a report says besides the status; nothing of a task that left none.
#[derive(Debug)]
pub(super) struct Page<K: Kind> {
    pub summary: K::Summary,
    pub total: u64,
    pub findings: Vec<K::Finding>,
}

impl<K: Kind> Default for Page<K> {
    fn default() -> Self {
        Self { summary: K::Summary::default(), total: 0, findings: Vec::new() }
    }
}

/// At most `limit` findings from the position `offset` on.
pub(super) fn page_of<K: Kind>(
    LeftBehind { summary, findings }: LeftBehind<K>,
    (offset, limit): (u64, u64),
) -> Result<Page<K>, PageError> {
    let lines = findings.read(offset, limit)?;
    let read = lines.iter().map(|line| serde_json::from_str(line).map_err(|_| Fault::Damaged.into()));
    Ok(Page { summary, total: findings.items(), findings: read.collect::<Result<_, PageError>>()? })
}
