//! What a task left behind, or has so far.

use std::sync::Arc;

use super::kind::Kind;
use crate::store::{Fault, PageError, Pages};

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

impl<K: Kind> Default for LeftBehind<K> {
    fn default() -> Self {
        Self { summary: K::Summary::default(), findings: Arc::default() }
    }
}

/// At most `limit` findings from the position `offset` on. Blocks.
pub(super) fn page_of<K: Kind>(findings: &Pages, offset: u64, limit: u64) -> Result<Vec<K::Finding>, PageError> {
    let lines = findings.read(offset, limit)?;
    lines.iter().map(|line| serde_json::from_str(line).map_err(|_| Fault::Damaged.into())).collect()
}
