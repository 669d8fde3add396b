//! How a digest is recorded: what the store's table holds, and when a record is that of a file.

use redb::TableDefinition;

use crate::model::Blake3Digest;
use crate::scan::identity::FileIdentity;

/// Device and inode.
pub(super) type Key = (u64, u64);

/// Size, modification time and change time (seconds and nanoseconds each), the second of the read, and the BLAKE3.
pub(super) type Record = (u64, i64, i64, i64, i64, i64, [u8; 32]);

/// A file that takes another's inode takes its record.
pub(super) const DIGESTS: TableDefinition<'_, Key, Record> = TableDefinition::new("blake3 v1");

/// Where a file's record stands.
pub(super) fn key(identity: &FileIdentity) -> Key {
    (identity.device, identity.inode)
}

/// The record of a file that was read in the second `read`.
pub(super) fn record(identity: &FileIdentity, read: i64, digest: Blake3Digest) -> Record {
    let (modified, changed) = (identity.modified, identity.changed);
    (identity.size, modified.0, modified.1, changed.0, changed.1, read, digest.0)
}

/// The second of the read and the digest; `None` where the record is not that of a file with exactly this identity.
pub(super) fn recorded(record: Record, identity: &FileIdentity) -> Option<(i64, Blake3Digest)> {
    let (size, modified, modified_nanos, changed, changed_nanos, read, digest) = record;
    let same = size == identity.size
        && (modified, modified_nanos) == identity.modified
        && (changed, changed_nanos) == identity.changed;
    same.then_some((read, Blake3Digest(digest)))
}

/// Nanoseconds since the epoch in whole seconds, rounded down.
pub(super) fn seconds(nanos: i128) -> i64 {
    i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_that_of_exactly_one_identity() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let of = FileIdentity::of(&rustix::fs::fstat(&file).unwrap());
        let file = FileIdentity { device: 7, inode: 1, size: 3, modified: (50, 5), changed: (60, 6), ..of };
        let digest = Blake3Digest([9; 32]);
        assert_eq!(recorded(record(&file, 70, digest), &file), Some((70, digest)));
        let others = [
            FileIdentity { device: 8, ..file },
            FileIdentity { inode: 2, ..file },
            FileIdentity { size: 4, ..file },
            FileIdentity { modified: (50, 6), ..file },
            FileIdentity { modified: (49, 5), ..file },
            FileIdentity { changed: (60, 7), ..file },
            FileIdentity { changed: (61, 6), ..file },
        ];
        for other in others {
            let elsewhere = key(&other) != key(&file);
            assert!(elsewhere || recorded(record(&file, 70, digest), &other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn seconds_are_rounded_down_before_the_epoch_too() {
        let nanos = [0, 999_999_999, 1_000_000_000, -1, i128::MAX];
        assert_eq!(nanos.map(seconds), [0, 0, 1, -1, i64::MAX]);
    }
}
