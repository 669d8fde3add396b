//! How many files and connections the process may have open, and how many connections follow from that.

use crate::scan::held_of;

/// The most connections that are taken, where memory and descriptors are no question. A migration needs some dozens.
const MOST: u64 = 1024;

/// The fewest, below which a service is of no use.
const FEWEST: u64 = 16;

/// Descriptors that are left for everything but connections: roots, walks on all threads, the history.
const OTHERS: u64 = 256;

/// Descriptors for each connection: its own, that of a file it reads, and that of one that waits to be let in.
const EACH: u64 = 3;

/// What a connection takes in memory, in bytes: the head of a request, and what is written to it of small answers.
pub(super) const CONNECTION_BYTES: u64 = 2 * super::accept::BUFFER_BYTES as u64;

/// Makes the system's table of this process's descriptors large enough for so many connections, and what else may be open. It grows by
/// itself, but lets a process of several threads wait tens of milliseconds each time.
pub(super) fn make_room(connections: usize, descriptors: Option<u64>) {
    let last = EACH * connections as u64 + OTHERS + held_of(descriptors);
    // Where so many are not allowed, it grows by itself.
    if let Ok(last) = i32::try_from(last - 1) {
        drop(rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), last));
    }
}

/// How many connections there may be with so many descriptors and so much memory for what others make the service hold, in
/// bytes. Together they take a quarter of the memory at most. Pure.
pub(super) fn most_connections(descriptors: Option<u64>, memory: u64) -> usize {
    let by_descriptors = descriptors.map_or(MOST, |limit| limit.saturating_sub(OTHERS + held_of(Some(limit))) / EACH);
    let most = MOST.min(by_descriptors).min(memory / 4 / CONNECTION_BYTES).max(FEWEST);
    usize::try_from(most).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::raise_limit;

    #[test]
    fn connections_follow_from_descriptors_and_memory() {
        let gigabyte = 1 << 30;
        assert_eq!(most_connections(None, gigabyte), 1024);
        assert_eq!(most_connections(Some(1_000_000), gigabyte), 1024);
        assert_eq!(most_connections(Some(1024), gigabyte), 213);
        assert_eq!(most_connections(Some(100), gigabyte), 16);
        assert_eq!(most_connections(None, 256 << 20), 1024);
        assert_eq!(most_connections(None, 64 << 20), 256);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn room_for_descriptors_is_made_at_once() {
        let descriptors = raise_limit();
        let connections = most_connections(descriptors, u64::MAX);
        make_room(connections, descriptors);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let size: usize = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap().trim().parse().unwrap();
        assert!(size >= 3 * connections, "{size} for {connections} connections");
    }
}
