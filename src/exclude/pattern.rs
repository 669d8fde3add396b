//! One pattern: its text checked and taken apart, then compiled for a directory.

use regex::{Regex, RegexBuilder};

use super::error::PatternError;
use super::limits::{MAX_COMPILED_BYTES, MAX_PATTERN_BYTES};
use super::placeholder::{Placeholder, substitute};
use super::{java_glob, java_regex};
use crate::model::RootId;

/// Stands in for a directory where a pattern is only checked.
const ANY_HOME: &str = "/directory";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syntax {
    Glob,
    Regex,
}

/// A pattern that was checked: its syntax and placeholders are known, and Java's meaning can be given to all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    syntax: Syntax,
    /// Where the body begins in the text.
    body: usize,
    placeholder: Option<Placeholder>,
}

impl Pattern {
    /// Checks the whole pattern, body included.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::TooLong { beginning: text.chars().take(60).collect(), length: text.len() });
        }
        let pattern = || text.to_owned();
        let (name, body) = match text.split_once(':') {
            None | Some(("", _)) => return Err(PatternError::NoSyntax { pattern: pattern() }),
            Some(parts) => parts,
        };
        let syntax = if name.eq_ignore_ascii_case("glob") {
            Syntax::Glob
        } else if name.eq_ignore_ascii_case("regex") {
            Syntax::Regex
        } else {
            return Err(PatternError::UnknownSyntax { pattern: pattern(), syntax: name.to_owned() });
        };
        let placeholder = Placeholder::first_of(body)
            .map_err(|placeholder| PatternError::UnknownPlaceholder { pattern: pattern(), placeholder })?;
        let checked = Self { text: pattern(), syntax, body: name.len() + 1, placeholder };
        checked.compile(ANY_HOME)?;
        Ok(checked)
    }

    /// The pattern as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the pattern is asked at all below this root. One without a placeholder always is.
    pub(super) fn applies_to(&self, root: RootId) -> bool {
        self.placeholder.as_ref().is_none_or(|placeholder| placeholder.names(root))
    }

    /// The matcher for a directory. It matches in full, as Java's does.
    pub(super) fn compile(&self, home: &str) -> Result<Regex, PatternError> {
        let symbols = substitute(&self.text[self.body..], self.placeholder.as_ref(), home);
        let translated = match self.syntax {
            Syntax::Glob => java_glob::translate(&symbols),
            Syntax::Regex => java_regex::translate(symbols),
        };
        let translated = translated.map_err(|error| error.of(&self.text))?;
        // The translations are well-formed by construction, so what can still go wrong is their size (or, through
        // the nesting the engine allows, their depth, which is the same fact to whoever wrote the pattern).
        RegexBuilder::new(&format!(r"\A(?:{translated})\z"))
            .size_limit(MAX_COMPILED_BYTES)
            .build()
            .map_err(|_| PatternError::TooLarge { pattern: self.text.clone() })
    }
}
