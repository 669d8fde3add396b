//! How much this process has read from media.

/// Bytes that this process made its disks and network file systems read since it started, reading ahead and the system's own tables
/// included (`read_bytes` of `/proc/self/io`, proc_pid_io(5)); `None` where the system does not count.
pub(super) fn media_bytes() -> Option<u64> {
    let counters = std::fs::read_to_string("/proc/self/io").ok()?;
    counters.lines().find_map(|line| line.strip_prefix("read_bytes: "))?.parse().ok()
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn what_is_read_from_a_disk_is_counted() {
        let Some(before) = media_bytes() else {
            return crate::material::missing("cold-cache", "the system does not count what is read");
        };
        let mut file = tempfile::tempfile_in("target").or_else(|_| tempfile::tempfile()).unwrap();
        file.write_all(&vec![7; 1 << 20]).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        let mut buffer = vec![0; 1 << 20];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut buffer, 0).unwrap();
        if media_bytes().unwrap() - before < 1 << 20 {
            crate::material::missing("cold-cache", "the build lies in memory");
        }
    }
}
