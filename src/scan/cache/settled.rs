//! When a file's times can be trusted to show that nothing changed since.

use std::time::Duration;

use crate::scan::identity::FileIdentity;

/// How much older than the read its file must be: two seconds are the step of the coarsest clock a common file system has
/// (FAT). A file that changed later than that may change again, within the same step, without its times telling.
const GRAIN: Duration = Duration::from_secs(2);

/// Whether a read that began at `read_began` (nanoseconds since the epoch) saw the last state the file's change time can
/// tell. A change time in the future, from another machine's clock, is never settled.
pub(in crate::scan) fn settled(identity: &FileIdentity, read_began: i128) -> bool {
    identity.changed_nanos().saturating_add(GRAIN.as_nanos() as i128) <= read_began
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::clock::now_nanos;

    #[test]
    fn a_file_is_settled_two_seconds_after_it_changed_and_never_before() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let now = FileIdentity::of(&rustix::fs::fstat(&file).unwrap());
        let identity = FileIdentity { changed: (1_700_000_000, 6), ..now };
        let second = 1_000_000_000;
        let changed = 1_700_000_000 * second + 6;
        assert!(!settled(&identity, changed));
        assert!(!settled(&identity, changed + 2 * second - 1));
        assert!(settled(&identity, changed + 2 * second));
        assert!(!settled(&FileIdentity { changed: (i64::MAX, 0), ..identity }, now_nanos()));
    }
}
