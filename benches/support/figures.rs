//! Times taken in turn, their medians, and ratios against what was to be reached.

use std::time::{Duration, Instant};

/// The times of one thing that was measured again and again.
#[derive(Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Measures once more.
    pub fn take<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = work();
        self.0.push(begun.elapsed());
        result
    }

    /// Adds what somebody else measured.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The middle one in milliseconds; `None` where nothing was measured.
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).map(|time| time.as_secs_f64() * 1e3)
    }

    /// The one whose median is the least. There is at least one.
    pub fn best(all: &[Self]) -> &Self {
        let median = |times: &&Self| times.median().unwrap_or(f64::INFINITY);
        all.iter().min_by(|a, b| median(a).total_cmp(&median(b))).unwrap_or(&all[0])
    }

    /// The shortest time of each round.
    pub fn best_of(all: &[Self]) -> Self {
        let rounds = all.iter().map(|times| times.0.len()).min().unwrap_or(0);
        Self((0..rounds).filter_map(|round| all.iter().map(|times| times.0[round]).min()).collect())
    }

    /// The least and the most, in milliseconds.
    pub fn spread(&self) -> String {
        let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
        format!("{:.0} to {:.0}", ms(self.0.iter().min()), ms(self.0.iter().max()))
    }
}

/// Prints the head of a table.
pub fn title(text: &str) {
    println!("\n{text}");
}

/// Prints one measured thing.
pub fn line(what: &str, times: &Times) {
    match times.median() {
        Some(median) => println!("  {what:<58} {median:>9.1} ms  ({})", times.spread()),
        None => println!("  {what:<58}   not here"),
    }
}

/// Prints a ratio of medians, and whether it is at most what it should be.
pub fn ratio(what: &str, of: &Times, to: &Times, most: f64) {
    if let (Some(of), Some(to)) = (of.median(), to.median()) {
        bound(what, of / to, most);
    }
}

/// Prints the median of the rounds' ratios: what a disk gives in one round it may not give in the next.
pub fn paired(what: &str, of: &Times, to: &Times, most: f64) {
    let mut ratios: Vec<f64> = of.0.iter().zip(&to.0).map(|(of, to)| of.as_secs_f64() / to.as_secs_f64()).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    if let Some(median) = ratios.get(ratios.len() / 2) {
        bound(what, *median, most);
    }
}

/// Prints a figure and whether it is at most what it should be.
pub fn bound(what: &str, figure: f64, most: f64) {
    let verdict = if figure <= most { "reached" } else { "MISSED" };
    println!("  {what:<58} {figure:>9.3}     at most {most}: {verdict}");
}

/// Prints a figure that has no bound.
pub fn fact(what: &str, figure: impl std::fmt::Display) {
    println!("  {what:<58} {figure:>9}");
}
