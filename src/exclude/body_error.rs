//! What is wrong with the body of a pattern, told before it is known which pattern it stands in.

use super::error::PatternError;

/// A mistake found while a body is translated; [`BodyError::of`] adds the pattern it stands in.
#[derive(Debug)]
pub(super) struct BodyError {
    java_takes_it: bool,
    construct: String,
    expected: &'static str,
}

impl BodyError {
    /// Java refuses it too.
    pub(super) fn malformed(construct: impl Into<String>, expected: &'static str) -> Self {
        Self { java_takes_it: false, construct: construct.into(), expected }
    }

    /// Java takes it, and means something that is not rebuilt here.
    pub(super) fn unsupported(construct: impl Into<String>, expected: &'static str) -> Self {
        Self { java_takes_it: true, construct: construct.into(), expected }
    }

    /// The error of a whole pattern.
    pub(super) fn of(self, pattern: &str) -> PatternError {
        let Self { java_takes_it, construct, expected } = self;
        let pattern = pattern.to_owned();
        if java_takes_it {
            PatternError::Unsupported { pattern, construct, expected }
        } else {
            PatternError::Malformed { pattern, construct, expected }
        }
    }
}
