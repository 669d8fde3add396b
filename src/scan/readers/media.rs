//! How much a thread has read from media.

/// Bytes that the calling thread made disks and network file systems read since it started, reading ahead and the system's own tables included;
/// 0 where the system does not count them.
pub(super) fn thread_media_bytes() -> u64 {
    #[cfg(target_os = "linux")]
    return crate::scan::syscalls::thread_media_bytes();
    #[cfg(not(target_os = "linux"))]
    0
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// What /proc says of the calling thread (`read_bytes`, proc_pid_io(5)); `None` where the system does not count.
    fn by_proc() -> Option<u64> {
        let counters = std::fs::read_to_string("/proc/thread-self/io").ok()?;
        counters.lines().find_map(|line| line.strip_prefix("read_bytes: "))?.parse().ok()
    }

    #[test]
    fn what_a_thread_reads_from_a_disk_is_counted() {
        let mut file = tempfile::tempfile_in("target").or_else(|_| tempfile::tempfile()).unwrap();
        file.write_all(&vec![7; 1 << 20]).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        let elsewhere = std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 20];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut buffer, 0).unwrap();
            let before = thread_media_bytes();
            (before, by_proc(), thread_media_bytes())
        });
        let (before, by_proc, after) = elsewhere.join().unwrap();
        // Blocks of 512 bytes are counted here, and bytes there.
        assert!(by_proc.is_none_or(|bytes| before <= bytes && bytes < after + 512), "{before} {by_proc:?} {after}");
        if after < 1 << 20 {
            let why = "the build lies in memory, or the system does not count what is read";
            crate::material::missing("cold-cache", why);
        }
    }
}
