//! The verification as a kind of task.

use std::collections::BTreeMap;

use super::compared::Compared;
use crate::model::{Counters, DifferenceKind, Verdict};
use crate::protocol::{DifferenceBody, Progress, Protocol, ReportSummary, TaskRequest, TaskState, TaskStatus};
use crate::task::{Event, Kind, Status, Task};

/// A verification: the destination's tree compared with the source's.
#[derive(Debug)]
pub struct Verification;

/// What all verifications of a service that have ended came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerificationTotals {
    /// Differences they found, by kind.
    pub differences: BTreeMap<DifferenceKind, u64>,
    /// Requests they sent to sources.
    pub source_requests: u64,
}

/// A phase of the work that is over.
#[derive(Debug, Clone, Copy)]
pub(super) enum Passed {
    Walked,
    SourceWalked,
    Hashed,
    SourceHashed,
}

impl Kind for Verification {
    const NAME: &'static str = "verification";
    const FOLDER: &'static str = "tasks";

    type Request = TaskRequest;
    type Status = TaskStatus;
    type Summary = ReportSummary;
    type Finding = DifferenceBody;

    fn began_again(summary: &mut ReportSummary, note: String) {
        summary.notes.push(note);
    }

    fn took(summary: &mut ReportSummary, total_ms: u64) {
        summary.timings.total_ms.get_or_insert(total_ms);
    }
}

impl Status for TaskStatus {
    fn id(&self) -> &str {
        &self.id
    }

    fn state(&self) -> TaskState {
        self.state
    }

    fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    fn started_at(&self) -> i64 {
        self.started_at
    }

    fn ended_at(&self) -> Option<i64> {
        self.ended_at
    }

    fn enter(&mut self, state: TaskState) {
        self.state = state;
    }

    fn end(&mut self, at_ms: i64, message: Option<String>) {
        (self.ended_at, self.message) = (Some(at_ms), message);
        self.source_trouble = None;
    }

    fn refresh(&mut self) {
        Self::refresh(self);
    }

    fn not_safe(&mut self, cause: Option<String>) {
        self.state_trouble = cause;
    }

    fn restart(&mut self) {
        self.state = TaskState::NotStarted;
        self.counters = Counters::default();
        self.protocol_reason = None;
        self.source_trouble = None;
        self.progress = Progress::default();
    }
}

impl Task<Verification> {
    /// Says by which protocol the task is run, and why.
    pub(super) fn uses(&self, protocol: Protocol, reason: &str) {
        self.show(|status| {
            if status.protocol_reason.as_deref() != Some(reason) {
                (status.protocol, status.protocol_reason) = (protocol, Some(reason.to_owned()));
            }
        });
    }

    /// Says what trouble there is with the source at the moment.
    pub(super) fn in_trouble(&self, trouble: Option<String>) {
        self.show(|status| status.source_trouble = trouble);
    }

    /// Notes that a phase is over; what was noted before stays.
    pub(super) fn passed(&self, phase: Passed) {
        let now = self.elapsed_ms();
        self.summarise(|summary| {
            let timings = &mut summary.timings;
            let timing = match phase {
                Passed::Walked => &mut timings.walked_ms,
                Passed::SourceWalked => &mut timings.source_walked_ms,
                Passed::Hashed => &mut timings.hashed_ms,
                Passed::SourceHashed => &mut timings.source_hashed_ms,
            };
            timing.get_or_insert(now);
        });
    }

    /// Shows how far the work is, and what is counted by now.
    pub(super) fn counted(&self, progress: Progress, counters: Counters) {
        self.show(|status| (status.progress, status.counters) = (progress, counters));
    }

    /// The comparison is done.
    pub(super) fn finish(&self, compared: Compared, progress: Progress) {
        let Compared { outcome, rollups, read, differences } = compared;
        self.summarise(|summary| {
            summary.notes.extend(outcome.notes.iter().cloned());
            summary.rollups = rollups;
            summary.read = read;
        });
        self.leave(differences);
        let trusting = self.summary().read.trusts();
        self.show(|status| {
            (status.progress, status.counters) = (progress, outcome.counters);
            (status.trusting, status.content_not_compared) = (trusting, outcome.content_not_compared);
            status.scope = Some(outcome.scope.clone());
        });
        let event = match outcome.verdict() {
            // A tree without files is the same on both sides to the per-file protocol too; the notes say that nothing was
            // compared.
            Verdict::Equal | Verdict::NothingCompared => Event::Succeeded,
            Verdict::Different | Verdict::Unverified => Event::Failed,
        };
        self.end(event, outcome.summary());
    }
}
