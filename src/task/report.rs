//! The report of a task, whether it is at hand or in the history, read page by page.

use std::sync::Arc;

use super::folder::HistoryError;
use super::history::History;
use super::kind::{Kind, Status as _};
use super::left_behind::page_of;
use crate::store::Pages;
use crate::work::Turns;

/// A task's report.
#[derive(Debug)]
pub struct TaskReport<K: Kind> {
    /// Where the task stands.
    pub status: K::Status,
    /// What the report says besides.
    pub summary: K::Summary,
    pub(super) findings: Arc<Pages>,
    /// Which history has them, where one does.
    pub(super) history: Option<Arc<History<K>>>,
    /// However many ask for pages, so many are made at a time.
    pub(super) turns: Turns,
}

impl<K: Kind> TaskReport<K> {
    /// How many findings there are in all; none while the task is under way.
    pub fn findings_total(&self) -> u64 {
        self.findings.items()
    }

    /// What `render` makes of at most `limit` findings from the position `offset` on.
    pub async fn page<T: Send + 'static>(
        &self,
        (offset, limit): (u64, u64),
        render: impl FnOnce(&[K::Finding]) -> T + Send + 'static,
    ) -> Result<T, HistoryError> {
        let findings = Arc::clone(&self.findings);
        let page = move || page_of::<K>(&findings, offset, limit).map(|page| render(&page));
        let page = self.turns.take(page).await;
        let id = self.status.id();
        let page = page.map_err(|died| HistoryError::unreadable(id, &died))?;
        page.map_err(|error| match &self.history {
            Some(history) => history.unservable(id, &error),
            None => HistoryError::unreadable(id, &error),
        })
    }
}
