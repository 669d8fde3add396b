//! What is known of file systems by their kind: which note every write to a file in its times, and whose clock these are by.

use std::os::fd::BorrowedFd;

use rustix::fs::{fstat, fstatfs};

/// Those that note the first write through any new memory map, and grant a lease only where nobody else can write, by their numbers in
/// `linux/magic.h`: ext2 to ext4, XFS, Btrfs and F2FS. On tmpfs a map that was read first is written without any trace; on overlays and
/// over the network a lease does not know of all writers.
const TELLING: [i64; 4] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010];

/// Further ones whose change times are by the clock of the machine that has them mounted: ZFS, bcachefs, JFS, ReiserFS, NILFS2, FAT, exFAT,
/// NTFS (both), HFS+, UDF, tmpfs, ramfs, overlays, ISO 9660, squashfs, EROFS, proc, sysfs and both control groups. By another's may be what
/// comes over a network, from the host of a virtual machine, or out of a program (FUSE).
const OF_THIS_CLOCK: [i64; 21] = [
    0x2fc1_2fc1,
    0xca45_1a4e,
    0x3153_464a,
    0x5265_4973,
    0x3434,
    0x4d44,
    0x2011_bab0,
    0x5346_544e,
    0x7366_746e,
    0x482b,
    0x1501_3346,
    0x0102_1994,
    0x8584_58f6,
    0x794c_7630,
    0x9660,
    0x7371_7368,
    0xe0f5_e1e2,
    0x9fa0,
    0x6265_6572,
    0x0027_e0eb,
    0x6367_7270,
];

/// The device of an open directory, where every write to its files shows in their times; `None` where not, or where that is not known.
#[allow(clippy::unnecessary_cast, reason = "the fields' types differ between systems")]
pub(super) fn telling_device(directory: BorrowedFd<'_>) -> Option<u64> {
    TELLING.contains(&kind_of(directory)?).then_some(())?;
    Some(fstat(directory).ok()?.st_dev as u64)
}

/// Whether change times in an open directory are known to be by the clock of this machine.
pub(super) fn has_own_clock(directory: BorrowedFd<'_>) -> bool {
    kind_of(directory).is_some_and(|kind| TELLING.contains(&kind) || OF_THIS_CLOCK.contains(&kind))
}

/// The number of a file system in `linux/magic.h`; `None` on other systems, which have other numbers.
#[allow(clippy::unnecessary_cast, reason = "the field's type differs between systems")]
fn kind_of(directory: BorrowedFd<'_>) -> Option<i64> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    Some(fstatfs(directory).ok()?.f_type as i64 & 0xffff_ffff)
}
