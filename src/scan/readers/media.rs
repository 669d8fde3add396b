//! How much a thread has read from media.

use std::fs;

/// A thread of this process, by the number that the system has for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ThreadId(i32);

impl ThreadId {
    /// The calling thread; `None` on systems that do not count what a thread reads.
    pub(super) fn own() -> Option<Self> {
        #[cfg(target_os = "linux")]
        return Some(Self(rustix::thread::gettid().as_raw_nonzero().get()));
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// Bytes that the thread made disks and network file systems read since it started, reading ahead and the system's own tables included
    /// (`read_bytes` of `/proc/self/task/TID/io`, proc_pid_io(5)); `None` where the system does not count, or the thread is no more.
    pub(super) fn media_bytes(self) -> Option<u64> {
        let counters = fs::read_to_string(format!("/proc/self/task/{}/io", self.0)).ok()?;
        counters.lines().find_map(|line| line.strip_prefix("read_bytes: "))?.parse().ok()
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn what_is_read_from_a_disk_is_counted() {
        let own = ThreadId::own().unwrap();
        let Some(before) = own.media_bytes() else {
            return crate::material::missing("cold-cache", "the system does not count what is read");
        };
        let mut file = tempfile::tempfile_in("target").or_else(|_| tempfile::tempfile()).unwrap();
        file.write_all(&vec![7; 1 << 20]).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        let mut buffer = vec![0; 1 << 20];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut buffer, 0).unwrap();
        if own.media_bytes().unwrap() - before < 1 << 20 {
            crate::material::missing("cold-cache", "the build lies in memory");
        }
    }
}
