//! Why a pattern cannot be used.

use super::limits::MAX_PATTERN_BYTES;

/// A mistake in one exclusion pattern, or something in it that cannot be given Java's meaning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The text does not begin with a name and a colon.
    #[error("exclusion pattern {pattern:?} names no syntax: expected \"glob:\" or \"regex:\" at its beginning")]
    NoSyntax {
        /// The whole pattern.
        pattern: String,
    },
    /// The name before the colon is neither `glob` nor `regex`.
    #[error("exclusion pattern {pattern:?} has the unknown syntax {syntax:?}: expected \"glob:\" or \"regex:\"")]
    UnknownSyntax {
        /// The whole pattern.
        pattern: String,
        /// What stands before the first colon.
        syntax: String,
    },
    /// A `${...}` that names no directory.
    #[error(
        "exclusion pattern {pattern:?} has the unknown placeholder {placeholder:?}: expected ${{DATA_FILE_DIR}}, \
         ${{DATA_FILE_DIR_<index>}}, ${{COMMITLOG_DIR}}, ${{HINTS_DIR}}, ${{SAVED_CACHES_DIR}}, ${{CDC_RAW_DIR}} or \
         ${{LOCAL_SYSTEM_DATA_FILE_DIR}}"
    )]
    UnknownPlaceholder {
        /// The whole pattern.
        pattern: String,
        /// The placeholder with its braces.
        placeholder: String,
    },
    /// The pattern is longer than [`MAX_PATTERN_BYTES`].
    #[error(
        "an exclusion pattern that begins with {beginning:?} has {length} bytes: expected at most {MAX_PATTERN_BYTES}"
    )]
    TooLong {
        /// Its first characters.
        beginning: String,
        /// Its length in bytes.
        length: usize,
    },
    /// Java refuses the pattern too.
    #[error("exclusion pattern {pattern:?} is malformed at {construct}: expected {expected}")]
    Malformed {
        /// The whole pattern.
        pattern: String,
        /// The part that is wrong.
        construct: String,
        /// What would be right.
        expected: &'static str,
    },
    /// Java takes the pattern, but its meaning there cannot be kept here.
    #[error("exclusion pattern {pattern:?} uses {construct}, which is not supported: expected {expected}")]
    Unsupported {
        /// The whole pattern.
        pattern: String,
        /// The construct's name.
        construct: String,
        /// What to write in its place.
        expected: &'static str,
    },
    /// The matcher made of the pattern would take too much memory.
    #[error("exclusion pattern {pattern:?} is too large once compiled: expected fewer or smaller repetitions")]
    TooLarge {
        /// The whole pattern.
        pattern: String,
    },
}
