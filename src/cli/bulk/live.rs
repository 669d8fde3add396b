//! A run as it goes by: on a terminal a line for each comparison under way, and one for the whole. What does not end
//! equal is said as it ends, wherever standard error goes.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;

use crate::bulk::{Ended, Tally};
use crate::cli::output;
use crate::model::printable;
use crate::protocol::TaskStatus;
use crate::report::bulk::ended_line;

/// At most so many comparisons under way have a line.
const MAX_LINES: usize = 16;

/// How wide the names are.
const NAME_WIDTH: usize = 24;

/// What is shown.
pub(super) struct Live {
    lines: MultiProgress,
    whole: ProgressBar,
    under_way: Mutex<HashMap<usize, ProgressBar>>,
    quiet: bool,
    began: Instant,
}

impl Live {
    /// Shows nothing.
    pub(super) fn hidden() -> Self {
        Self::new(true)
    }

    pub(super) fn new(quiet: bool) -> Self {
        let lines = MultiProgress::new();
        if quiet || !std::io::stderr().is_terminal() {
            lines.set_draw_target(ProgressDrawTarget::hidden());
        }
        let whole = lines.add(ProgressBar::no_length().with_style(style("{msg}")));
        Self { lines, whole, under_way: Mutex::default(), quiet, began: Instant::now() }
    }

    /// A comparison is under way.
    pub(super) fn started(&self, at: usize, name: &str) {
        let mut under_way = self.under_way.lock();
        if under_way.len() >= MAX_LINES {
            return;
        }
        let bar = ProgressBar::no_length().with_style(style("{prefix} {spinner} {elapsed:>4}  {msg}"));
        let bar = self.lines.insert_before(&self.whole, bar);
        let name: String = printable(name).chars().take(NAME_WIDTH).collect();
        bar.set_prefix(format!("{name:<NAME_WIDTH$}"));
        bar.enable_steady_tick(Duration::from_millis(200));
        under_way.insert(at, bar);
    }

    /// How far it is.
    pub(super) fn progress(&self, at: usize, status: &TaskStatus) {
        let under_way = self.under_way.lock();
        let Some(bar) = under_way.get(&at) else { return };
        let p = &status.progress;
        let (total, hashed) =
            (p.bytes_total.saturating_add(p.source_bytes_total), p.bytes_hashed.saturating_add(p.source_bytes_hashed));
        if total > 0 && bar.length() != Some(total) {
            bar.set_style(style("{prefix} {bar:16} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left  {msg}"));
            bar.set_length(total);
        }
        bar.set_position(hashed);
        let (done, all) =
            (p.files_hashed.saturating_add(p.source_files_hashed), p.files_total.saturating_add(p.source_files_total));
        let trouble = status.source_trouble.as_deref().map(|trouble| format!("  {}", printable(trouble)));
        bar.set_message(format!("{}/{} files{}", HumanCount(done), HumanCount(all), trouble.unwrap_or_default()));
    }

    /// It is not under way any more.
    pub(super) fn left(&self, at: usize) {
        if let Some(bar) = self.under_way.lock().remove(&at) {
            bar.finish_and_clear();
        }
    }

    /// How far the whole is; `before` had ended when this command began.
    pub(super) fn whole(&self, tally: &Tally, before: u64) {
        self.whole.set_message(tally.sentence(tally.left(before, self.began.elapsed())));
    }

    /// Says how a comparison ended.
    pub(super) fn ended(&self, ended: &Ended) {
        self.remark(&ended_line(ended, NAME_WIDTH));
    }

    /// Says something above the lines.
    pub(super) fn remark(&self, text: &str) {
        self.suspended(|| output::remark_unless(self.quiet, text));
    }

    /// Does something that writes, with no line in its way.
    pub(super) fn suspended<T>(&self, write: impl FnOnce() -> T) -> T {
        self.lines.suspend(write)
    }

    /// Takes all lines away.
    pub(super) fn clear(&self) {
        self.under_way.lock().drain().for_each(|(_, bar)| bar.finish_and_clear());
        self.whole.finish_and_clear();
    }
}

/// The templates are constants; a wrong one shows in the first run and falls back to a plain bar.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
