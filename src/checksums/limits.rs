//! How much of a list is taken.

/// The longest list that is read, in bytes: it is held in memory. One of five million files has about as much.
pub const MAX_LIST_BYTES: u64 = 1 << 30;
