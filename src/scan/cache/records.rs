//! How a digest is recorded: what the store's table holds, and when a record is that of a file.

use std::sync::LazyLock;

use redb::TableDefinition;

use crate::model::Blake3Digest;
use crate::scan::identity::FileIdentity;

/// Device and inode.
pub(super) type Key = (u64, u64);

/// Size, modification time and change time (seconds and nanoseconds each), the second of the read, the BLAKE3, and the check.
pub(super) type Record = (u64, i64, i64, i64, i64, i64, [u8; 32], [u8; CHECK]);

/// A file that takes another's inode takes its record.
pub(super) const DIGESTS: TableDefinition<'_, Key, Record> = TableDefinition::new("blake3 v2");

/// Bytes of a check: no accident passes, so no wrong digest is ever believed for a flipped bit.
const CHECK: usize = 16;

/// The context string of the check, in BLAKE3's key-derivation mode.
const CONTEXT: &str = "twintree digest cache, check of a record and its key";

/// What the store says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recorded {
    /// The second of the read, and the digest.
    Digest(i64, Blake3Digest),
    /// The record is that of another state of the file, or of another file.
    Other,
    /// It is not what was written there.
    Damaged,
}

/// Where a file's record stands.
pub(super) fn key(identity: &FileIdentity) -> Key {
    (identity.device, identity.inode)
}

/// The record of a file that was read in the second `read`.
pub(super) fn record(identity: &FileIdentity, read: i64, digest: Blake3Digest) -> Record {
    let (modified, changed) = (identity.modified, identity.changed);
    let unchecked = (identity.size, modified.0, modified.1, changed.0, changed.1, read, digest.0, [0; CHECK]);
    let (size, m, mn, c, cn, read, digest, _) = unchecked;
    (size, m, mn, c, cn, read, digest, check(key(identity), &unchecked))
}

/// What a record says of a file with exactly this identity.
pub(super) fn recorded(record: Record, identity: &FileIdentity) -> Recorded {
    if record.7 != check(key(identity), &record) {
        return Recorded::Damaged;
    }
    let (size, modified, modified_nanos, changed, changed_nanos, read, digest, _) = record;
    let same = size == identity.size
        && (modified, modified_nanos) == identity.modified
        && (changed, changed_nanos) == identity.changed;
    if same { Recorded::Digest(read, Blake3Digest(digest)) } else { Recorded::Other }
}

/// The check of a record, its key among what is checked: two records that were exchanged are damaged, both.
fn check((device, inode): Key, record: &Record) -> [u8; CHECK] {
    static KEYED: LazyLock<blake3::Hasher> = LazyLock::new(|| blake3::Hasher::new_derive_key(CONTEXT));
    let (size, modified, modified_nanos, changed, changed_nanos, read, digest, _) = record;
    let mut hasher = KEYED.clone();
    for part in [device, inode, *size] {
        hasher.update(&part.to_le_bytes());
    }
    for part in [modified, modified_nanos, changed, changed_nanos, read] {
        hasher.update(&part.to_le_bytes());
    }
    hasher.update(digest);
    let mut check = [0; CHECK];
    hasher.finalize_xof().fill(&mut check);
    check
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
        assert_eq!(recorded(record(&file, 70, digest), &file), Recorded::Digest(70, digest));
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
            let expected = if key(&other) == key(&file) { Recorded::Other } else { Recorded::Damaged };
            assert_eq!(recorded(record(&file, 70, digest), &other), expected, "{other:?}");
        }
    }

    #[test]
    fn a_record_with_a_changed_field_is_damaged() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let file = FileIdentity::of(&rustix::fs::fstat(&file).unwrap());
        let sound = record(&file, 70, Blake3Digest([9; 32]));
        let mut flipped = [sound; 8];
        flipped[0].0 ^= 1;
        flipped[1].1 ^= 1;
        flipped[2].2 ^= 1;
        flipped[3].3 ^= 1;
        flipped[4].4 ^= 1;
        flipped[5].5 ^= 1;
        flipped[6].6[31] ^= 1;
        flipped[7].7[15] ^= 1;
        flipped.into_iter().for_each(|record| assert_eq!(recorded(record, &file), Recorded::Damaged));
    }

    #[test]
    fn seconds_are_rounded_down_before_the_epoch_too() {
        let nanos = [0, 999_999_999, 1_000_000_000, -1, i128::MAX];
        assert_eq!(nanos.map(seconds), [0, 0, 1, -1, i64::MAX]);
    }
}
