//! Which file systems note every write to a file in its times.

use std::os::fd::BorrowedFd;

use rustix::fs::{fstat, fstatfs};

/// Those that note the first write through any new memory map, and grant a lease only where nobody else can write, by their numbers in
/// `linux/magic.h`: ext2 to ext4, XFS, Btrfs and F2FS. On tmpfs a map that was read first is written without any trace; on overlays and
/// over the network a lease does not know of all writers.
const TELLING: [i64; 4] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010];

/// The device of an open directory, where every write to its files shows in their times; `None` where not, or where that is not known.
#[allow(clippy::unnecessary_cast, reason = "the fields' types differ between systems")]
pub(super) fn telling_device(directory: BorrowedFd<'_>) -> Option<u64> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let kind = fstatfs(directory).ok()?.f_type as i64;
    TELLING.contains(&(kind & 0xffff_ffff)).then_some(())?;
    Some(fstat(directory).ok()?.st_dev as u64)
}
