//! Digests of earlier reads, remembered by the identity of the file, so that what did not change is not read again.
//!
//! A record is believed only where device, inode, size, modification time and change time are those of the read it came
//! from. That is no proof: see `docs/guarantees.md` for what it takes for granted. It is off unless asked for, and a
//! report says what was trusted.

mod store;

pub use store::{CacheError, CacheView, DigestCache};

use std::time::Duration;

use super::identity::FileIdentity;

/// How much older than the read its file must be: two seconds are the step of the coarsest clock a common file system has
/// (FAT). A file that changed later than that may change again, within the same step, without its times telling.
const GRAIN: Duration = Duration::from_secs(2);

/// Whether a read that began at `read_began` (nanoseconds since the epoch) saw the last state the file's change time can
/// tell. A change time in the future, from another machine's clock, never is settled.
pub(super) fn settled(identity: &FileIdentity, read_began: i128) -> bool {
    identity.changed_nanos().saturating_add(GRAIN.as_nanos() as i128) <= read_began
}

/// Nanoseconds since the epoch.
pub(super) fn now_nanos() -> i128 {
    jiff::Timestamp::now().as_nanosecond()
}
