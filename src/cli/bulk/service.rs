//! A comparison that a destination's service has a task for: submitted once, followed wherever one stands, never started twice.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::inputs::SharedJournal;
use super::pages::{self, PageFolder};
use crate::bulk::{Begun, Comparison, Conclusion, Ending, Entry, KeyspacePatterns, Setback};
use crate::cli::signals::{Asked, Stop};
use crate::net::{CallError, Endpoint, TaskClient};
use crate::protocol::{ListedTask, TaskRequest, TaskStatus};
use crate::work::blocking;

/// The first and the longest wait between two looks at a task.
const POLL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// How long the first look at whether a service answers takes at most.
const LOOK: Duration = Duration::from_secs(5);

/// How long a task that is to be cancelled is waited for.
const CANCEL_GRACE: Duration = Duration::from_secs(8);

/// How many files each side works on at a time where the plan does not say.
const CONCURRENCY: u32 = 10;

/// One comparison at its destination.
pub(super) struct Service {
    name: String,
    fingerprint: String,
    client: TaskClient,
    request: TaskRequest,
    /// How long a task of somebody else is waited for.
    patience: Duration,
    /// How often in a row it was looked for in vain.
    looks: AtomicU32,
    begun: Mutex<Option<Begun>>,
    journal: SharedJournal,
    pages: Option<PageFolder>,
    stop: Stop,
}

/// What a task at the destination turned out to be.
enum Found {
    /// This one is followed.
    Followed(String),
    /// This one was submitted just now.
    Submitted(String),
    /// Nothing is to be followed: this is the end.
    Ended(Conclusion),
}

impl Service {
    pub(super) fn new(
        comparison: &Comparison,
        client: TaskClient,
        begun: Option<Begun>,
        (journal, pages, stop): (SharedJournal, Option<PageFolder>, Stop),
    ) -> Self {
        let settings = &comparison.settings;
        let request = TaskRequest {
            max_concurrency: settings.concurrency.unwrap_or(CONCURRENCY),
            digest_algorithm: settings.algorithm.name().to_owned(),
            keep_going: settings.keep_going,
            keyspaces: settings.keyspaces.as_ref().map(KeyspacePatterns::texts),
        };
        Self {
            name: comparison.name.clone(),
            fingerprint: comparison.fingerprint(),
            client,
            request,
            patience: settings.retries.time,
            looks: AtomicU32::new(0),
            begun: Mutex::new(begun),
            journal,
            pages,
            stop,
        }
    }

    /// Whether a task of it may be under way.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.lock().is_some()
    }

    /// Looks for it. Each look takes twice as long as the one before at most: one that is slow is reached in the end, and one that drops
    /// every packet keeps others waiting for a moment only.
    pub(super) async fn reach(&self) -> Result<(), CallError> {
        let looks = self.looks.fetch_add(1, Ordering::Relaxed);
        let longest = LOOK.saturating_mul(1_u32.checked_shl(looks).unwrap_or(u32::MAX));
        let looked = tokio::time::timeout(longest, self.client.tasks(false)).await;
        looked.unwrap_or_else(|_| {
            let (endpoint, cause) = (self.client.endpoint().clone(), "it did not answer in time".to_owned());
            Err(CallError::Unreachable { endpoint, cause, connected: false })
        })?;
        self.looks.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Submits the task, or finds the one that was, and follows it to its end. A signal cancels it, but for one that only tells that the
    /// terminal is gone.
    pub(super) async fn attempt(
        &self,
        claim: impl Fn(&str) -> bool,
        show: impl Fn(&TaskStatus),
    ) -> Result<Conclusion, Setback> {
        tokio::select! {
            ended = self.to_its_end(claim, show) => ended,
            asked = self.stop.asked() => {
                if asked == Asked::End {
                    // What cannot be cancelled in time runs on, and the next run finds it.
                    let _ = tokio::time::timeout(CANCEL_GRACE, self.cancel()).await;
                }
                Err(Setback::Stopped)
            }
        }
    }

    async fn to_its_end(
        &self,
        claim: impl Fn(&str) -> bool,
        show: impl Fn(&TaskStatus),
    ) -> Result<Conclusion, Setback> {
        let (id, is_new) = match self.find_or_submit().await? {
            Found::Followed(id) => (id, false),
            Found::Submitted(id) => (id, true),
            Found::Ended(conclusion) => return Ok(conclusion),
        };
        let mut wait = POLL.0;
        let mut delivered = 0;
        loop {
            let status = self.client.status(&id).await.map_err(|error| self.lost(error, delivered))?;
            if !claim(&status.source) && is_new && !status.state.is_final() {
                self.cancel().await.map_err(|error| Setback::Call { error, delivered })?;
                return Err(Setback::HostTaken(status.source));
            }
            if status.state.is_final() {
                return self.concluded(&id, delivered).await;
            }
            delivered = delivered.max(brought(&status));
            show(&status);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(POLL.1);
        }
    }

    /// The report of the task, which has ended.
    async fn concluded(&self, id: &str, delivered: u64) -> Result<Conclusion, Setback> {
        let failed = |error| Setback::Call { error, delivered };
        let report = self.client.report_page(id, 0).await.map_err(failed)?;
        let ending = Ending::of_task(report.status.state, &report.status.counters);
        let message = report.status.headline.clone();
        let page = match &self.pages {
            None => None,
            Some(folder) => Some(pages::of_task(folder, &self.name, &self.client, id, &report).await),
        };
        let concluded = Conclusion { ending, message, report: Some(Box::new(report)), page: None };
        match page {
            None => Ok(concluded),
            Some(Ok(page)) => Ok(Conclusion { page: Some(page), ..concluded }),
            Some(Err(pages::PageError::Call(error))) if error.is_transient() => Err(failed(error)),
            Some(Err(pages::PageError::Call(error))) => Ok(concluded.without_page(&error.to_string())),
            Some(Err(pages::PageError::Disk(cause))) => Ok(concluded.without_page(&cause)),
        }
    }

    /// The task of this comparison: the one that was submitted, or that may have been; else a new one.
    async fn find_or_submit(&self) -> Result<Found, Setback> {
        let begun = self.begun.lock().clone();
        match begun {
            Some(Begun { task: Some(id), .. }) => Ok(Found::Followed(id)),
            Some(Begun { before, task: None, .. }) => match self.latest().await? {
                // Nobody but us asks for just this in the moment we did; and if somebody did, it proves the same.
                Some(latest) if Some(&latest.id) != before.as_ref() && asks_for(&latest, &self.request) => {
                    self.accepted(&latest.id).await?;
                    Ok(Found::Followed(latest.id))
                }
                latest => self.submit(latest).await,
            },
            None => {
                let latest = self.latest().await?;
                self.submit(latest).await
            }
        }
    }

    async fn latest(&self) -> Result<Option<TaskStatus>, Setback> {
        let failed = |error| Setback::Call { error, delivered: 0 };
        let tasks = self.client.tasks(false).await.map_err(failed)?;
        Ok(tasks.into_iter().find_map(|task| match task {
            ListedTask::Known(status) => Some(*status),
            ListedTask::Damaged(_) => None,
        }))
    }

    async fn submit(&self, mut latest: Option<TaskStatus>) -> Result<Found, Setback> {
        let clock = Instant::now();
        let mut wait = POLL.0;
        loop {
            if let Some(other) = latest.as_ref().filter(|latest| !latest.state.is_final()) {
                if clock.elapsed() > self.patience {
                    return Ok(Found::Ended(busy(self.client.endpoint(), &other.id)));
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(POLL.1);
                latest = self.latest().await?;
                continue;
            }
            let before = latest.map(|latest| latest.id);
            let (name, fingerprint) = (self.name.clone(), self.fingerprint.clone());
            self.note(Entry::Submitting { name, fingerprint: fingerprint.clone(), before: before.clone() }).await?;
            *self.begun.lock() = Some(Begun { fingerprint, before, task: None });
            match self.client.create_task(&self.request).await {
                Ok(created) => {
                    self.accepted(&created.task_id).await?;
                    return Ok(Found::Submitted(created.task_id));
                }
                Err(error) if is_refusal(&error) => {
                    self.withdraw().await?;
                    if !matches!(error, CallError::Status { status: 409, .. }) {
                        return Err(Setback::Call { error, delivered: 0 });
                    }
                    // Somebody was faster; that task ends, too.
                    tokio::time::sleep(wait).await;
                    latest = self.latest().await?;
                }
                Err(error) => return Err(Setback::Call { error, delivered: 0 }),
            }
        }
    }

    async fn accepted(&self, task: &str) -> Result<(), Setback> {
        let (name, fingerprint, task) = (self.name.clone(), self.fingerprint.clone(), task.to_owned());
        *self.begun.lock() = Some(Begun { fingerprint: fingerprint.clone(), before: None, task: Some(task.clone()) });
        self.note(Entry::Submitted { name, fingerprint, task }).await
    }

    async fn withdraw(&self) -> Result<(), Setback> {
        *self.begun.lock() = None;
        self.note(Entry::Withdrawn { name: self.name.clone() }).await
    }

    /// A task that its service does not know any more is lost, as after a restart without a history; a new one takes its place.
    fn lost(&self, error: CallError, delivered: u64) -> Setback {
        match error {
            CallError::Status { status: 404, .. } => {
                *self.begun.lock() = None;
                let cause = "the service does not know the task any more";
                Setback::Call { error: CallError::interrupted(self.client.endpoint(), cause), delivered: 0 }
            }
            error => Setback::Call { error, delivered },
        }
    }

    /// Cancels the task that has begun. One that may have been accepted and is not listed yet may still begin: it stays written down,
    /// and the next run finds it.
    async fn cancel(&self) -> Result<(), CallError> {
        let begun = self.begun.lock().clone();
        let id = match begun {
            None => return Ok(()),
            Some(Begun { task: Some(id), .. }) => id,
            Some(Begun { before, task: None, .. }) => {
                let Ok(latest) = self.latest().await else { return Ok(()) };
                let ours = |latest: &TaskStatus| Some(&latest.id) != before.as_ref() && asks_for(latest, &self.request);
                let Some(latest) = latest.filter(ours) else { return Ok(()) };
                latest.id
            }
        };
        self.client.cancel(&id).await?;
        let _ = self.withdraw().await;
        Ok(())
    }

    /// Writes to the disk what the next run must know, before anybody can ask.
    async fn note(&self, entry: Entry) -> Result<(), Setback> {
        let Some(journal) = self.journal.clone() else { return Ok(()) };
        let noted = blocking(move || journal.lock().note_for_good(&entry)).await;
        match noted {
            Ok(Ok(())) => Ok(()),
            // Without a state nobody would find the task again; the run ends, and says why.
            Ok(Err(error)) => Err(Setback::Broken(error.to_string())),
            Err(died) => Err(Setback::Broken(died.to_string())),
        }
    }
}

/// The service was asked and said no, so nothing has begun there. With other statuses, and with those of a time-out, a gateway may answer
/// that passed the request on.
fn is_refusal(error: &CallError) -> bool {
    matches!(error, CallError::Status { status: 400..=407 | 409..=498, .. })
}

fn asks_for(status: &TaskStatus, request: &TaskRequest) -> bool {
    let names = |names: &Option<Vec<String>>| {
        let parsed = names.as_deref().map(crate::model::Selection::parse);
        parsed.and_then(Result::ok).map(|selection| selection.names())
    };
    let compared = status.scope.as_ref().and_then(|scope| scope.selection.clone());
    status.digest_algorithm.eq_ignore_ascii_case(&request.digest_algorithm) && compared == names(&request.keyspaces)
}

fn brought(status: &TaskStatus) -> u64 {
    let p = &status.progress;
    let files = p.files_total.saturating_add(p.source_files_total);
    let hashed = p.files_hashed.saturating_add(p.source_files_hashed);
    let bytes = p.bytes_hashed.saturating_add(p.source_bytes_hashed);
    files.saturating_add(hashed).saturating_add(bytes)
}

fn busy(endpoint: &Endpoint, other: &str) -> Conclusion {
    let message = format!("{endpoint} is busy with task {other} of somebody else, which does not end");
    Conclusion::without(Ending::Unverified, message)
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
