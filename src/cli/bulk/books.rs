//! What is kept of a run while it goes by: who has ended and how, in memory, in the state file, and for whoever watches.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::inputs::SharedJournal;
use super::live::Live;
use super::outputs::Outputs;
use crate::bulk::{
    Conclusion, Ended, Ending, Entry, Event, JournalError, Plan, Start, State, Summary, Tally, condense,
};
use crate::cli::args::Common;
use crate::cli::exit_code::CommandError;
use crate::work::now_ms;

/// The books of a run.
pub(super) struct Books {
    /// Name and fingerprint of each comparison that is to be made, in their order.
    jobs: Vec<(String, String)>,
    began: HashMap<usize, i64>,
    ended: Vec<Ended>,
    /// How many had ended before.
    before: u64,
    tally: Tally,
    run_began_at: i64,
    worked: Duration,
    journal: SharedJournal,
    outputs: Outputs,
    live: Arc<Live>,
}

impl Books {
    /// Opens them with what had ended before.
    pub(super) fn open(
        plan: &Plan,
        start: &Start,
        state: &State,
        journal: SharedJournal,
        outputs: Outputs,
        common: &Common,
    ) -> Result<Self, CommandError> {
        let job = |at: &usize| (plan.comparisons[*at].name.clone(), plan.comparisons[*at].fingerprint());
        let mut tally = Tally { to_go: start.todo.len() as u64, ..Tally::default() };
        start.kept.iter().for_each(|ended| tally.end(ended.outcome));
        let before = tally.total_ended();
        let live = Arc::new(Live::new(common.quiet));
        live.whole(&tally, before);
        start.kept.iter().try_for_each(|ended| live.suspended(|| outputs.line(ended)))?;
        Ok(Self {
            jobs: start.todo.iter().map(job).collect(),
            began: HashMap::new(),
            ended: start.kept.clone(),
            before,
            tally,
            run_began_at: state.began_at.unwrap_or_else(now_ms),
            worked: Duration::ZERO,
            journal,
            outputs,
            live,
        })
    }

    /// Where progress is shown.
    pub(super) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live)
    }

    /// Takes note of what happened.
    pub(super) fn note(&mut self, event: Event) -> Result<(), CommandError> {
        match event {
            Event::Started(at) => {
                self.began.entry(at).or_insert_with(now_ms);
                self.live.started(at, &self.jobs[at].0);
                Ok(())
            }
            Event::Paused { at, why, delay } => {
                self.began.entry(at).or_insert_with(now_ms);
                self.live.left(at);
                // A cause names its host, which most comparisons are called.
                let name = Some(&self.jobs[at].0).filter(|name| !why.contains(name.as_str()));
                let name = name.map(|name| format!("{name}: ")).unwrap_or_default();
                self.live.remark(&format!("{name}{why}; tried again in {:.1} s", delay.as_secs_f64()));
                Ok(())
            }
            Event::Held(at) => {
                self.live.left(at);
                Ok(())
            }
            Event::Broken(cause) => Err(CommandError::Failed(cause)),
            Event::Ended { at, conclusion, worked, tries } => {
                self.live.left(at);
                let ended = self.conclude(at, *conclusion, worked, tries);
                self.end(ended)
            }
        }
    }

    fn conclude(&mut self, at: usize, conclusion: Conclusion, worked: Duration, tries: u32) -> Ended {
        let Conclusion { ending, message, mut report, page } = conclusion;
        self.worked += worked;
        let (keyspaces, rollups_left_out) = report.as_mut().map(|report| condense(report)).unwrap_or_default();
        let task = report.as_ref().map(|report| report.status.id.clone()).filter(|id| !id.is_empty());
        let (name, fingerprint) = self.jobs[at].clone();
        let ended_at = now_ms();
        Ended {
            name,
            fingerprint,
            outcome: ending,
            message,
            began_at: self.began.get(&at).copied().unwrap_or(ended_at),
            ended_at,
            worked_ms: millis(worked),
            tries,
            task,
            page,
            keyspaces,
            rollups_left_out,
            result: report,
        }
    }

    fn end(&mut self, ended: Ended) -> Result<(), CommandError> {
        if let Some(journal) = &self.journal {
            journal.lock().note(&Entry::Ended(Box::new(ended.clone()))).map_err(unwritten)?;
        }
        self.tally.end(ended.outcome);
        self.tally.to_go = self.tally.to_go.saturating_sub(1);
        if ended.outcome != Ending::Equal {
            self.live.ended(&ended);
        }
        self.live.whole(&self.tally, self.before);
        self.live.suspended(|| self.outputs.line(&ended))?;
        self.ended.push(ended);
        if self.outputs.metrics_are_due() {
            let summary = self.sum_up(Duration::ZERO);
            let written = self.outputs.write_metrics(&summary);
            self.ended = summary.comparisons;
            written?;
        }
        Ok(())
    }

    /// Sums up; what has ended is in the sum, and not in the books any more.
    fn sum_up(&mut self, elapsed: Duration) -> Summary {
        let ended = std::mem::take(&mut self.ended);
        let times = (self.run_began_at, now_ms());
        Summary::new(ended, self.tally.to_go, times, (millis(elapsed), millis(self.worked)))
    }

    /// Closes them: a run that came to its end is marked so, and everything is written and printed.
    pub(super) fn close(mut self, finished: bool, elapsed: Duration) -> Result<Summary, CommandError> {
        self.live.clear();
        if let Some(journal) = self.journal.as_ref().filter(|_| finished) {
            journal.lock().note_for_good(&Entry::Finished { at: now_ms() }).map_err(unwritten)?;
        }
        let summary = self.sum_up(elapsed);
        self.outputs.close(&summary)?;
        Ok(summary)
    }
}

/// A state that cannot be written any more, as on a full disk, is no mistake of whoever named it.
fn unwritten(error: JournalError) -> CommandError {
    CommandError::Failed(error.to_string())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
