//! Digests of earlier reads, remembered by the identity of the file, so that what did not change is not read again.
//!
//! A record is believed only where device, inode, size, modification time and change time are those of the read it came
//! from. That is no proof: see `docs/guarantees.md` for what it takes for granted. It is off unless asked for, and a
//! report says what was trusted.

mod digest_cache;
mod discard;
#[cfg(test)]
mod discredit_tests;
mod file;
mod records;
mod settled;
mod store;
#[cfg(test)]
mod store_tests;
mod view;

pub use digest_cache::DigestCache;
pub use file::CacheError;
pub(super) use settled::settled;
pub use view::CacheView;
