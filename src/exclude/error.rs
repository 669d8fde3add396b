//! Why a pattern cannot be used.

use super::limits::MAX_PATTERN_BYTES;
use crate::model::{quoted, short};

/// A mistake in one exclusion pattern, or something in it that cannot be given Java's meaning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The text does not begin with a name and a colon.
    #[error("exclusion pattern {} names no syntax: expected \"glob:\" or \"regex:\" at its beginning", quoted(pattern))]
    NoSyntax {
        /// The whole pattern.
        pattern: String,
    },
    /// The name before the colon is neither `glob` nor `regex`.
    #[error(
        "exclusion pattern {} has the unknown syntax {}: expected \"glob:\" or \"regex:\"",
        quoted(pattern),
        quoted(syntax)
    )]
    UnknownSyntax {
        /// The whole pattern.
        pattern: String,
        /// What stands before the first colon.
        syntax: String,
    },
    /// A `${...}` that names no directory.
    #[error(
        "exclusion pattern {} has the unknown placeholder {}: expected ${{DATA_FILE_DIR}}, \
         ${{DATA_FILE_DIR_<index>}}, ${{COMMITLOG_DIR}}, ${{HINTS_DIR}}, ${{SAVED_CACHES_DIR}}, ${{CDC_RAW_DIR}} or \
         ${{LOCAL_SYSTEM_DATA_FILE_DIR}}",
        quoted(pattern),
        quoted(placeholder)
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
    #[error("exclusion pattern {} is malformed at {}: expected {expected}", quoted(pattern), short(construct))]
    Malformed {
        /// The whole pattern.
        pattern: String,
        /// The part that is wrong.
        construct: String,
        /// What would be right.
        expected: &'static str,
    },
    /// Java takes the pattern, but its meaning there cannot be kept here.
    #[error(
        "exclusion pattern {} uses {}, which is not supported: expected {expected}",
        quoted(pattern),
        short(construct)
    )]
    Unsupported {
        /// The whole pattern.
        pattern: String,
        /// The construct's name.
        construct: String,
        /// What to write in its place.
        expected: &'static str,
    },
    /// The matcher made of the pattern would take too much memory.
    #[error("exclusion pattern {} is too large once compiled: expected fewer or smaller repetitions", quoted(pattern))]
    TooLarge {
        /// The whole pattern.
        pattern: String,
    },
}
