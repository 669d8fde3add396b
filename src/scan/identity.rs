//! The identity of a file: what must not change while it is read.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::num::NonZeroU64;

use rustix::fs::{FileType, Stat};

/// Device, inode, size, modification and change time of a file at one moment.
///
/// Two equal identities around a read mean that no write, truncation or replacement happened in between, to the grain
/// of the file system's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) modified: Timestamp,
    pub(super) changed: Timestamp,
    pub(super) kind: FileType,
}

/// A look at a file, in eight bytes: two looks are the same where the identities were, and one in 2^64 others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look(NonZeroU64);

/// What all names of one file have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    device: u64,
    inode: u64,
}

/// Seconds and nanoseconds since the epoch.
type Timestamp = (i64, i64);

#[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "the fields' types differ between systems")]
impl FileIdentity {
    /// What a look at the file says.
    pub fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: size(stat),
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            kind: FileType::from_raw_mode(stat.st_mode as _),
        }
    }

    /// The file behind all of its names.
    pub fn file_id(&self) -> FileId {
        FileId { device: self.device, inode: self.inode }
    }

    /// The identity as a [`Look`].
    pub fn look(&self) -> Look {
        let mut hasher = DefaultHasher::new();
        (self.device, self.inode, self.size, self.modified, self.changed).hash(&mut hasher);
        Look(NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MAX))
    }

    /// Change time in nanoseconds since the epoch.
    pub(super) fn changed_nanos(&self) -> i128 {
        i128::from(self.changed.0) * 1_000_000_000 + i128::from(self.changed.1)
    }

    /// No less than the grain of the clock behind the change time, in milliseconds: 10 at most where times have fractions
    /// (a kernel's slowest tick), and 2,000 where they have none (FAT).
    pub(super) fn tick_ms(&self) -> u32 {
        if self.changed.1 == 0 { 2_100 } else { 20 }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn is_regular(&self) -> bool {
        self.kind == FileType::RegularFile
    }

    /// The modification time in milliseconds since the epoch, rounded down as the Sidecar does; `None` where 64 bits do not
    /// hold it.
    pub(super) fn modified_ms(&self) -> Option<i64> {
        floor_ms(self.modified)
    }

    /// Whether both were of one file, however it changed in between.
    pub(super) fn same_file(&self, other: &Self) -> bool {
        self.file_id() == other.file_id()
    }

    /// A text that changes with everything but the device.
    pub(super) fn tag(&self) -> String {
        let (modified, changed) = (self.modified, self.changed);
        format!("{:x}-{:x}-{:x}.{:x}-{:x}.{:x}", self.inode, self.size, modified.0, modified.1, changed.0, changed.1)
    }
}

/// The size in bytes; a negative one, which no file system should report, becomes 0 and then fails the read.
pub(super) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// The modification time of a directory in milliseconds since the epoch, which is shown and never compared; 0 where 64 bits
/// do not hold it.
pub(super) fn directory_ms(stat: &Stat) -> i64 {
    FileIdentity::of(stat).modified_ms().unwrap_or(0)
}

/// Nanoseconds are never negative, so dividing them rounds down before the epoch too. Two times too far for 64 bits of
/// milliseconds must not look the same, so they are none.
fn floor_ms((seconds, nanoseconds): Timestamp) -> Option<i64> {
    seconds.checked_mul(1000)?.checked_add(nanoseconds / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let of = |path: &std::path::Path| FileIdentity::of(&rustix::fs::stat(path).unwrap());
        let file = dir.path().join("file");
        std::fs::write(&file, b"").unwrap();
        assert!(of(&file).is_regular());
        assert!(!of(dir.path()).is_regular());
        assert!(of(&file).same_file(&of(&file)) && !of(&file).same_file(&of(dir.path())));
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_micros(1_234_567);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        assert_eq!((directory_ms(&rustix::fs::stat(&file).unwrap()), of(&file).modified_ms()), (1234, Some(1234)));
    }

    #[test]
    fn times_before_the_epoch_round_down() {
        assert_eq!(floor_ms((0, 1_999_999)), Some(1));
        assert_eq!(floor_ms((-1, 999_999_999)), Some(-1));
        assert_eq!(floor_ms((-1, 0)), Some(-1000));
    }

    #[test]
    fn times_beyond_64_bits_are_none_and_never_the_same() {
        let most = i64::MAX / 1000;
        assert_eq!(floor_ms((most, 0)), Some(most * 1000));
        assert_eq!(floor_ms((most + 1, 0)), None);
        assert_eq!(floor_ms((i64::MAX, 0)), None);
        assert_eq!(floor_ms((i64::MIN, 0)), None);
    }
}
