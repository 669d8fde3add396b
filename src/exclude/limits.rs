//! How large a pattern may be, as it is written and once it is compiled.

/// The longest pattern accepted, in bytes.
pub const MAX_PATTERN_BYTES: usize = 4096;

/// The memory one compiled pattern may take. A pattern of [`MAX_PATTERN_BYTES`] wildcards stays below it; nested
/// repetitions, which multiply, do not.
pub(super) const MAX_COMPILED_BYTES: usize = 8 << 20;

/// How deep groups may nest; the parser and the engine recurse that deep.
pub(super) const MAX_GROUP_DEPTH: usize = 100;
