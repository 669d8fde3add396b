//! The result of a comparison.

use super::{Counters, Difference, DifferenceKind, EntryKind, Evidence, FileUrl, Scope, Unverified};

/// What was found so far, or in a part of what is compared. It is no outcome: only [`Outcome::new`] makes it one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// The seven counters.
    pub counters: Counters,
    /// Every entry that is not the same or could not be checked.
    pub differences: Vec<Difference>,
    /// Files with the same metadata whose content was not looked at: the comparison was one of metadata.
    pub content_not_compared: u64,
}

/// What was found, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// The seven counters.
    pub counters: Counters,
    /// How many entries are not the same or could not be checked.
    pub differences: u64,
    /// Files with the same metadata whose content was not looked at.
    pub content_not_compared: u64,
}

impl Tally {
    /// Adds what was found elsewhere in the same comparison.
    pub fn add(&mut self, other: &Self) {
        self.counters.add(&other.counters);
        self.differences += other.differences;
        self.content_not_compared += other.content_not_compared;
    }
}

/// Takes what a comparison finds, part by part, in whatever order the parts come.
pub trait Sink {
    /// Takes a part.
    fn take(&mut self, part: Findings);
}

impl Sink for Findings {
    fn take(&mut self, part: Findings) {
        self.absorb(part);
    }
}

impl Sink for Tally {
    fn take(&mut self, part: Findings) {
        self.add(&part.tally());
    }
}

impl Findings {
    /// A directory that could not be checked as a whole, whatever the entries in it say.
    pub fn unverified_directory(url: FileUrl, unverified: Unverified) -> Self {
        let counters = Counters { digest_verification_failures: 1, ..Counters::default() };
        let evidence = || Some(Evidence { kind: Some(EntryKind::Directory), ..Evidence::default() });
        let (source, destination, kind) = (evidence(), evidence(), DifferenceKind::Unverified);
        let difference = Difference { url, kind, source, destination, unverified: Some(unverified) };
        Self { counters, differences: vec![difference], content_not_compared: 0 }
    }

    /// Adds what was found elsewhere in the same comparison.
    pub fn absorb(&mut self, other: Self) {
        self.counters.add(&other.counters);
        self.differences.extend(other.differences);
        self.content_not_compared += other.content_not_compared;
    }

    /// All of it, counted.
    pub fn tally(&self) -> Tally {
        let Self { counters, differences, content_not_compared } = self;
        Tally {
            counters: *counters,
            differences: differences.len() as u64,
            content_not_compared: *content_not_compared,
        }
    }

    /// Orders the differences by root and path.
    pub fn sort(&mut self) {
        self.differences.sort_by(|a, b| a.url.cmp(&b.url));
    }
}

/// What a finished comparison came to, and what it speaks of. There is none without a scope. The differences themselves are with
/// the [`Sink`] that took them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What was compared, and what was left out.
    pub scope: Scope,
    /// The seven counters.
    pub counters: Counters,
    /// How many entries are not the same or could not be checked.
    pub differences: u64,
    /// Files with the same metadata whose content was not compared, because metadata elsewhere differs.
    pub content_not_compared: u64,
    /// Facts a reader should know that change no counter and no state.
    pub notes: Vec<String>,
}

/// What an outcome proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every entry was compared and is the same.
    Equal,
    /// Nothing differs, and nothing failed, but there was not a single file to compare.
    NothingCompared,
    /// At least one entry is missing or other.
    Different,
    /// No difference was found, but something could not be checked.
    Unverified,
}

impl Verdict {
    /// What counters prove: a difference outweighs what could not be checked, and either outweighs equality.
    pub fn of(c: &Counters) -> Self {
        let differing = c.files_not_found_at_source
            + c.files_not_found_at_destination
            + c.metadata_mismatches
            + c.digest_mismatches;
        match (differing, c.digest_verification_failures, c.files_matched) {
            (1.., _, _) => Self::Different,
            (0, 1.., _) => Self::Unverified,
            (0, 0, 0) => Self::NothingCompared,
            _ => Self::Equal,
        }
    }
}

impl Outcome {
    /// The outcome of a comparison of all that is in the scope.
    pub fn new(scope: Scope, found: Tally, notes: Vec<String>) -> Self {
        let Tally { counters, differences, content_not_compared } = found;
        Self { scope, counters, differences, notes, content_not_compared }
    }

    /// What it proves.
    pub fn verdict(&self) -> Verdict {
        match Verdict::of(&self.counters) {
            // A list that no counter accounts for would be a bug; it must not read as equality.
            Verdict::Equal | Verdict::NothingCompared if self.differences > 0 => Verdict::Unverified,
            verdict => verdict,
        }
    }

    /// Why the two sides are not proven equal, in a sentence; `None` where no counter says so.
    pub fn summary(&self) -> Option<String> {
        let c = &self.counters;
        let parts: Vec<String> = [
            (c.files_not_found_at_source, "missing at the source"),
            (c.files_not_found_at_destination, "missing at the destination"),
            (c.metadata_mismatches, "with other metadata"),
            (c.digest_mismatches, "with other content"),
            (c.digest_verification_failures, "that could not be verified"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        (!parts.is_empty()).then(|| format!("entries that are not proven equal: {}", parts.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RootId, ScopeLimits, SourceRules};

    fn verdict(counters: Counters) -> Verdict {
        Verdict::of(&counters)
    }

    fn outcome(counters: Counters, differences: u64) -> Outcome {
        let scope = Scope {
            roots: vec![RootId::DATA_0],
            selection: None,
            files_excluded: vec![],
            directories_excluded: vec![],
            source_rules: SourceRules::Same,
            limits: ScopeLimits::default(),
        };
        Outcome::new(scope, Tally { counters, differences, content_not_compared: 0 }, vec![])
    }

    #[test]
    fn a_difference_outweighs_what_could_not_be_checked() {
        let base = Counters { files_matched: 3, metadata_matched: 3, ..Counters::default() };
        assert_eq!(verdict(base), Verdict::Equal);
        let failed = Counters { digest_verification_failures: 1, ..base };
        assert_eq!(verdict(failed), Verdict::Unverified);
        assert_eq!(verdict(Counters { digest_mismatches: 1, ..failed }), Verdict::Different);
        assert_eq!(verdict(Counters { files_not_found_at_source: 1, ..base }), Verdict::Different);
    }

    #[test]
    fn each_counter_of_a_difference_counts_alone_and_together() {
        let none = Counters { files_matched: 3, ..Counters::default() };
        let each = [
            (Counters { files_not_found_at_source: 1, ..none }, "1 missing at the source"),
            (Counters { files_not_found_at_destination: 1, ..none }, "1 missing at the destination"),
            (Counters { metadata_mismatches: 1, ..none }, "1 with other metadata"),
            (Counters { digest_mismatches: 1, ..none }, "1 with other content"),
        ];
        for (counters, text) in each {
            let outcome = outcome(counters, 0);
            assert_eq!(outcome.verdict(), Verdict::Different, "{text}");
            assert_eq!(outcome.summary(), Some(format!("entries that are not proven equal: {text}")));
        }
        let mut all = none;
        each.iter().for_each(|(counters, _)| all.add(counters));
        assert_eq!(verdict(all), Verdict::Different);
        assert_eq!(outcome(none, 0).summary(), None);
    }

    #[test]
    fn nothing_compared_is_not_equal() {
        assert_eq!(verdict(Counters { metadata_matched: 5, ..Counters::default() }), Verdict::NothingCompared);
    }

    #[test]
    fn a_list_that_no_counter_accounts_for_is_not_equal() {
        let counters = Counters { files_matched: 3, metadata_matched: 3, ..Counters::default() };
        let verdict = |differences| outcome(counters, differences).verdict();
        assert_eq!((verdict(0), verdict(1)), (Verdict::Equal, Verdict::Unverified));
    }
}
