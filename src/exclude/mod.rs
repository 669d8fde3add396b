//! Exclusion rules: Java `glob:` and `regex:` patterns with directory placeholders, as one matcher. No I/O.
//!
//! An operator writes the rules once, for the Sidecar, and both products must leave out the same entries, so a pattern
//! means here what Java's `PathMatcher` makes of it, asked of an entry's absolute path and matched in full. What cannot
//! be given that meaning is refused when the rules are compiled; no pattern is ever silently read in another way.
//!
//! - [`Rules`] are the patterns of an instance, checked, with the fingerprint that two hosts compare.
//! - [`RootRules`] are what they come to for one root, once it is known where that root lies.
//!
//! [`Filter`] is another thing: what somebody wants to see of two trees, in the globs that `.gitignore` files have. A filter is part of one
//! comparison, and no part of the rules of an instance.
//!
//! Java matches on characters and file names are bytes: a name that is UTF-8 is matched by characters, and each byte
//! that is no UTF-8 counts as one replacement character (U+FFFD).

mod body_error;
mod error;
mod filter;
mod java_class;
mod java_cursor;
mod java_glob;
mod java_group;
mod java_quantifier;
mod java_regex;
mod limits;
mod notation;
mod only;
mod pattern;
mod placeholder;
mod rules;

pub use error::PatternError;
pub use filter::{Filter, FilterError, FilterTexts};
pub use limits::MAX_PATTERN_BYTES;
pub use only::{only_texts, take_selection};
pub use pattern::Pattern;
pub use rules::{RootRules, Rules, fingerprint_of};
