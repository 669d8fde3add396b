//! Progress on a terminal: bars on standard error, and nothing at all elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressStyle};

use super::args::Common;
use super::output;

/// A bar for each side of a comparison.
pub(super) struct Bars {
    bars: Vec<ProgressBar>,
    /// Keeps the bars on their lines.
    lines: MultiProgress,
}

/// How far one side is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SideProgress {
    pub files_total: u64,
    pub files_hashed: u64,
    pub bytes_total: u64,
    pub bytes_hashed: u64,
}

impl Bars {
    /// Bars with these labels; hidden where `quiet`, or where standard error is no terminal.
    pub(super) fn new(labels: &[&str], quiet: bool) -> Self {
        let lines = MultiProgress::new();
        if quiet || !std::io::stderr().is_terminal() {
            lines.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        let template = "{prefix:<12} {bar:16} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left  {msg}";
        // The template is a constant; a wrong one shows in the first run and falls back to a plain bar.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = |label: &&str| {
            let bar = lines.add(ProgressBar::no_length().with_style(style.clone()).with_prefix((*label).to_owned()));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        };
        let bars = labels.iter().map(bar).collect();
        Self { bars, lines }
    }

    /// Says something above the bars.
    pub(super) fn remark(&self, common: &Common, text: &str) {
        self.lines.suspend(|| output::remark(common, text));
    }

    /// Shows how far the side with this number is.
    pub(super) fn show(&self, side: usize, progress: SideProgress) {
        let Some(bar) = self.bars.get(side) else { return };
        if progress.bytes_total > 0 {
            bar.set_length(progress.bytes_total);
        }
        bar.set_position(progress.bytes_hashed);
        let (done, total) = (HumanCount(progress.files_hashed), HumanCount(progress.files_total));
        bar.set_message(format!("{done}/{total} files"));
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.bars.iter().for_each(ProgressBar::finish_and_clear);
    }
}
