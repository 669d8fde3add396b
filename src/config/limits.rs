//! How large a configuration may be.

/// The largest file that is read, in bytes.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The most threads that can be asked for: beyond the cores they only wait for a disk, and each takes memory of its own. A larger
/// number is a typing error.
pub const MAX_THREADS: usize = 1024;

/// A number of threads in words.
pub const THREADS: &str = "a whole number from 1 to 1024";
