//! What a comparison speaks of. Nothing outside of it is part of any verdict.

use serde::{Deserialize, Serialize};

use super::RootId;

/// The directory pattern that leaves out every snapshot; in force where a configuration names no other.
pub const SNAPSHOTS: &str = "glob:${DATA_FILE_DIR}/*/*/snapshots";

/// How many names of a selection a headline has at most; the rest is counted.
const MAX_NAMES_SHOWN: usize = 5;

/// The longest pattern that a headline quotes, in characters.
const MAX_PATTERN_SHOWN: usize = 60;

/// What a comparison speaks of: the roots, the keyspaces and tables, and what is left out of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// The roots, such as `data/0`, in ascending order; also those that are absent on a side or on both.
    #[schema(value_type = Vec<String>)]
    pub roots: Vec<RootId>,
    /// The keyspaces and tables that were compared, sorted; null for all of them. Where the two sides are restricted to
    /// different ones, what both hold.
    pub selection: Option<Vec<String>>,
    /// The file patterns in force on either side, sorted.
    pub files_excluded: Vec<String>,
    /// The directory patterns in force on either side, sorted.
    pub directories_excluded: Vec<String>,
    /// Whether the source leaves out what the destination leaves out.
    pub source_rules: SourceRules,
    /// What of all that was not compared, and how.
    #[serde(flatten)]
    pub limits: ScopeLimits,
}

/// What of a scope was not compared, because somebody wanted it so or a side does not know it, and what equality rests on where that is not
/// the manifest. Absent where there is nothing to say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ScopeLimits {
    /// The filters, as they were given, such as `--include *.db`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<String>,
    /// The facts that were not compared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<NotCompared>,
    /// The algorithm of the checksum list that equality rests on, such as `SHA-256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksums: Option<String>,
}

/// A fact of entries that was not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NotCompared {
    /// When files were modified.
    ModificationTimes,
    /// How large files are; a digest of other bytes is another one all the same.
    Sizes,
    /// Directories in which there is no file.
    EmptyDirectories,
}

impl NotCompared {
    fn words(self) -> &'static str {
        match self {
            Self::ModificationTimes => "modification times",
            Self::Sizes => "sizes",
            Self::EmptyDirectories => "empty directories",
        }
    }
}

/// What a filter begins with that leaves something out.
const EXCLUDE: &str = "--exclude ";

/// Texts behind a word, or how many there are where that would be long.
fn quoted(word: &str, texts: &[&str], what: &str) -> Option<String> {
    let joined = texts.join(" ");
    match (texts.len(), joined.chars().count()) {
        (0, _) => None,
        (_, ..=MAX_PATTERN_SHOWN) => Some(format!("{word} {joined}")),
        (1, _) => Some(format!("{word} 1 {what}")),
        (count, _) => Some(format!("{word} {count} {what}s")),
    }
}

impl ScopeLimits {
    /// What a headline says of them, behind the verdict.
    fn headline(&self) -> Vec<String> {
        let mut parts = Vec::new();
        let left_out = |filter: &&String| filter.starts_with(EXCLUDE);
        let taken_in: Vec<&str> = self.filters.iter().filter(|one| !left_out(one)).map(String::as_str).collect();
        let left_out = self.filters.iter().filter(left_out).filter_map(|filter| filter.strip_prefix(EXCLUDE));
        let left_out: Vec<&str> = left_out.collect();
        parts.extend(quoted("only by", &taken_in, "filter"));
        parts.extend(quoted("without", &left_out, "pattern"));
        let facts: Vec<&str> = self.not_compared.iter().map(|fact| fact.words()).collect();
        if let Some((last, others)) = facts.split_last() {
            let and = if others.is_empty() { "" } else { " and " };
            parts.push(format!("{}{and}{last} not compared", others.join(", ")));
        }
        parts
    }
}

/// What is known of the source's rules, beside the destination's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SourceRules {
    /// They leave out the same.
    Same,
    /// They do not.
    Different,
    /// Nothing: the per-file protocol does not tell them.
    Unknown,
}

impl Scope {
    /// A headline: the verdict and, where it does not speak of everything, of what it does, as in
    /// `equal within ks001, shop.orders; snapshots left out`. May quote a pattern that the other side sent.
    pub fn headline(&self, verdict: &str) -> String {
        let mut headline = verdict.to_owned();
        if let Some(names) = &self.selection {
            headline.push_str(" within ");
            headline.push_str(&within(names));
        }
        let patterns: Vec<&String> = self.files_excluded.iter().chain(&self.directories_excluded).collect();
        if let Some(left_out) = left_out(&patterns) {
            headline.push_str("; ");
            headline.push_str(&left_out);
        }
        if self.source_rules == SourceRules::Different {
            headline.push_str("; other rules at the source");
        }
        for part in self.limits.headline() {
            headline.push_str("; ");
            headline.push_str(&part);
        }
        headline
    }
}

fn within(names: &[String]) -> String {
    match names.split_at_checked(MAX_NAMES_SHOWN) {
        _ if names.is_empty() => "nothing that both sides hold".to_owned(),
        Some((first, more)) if !more.is_empty() => format!("{} and {} more", first.join(", "), more.len()),
        _ => names.join(", "),
    }
}

fn left_out(patterns: &[&String]) -> Option<String> {
    match patterns {
        [] => None,
        [pattern] if *pattern == SNAPSHOTS => Some("snapshots left out".to_owned()),
        [pattern] if pattern.chars().count() <= MAX_PATTERN_SHOWN => Some(format!("{pattern} left out")),
        [_] => Some("1 exclusion pattern".to_owned()),
        patterns => Some(format!("{} exclusion patterns", patterns.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn scope(selection: Option<&[&str]>, files: &[&str], directories: &[&str]) -> Scope {
        Scope {
            roots: vec![RootId::DATA_0],
            selection: selection.map(texts),
            files_excluded: texts(files),
            directories_excluded: texts(directories),
            source_rules: SourceRules::Same,
            limits: ScopeLimits::default(),
        }
    }

    #[test]
    fn a_headline_says_what_the_verdict_does_not_speak_of() {
        let long = format!("glob:{}", "x".repeat(60));
        for (scope, headline) in [
            (scope(None, &[], &[]), "equal"),
            (scope(Some(&["ks001", "shop.orders"]), &[], &[]), "equal within ks001, shop.orders"),
            (scope(Some(&["ks001"]), &[], &[SNAPSHOTS]), "equal within ks001; snapshots left out"),
            (scope(None, &[], &[SNAPSHOTS]), "equal; snapshots left out"),
            (scope(None, &["glob:**/*.log"], &[]), "equal; glob:**/*.log left out"),
            (scope(None, &[&long], &[]), "equal; 1 exclusion pattern"),
            (scope(None, &["glob:**/*.log"], &[SNAPSHOTS]), "equal; 2 exclusion patterns"),
            (scope(Some(&["a", "b", "c", "d", "e"]), &[], &[]), "equal within a, b, c, d, e"),
            (scope(Some(&["a", "b", "c", "d", "e", "f"]), &[], &[]), "equal within a, b, c, d, e and 1 more"),
            (scope(Some(&[]), &[], &[]), "equal within nothing that both sides hold"),
        ] {
            assert_eq!(scope.headline("equal"), headline);
        }
        let other = Scope { source_rules: SourceRules::Different, ..scope(None, &[], &[SNAPSHOTS]) };
        assert_eq!(other.headline("equal"), "equal; snapshots left out; other rules at the source");
    }

    #[test]
    fn what_was_not_compared_stands_behind_everything_else() {
        let all = vec![NotCompared::ModificationTimes, NotCompared::Sizes, NotCompared::EmptyDirectories];
        for (filters, not_compared, headline) in [
            (&[][..], vec![], "equal; snapshots left out"),
            (&[], all, "equal; snapshots left out; modification times, sizes and empty directories not compared"),
            (
                &["--include *.db", "--exclude /tmp"],
                vec![NotCompared::ModificationTimes],
                "equal; snapshots left out; only by --include *.db; without /tmp; modification times not compared",
            ),
            (&["--exclude *.tmp", "--exclude a/"], vec![], "equal; snapshots left out; without *.tmp a/"),
            (&[&format!("--exclude {}", "x".repeat(61))], vec![], "equal; snapshots left out; without 1 pattern"),
            (&[&"x".repeat(61)], vec![], "equal; snapshots left out; only by 1 filter"),
        ] {
            let limits = ScopeLimits { filters: texts(filters), not_compared, checksums: None };
            assert_eq!(Scope { limits, ..scope(None, &[], &[SNAPSHOTS]) }.headline("equal"), headline);
        }
    }

    #[test]
    fn json_has_texts_and_lists() {
        let scope = Scope { source_rules: SourceRules::Unknown, ..scope(Some(&["ks"]), &[], &[SNAPSHOTS]) };
        let json = serde_json::json!({
            "roots": ["data/0"],
            "selection": ["ks"],
            "filesExcluded": [],
            "directoriesExcluded": [SNAPSHOTS],
            "sourceRules": "unknown",
        });
        assert_eq!(serde_json::to_value(&scope).unwrap(), json);
        assert_eq!(serde_json::from_value::<Scope>(json).unwrap(), scope);
    }
}
