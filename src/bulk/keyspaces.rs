//! Keyspaces and tables by pattern: `shop*` is every keyspace whose name begins so, `audit.ev*` are tables of one. Pure.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use regex::Regex;

use crate::model::{Selection, SelectionError, quoted};

/// The longest pattern, in characters.
const MAX_CHARACTERS: usize = 500;

/// One pattern: a keyspace or `keyspace.table`, where `*` is any run of the characters that names have, and `?` is any one of them.
#[derive(Debug, Clone)]
pub struct KeyspacePattern {
    text: String,
    keyspace: Regex,
    table: Option<Regex>,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} names no keyspace; expected keyspace or keyspace.table, of letters, digits and underscores, with * and ? as wildcards",
    quoted(.0)
)]
pub struct NoPattern(String);

impl FromStr for KeyspacePattern {
    type Err = NoPattern;

    fn from_str(text: &str) -> Result<Self, NoPattern> {
        let part = |part: &str| {
            let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'*' | b'?');
            let sound = !part.is_empty() && part.len() <= MAX_CHARACTERS && part.bytes().all(known);
            let pattern = format!("^{}$", part.replace('*', "[A-Za-z0-9_]*").replace('?', "[A-Za-z0-9_]"));
            sound.then(|| Regex::new(&pattern).ok()).flatten().ok_or_else(|| NoPattern(text.to_owned()))
        };
        let (keyspace, table) = match text.split_once('.') {
            Some((keyspace, table)) => (part(keyspace)?, Some(part(table)?)),
            None => (part(text)?, None),
        };
        Ok(Self { text: text.to_owned(), keyspace, table })
    }
}

impl fmt::Display for KeyspacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for KeyspacePattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for KeyspacePattern {}

impl KeyspacePattern {
    /// Whether it is a name, and so means the same wherever it is asked.
    pub fn is_name(&self) -> bool {
        !self.text.contains(['*', '?'])
    }

    /// The names that it means among these keyspaces and tables.
    fn matches<'a>(&'a self, names: &'a [(String, Option<String>)]) -> impl Iterator<Item = String> + 'a {
        names.iter().filter_map(|(keyspace, table)| {
            let fits = self.keyspace.is_match(keyspace);
            match (&self.table, table) {
                (None, None) if fits => Some(keyspace.clone()),
                (Some(pattern), Some(table)) if fits && pattern.is_match(table) => Some(format!("{keyspace}.{table}")),
                _ => None,
            }
        })
    }
}

/// The patterns that a comparison is restricted to; never none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyspacePatterns(Vec<KeyspacePattern>);

/// Patterns that match nothing on either side: nothing would be compared for them, which is no equality.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmatched {
    /// These.
    #[error("keyspaces: on neither side is anything that matches {}", .0.join(", "))]
    Patterns(Vec<String>),
    /// What they match cannot be named in a selection.
    #[error("keyspaces: {0}")]
    Selection(#[from] SelectionError),
}

impl KeyspacePatterns {
    /// `None` where there are none.
    pub fn new(patterns: Vec<KeyspacePattern>) -> Option<Self> {
        (!patterns.is_empty()).then_some(Self(patterns))
    }

    /// The patterns as they were written.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(KeyspacePattern::to_string).collect()
    }

    /// The first that is no name.
    pub fn wildcard(&self) -> Option<&KeyspacePattern> {
        self.0.iter().find(|pattern| !pattern.is_name())
    }

    /// The names that the patterns mean among the keyspaces and tables of both sides. A name must be there as a pattern must match.
    pub fn resolve(&self, names: &[(String, Option<String>)]) -> Result<Vec<String>, Unmatched> {
        let mut found = BTreeSet::new();
        let mut unmatched = Vec::new();
        for pattern in &self.0 {
            let before = found.len();
            let mut matched = 0;
            found.extend(pattern.matches(names).inspect(|_| matched += 1));
            if matched == 0 && found.len() == before {
                unmatched.push(pattern.to_string());
            }
        }
        if !unmatched.is_empty() {
            return Err(Unmatched::Patterns(unmatched));
        }
        let found: Vec<String> = found.into_iter().collect();
        Ok(Selection::parse(&found)?.names())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> KeyspacePatterns {
        KeyspacePatterns::new(texts.iter().map(|text| text.parse().unwrap()).collect()).unwrap()
    }

    fn names(texts: &[&str]) -> Vec<(String, Option<String>)> {
        let name = |text: &&str| match text.split_once('.') {
            Some((keyspace, table)) => (keyspace.to_owned(), Some(table.to_owned())),
            None => ((*text).to_owned(), None),
        };
        texts.iter().map(name).collect()
    }

    #[test]
    fn patterns_mean_what_is_there() {
        let names = names(&[
            "shop1",
            "shop1.a",
            "shop22",
            "shop22.a",
            "shop22.b",
            "audit",
            "audit.events",
            "ashop",
            "lost+found",
        ]);
        for (given, expected) in [
            (&["shop*"][..], &["shop1", "shop22"][..]),
            (&["shop?"], &["shop1"]),
            (&["*"], &["ashop", "audit", "shop1", "shop22"]),
            (&["shop*.a", "audit.events"], &["audit.events", "shop1.a", "shop22.a"]),
            (&["shop22", "shop22.b"], &["shop22"]),
            (&["*.b"], &["shop22.b"]),
        ] {
            assert_eq!(patterns(given).resolve(&names).unwrap(), expected, "{given:?}");
        }
    }

    #[test]
    fn what_matches_nothing_is_named_and_never_equal() {
        let names = names(&["shop", "shop.a"]);
        let unmatched = |texts: &[&str]| patterns(texts).resolve(&names).unwrap_err().to_string();
        assert_eq!(
            unmatched(&["shop", "audit", "x*", "shop.b*"]),
            "keyspaces: on neither side is anything that matches audit, x*, shop.b*"
        );
        assert_eq!(patterns(&["shop", "s*"]).resolve(&names).unwrap(), ["shop"], "matched twice is matched");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", ".", "a.", ".a", "a.b.c", "a/b", "a-b", "é", "a b", "[a]", "a\n", &"x".repeat(501)] {
            assert!(text.parse::<KeyspacePattern>().is_err(), "{text:?}");
        }
        assert!(patterns(&["a", "b.c"]).wildcard().is_none());
        assert_eq!(patterns(&["a", "b?.c"]).wildcard().unwrap().to_string(), "b?.c");
    }
}
