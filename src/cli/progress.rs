//! Progress on standard error: bars on a terminal, lines for a twintree that started this one elsewhere, and nothing at all else.

use std::io::IsTerminal as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressStyle};

use super::args::Common;
use super::output;
use crate::scan::Cancel;

/// A bar for each side of a comparison.
pub(super) struct Bars {
    bars: Vec<ProgressBar>,
    /// Keeps the bars on their lines.
    lines: MultiProgress,
    /// There are no bars: another twintree shows them. It is asked to stop where that one is gone.
    relayed: Option<Cancel>,
}

/// What a line begins with that tells another twintree how far this one is (the record separator of RFC 7464, before JSON).
const RELAYED: char = '\u{1e}';

/// How far one side is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
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
        Self { bars, lines, relayed: None }
    }

    /// None: a line for each step goes to another twintree, which reads them by [`relayed`]. Where nobody reads them any more nobody waits for
    /// the result either: a connection that ends tells a process on the other host in no other way.
    pub(super) fn relaying(cancel: Cancel) -> Self {
        let mut bars = Self::new(&[], true);
        bars.relayed = Some(cancel);
        bars
    }

    /// Says something above the bars.
    pub(super) fn remark(&self, common: &Common, text: &str) {
        self.remark_unless(common.quiet, text);
    }

    /// The same, where nobody asked for quiet.
    pub(super) fn remark_unless(&self, quiet: bool, text: &str) {
        self.lines.suspend(|| output::remark_unless(quiet, text));
    }

    /// Shows how far the side with this number is.
    pub(super) fn show(&self, side: usize, progress: SideProgress) {
        if let Some(cancel) = &self.relayed {
            if output::relay(RELAYED, &progress).is_err() {
                cancel.cancel();
            }
            return;
        }
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

/// The progress that a line of another twintree tells; `None` where the line says something else.
pub(super) fn relayed(line: &str) -> Option<SideProgress> {
    serde_json::from_str(line.strip_prefix(RELAYED)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relayed_line_is_read_and_others_are_not() {
        let progress = SideProgress { files_total: 9, files_hashed: 3, bytes_total: 100, bytes_hashed: 30 };
        let line = format!("{RELAYED}{}", serde_json::to_string(&progress).unwrap());
        assert_eq!(relayed(&line), Some(progress));
        let later = format!("{RELAYED}{}", r#"{"bytesHashed": 5, "unknown": [1]}"#);
        assert_eq!(relayed(&later), Some(SideProgress { bytes_hashed: 5, ..SideProgress::default() }));
        for other in ["", "{}", "\u{1e}", "\u{1e}{", "\u{1e}[1]x", "twintree: no"] {
            assert_eq!(relayed(other), None, "{other:?}");
        }
    }
}
