//! Emptying the page cache.

use std::io::Write as _;

/// Writes what is not on disk, and drops all pages, directory entries and inodes that the system caches. False where that is not
/// allowed: only the system's administrator may.
pub fn drop_caches() -> bool {
    rustix::fs::sync();
    let file = std::fs::File::options().write(true).open("/proc/sys/vm/drop_caches");
    file.and_then(|mut file| file.write_all(b"3\n")).is_ok()
}
