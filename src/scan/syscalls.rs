//! Calls that no safe crate has: leases on files (`fcntl(2)`), `cachestat(2)`, `getrusage(2)` of a thread, advice on memory that is borrowed
//! (`madvise(2)`), and `mallopt(3)` of the C library. rustix wraps none of them safely. This is the only module with `unsafe` code, which is denied everywhere else; where there are no leases, `lease` goes
//! without, where the page cache cannot be asked, `page_cache` does, and another C library keeps what it keeps.
#![allow(unsafe_code, reason = "a system call that no safe crate has")]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Takes a read lease: granted only where nobody has the file open for writing or mapped from such a descriptor, and from then on
/// whoever wants to waits until it is given up, or 45 seconds (`/proc/sys/fs/lease-break-time`). The process gets SIGIO then.
pub(super) fn take_read_lease(file: BorrowedFd<'_>) -> io::Result<()> {
    set_lease(file, libc::F_RDLCK)
}

/// Gives a lease up; what closing the file does as well.
pub(super) fn give_up_lease(file: BorrowedFd<'_>) -> io::Result<()> {
    set_lease(file, libc::F_UNLCK)
}

/// Whether this descriptor has a read lease that nobody waits for the end of.
pub(super) fn has_read_lease(file: BorrowedFd<'_>) -> bool {
    // SAFETY: `fcntl` with `F_GETLEASE` takes no argument and touches no memory of this process. The descriptor is open as long as
    // it is borrowed; were it not, the answer would be an error.
    let lease = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLEASE) };
    lease == libc::F_RDLCK
}

fn set_lease(file: BorrowedFd<'_>, lease: libc::c_int) -> io::Result<()> {
    // SAFETY: `fcntl` with `F_SETLEASE` takes one integer and touches no memory of this process. The descriptor is open as long as
    // it is borrowed; were it not, the answer would be an error.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, lease) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// `cachestat(2)`, under one number on every architecture; libc has it for few.
const SYS_CACHESTAT: libc::c_long = 451;

/// How many pages of `length` bytes of a file from `offset` on the page cache holds, without disturbing it. Fails with ENOSYS before Linux
/// 6.5, and with EPERM where this process is neither the owner of the file nor may write to it.
pub(super) fn cached_pages(file: BorrowedFd<'_>, offset: u64, length: u64) -> io::Result<u64> {
    /// `struct cachestat_range` of `linux/mman.h`.
    #[repr(C)]
    struct Range {
        offset: u64,
        length: u64,
    }
    /// `struct cachestat` of `linux/mman.h`.
    #[repr(C)]
    #[derive(Default)]
    struct Pages {
        cached: u64,
        dirty: u64,
        writeback: u64,
        evicted: u64,
        recently_evicted: u64,
    }
    let range = Range { offset, length };
    let mut pages = Pages::default();
    // SAFETY: the kernel reads one range and writes one set of counters; both live until the call has returned and have the layout
    // that the kernel's header gives them. The descriptor is open as long as it is borrowed.
    let done = unsafe { libc::syscall(SYS_CACHESTAT, file.as_raw_fd(), &raw const range, &raw mut pages, 0) };
    if done == 0 { Ok(pages.cached) } else { Err(io::Error::last_os_error()) }
}

/// Gives pieces of memory of at least this many bytes back to the system as soon as they are freed. The C library else raises its bound
/// to 32 MiB by itself, as large pieces come and go, and keeps what was freed below it. Whether it knows the call: only glibc does.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn give_memory_back_from(bytes: u32) -> bool {
    let Ok(bytes) = libc::c_int::try_from(bytes) else { return false };
    // What is free at the end of a heap is else given back from 128 KiB on, and buffers of that size come and go.
    let kept = bytes.saturating_mul(2);
    // SAFETY: `mallopt` takes two integers, takes the allocator's own locks, and touches no memory but the allocator's parameters.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, bytes) == 1 && libc::mallopt(libc::M_TRIM_THRESHOLD, kept) == 1 }
}

/// Another C library is left as it is.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_memory_back_from(_: u32) -> bool {
    false
}

/// Bytes that the calling thread made disks and network file systems read since it started (`ru_inblock` of getrusage(2), which counts
/// blocks of 512 bytes); 0 where the kernel does not count them.
pub(super) fn thread_media_bytes() -> u64 {
    /// The blocks that `ru_inblock` counts, in bytes.
    const BLOCK_BYTES: u64 = 512;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel writes one `struct rusage`, which lives until the call has returned. One of zeros is valid.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
        usage.assume_init()
    };
    u64::try_from(usage.ru_inblock).unwrap_or(0) * BLOCK_BYTES
}

/// Asks the system to hold this memory in large pages. It may do otherwise.
pub(super) fn in_large_pages(memory: &mut [u8]) {
    // SAFETY: `MADV_HUGEPAGE` is advice on how memory is held and changes none of it. The range lies in memory that is borrowed; where it
    // does not begin with a page the call fails, and does nothing.
    let _ = unsafe { libc::madvise(memory.as_mut_ptr().cast(), memory.len(), libc::MADV_HUGEPAGE) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd as _;

    /// Whether an address lies in any mapping of this process.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn is_mapped(address: usize) -> bool {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().any(|line| {
            let (from, to) = line.split(' ').next().and_then(|range| range.split_once('-')).unwrap();
            let [from, to] = [from, to].map(|address| usize::from_str_radix(address, 16).unwrap());
            (from..to).contains(&address)
        })
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn large_pieces_go_back_to_the_system_when_they_are_freed() {
        assert!(give_memory_back_from(1 << 20));
        // Freeing this would raise the bound above the pieces below.
        drop(vec![7_u8; 31 << 20]);
        let pieces: Vec<Vec<u8>> = (0..64).map(|_| vec![7; 2 << 20]).collect();
        let addresses: Vec<usize> = pieces.iter().map(|piece| piece.as_ptr().addr()).collect();
        assert!(addresses.iter().all(|address| is_mapped(*address)));
        drop(pieces);
        // Other tests run at the same time, and may have got some of the same addresses.
        let left = addresses.iter().filter(|address| is_mapped(**address)).count();
        assert!(left < 32, "{left} of 64 are still there");
    }

    #[test]
    fn a_lease_is_there_from_when_it_is_taken_until_it_is_given_up() {
        let file = tempfile::NamedTempFile::new_in("target").or_else(|_| tempfile::NamedTempFile::new()).unwrap();
        let reading = File::open(file.path()).unwrap();
        let in_use = take_read_lease(reading.as_fd()).unwrap_err();
        assert!(!has_read_lease(reading.as_fd()), "{in_use}");
        let path = file.into_temp_path();
        if let Err(none) = take_read_lease(reading.as_fd()) {
            return crate::material::missing("leases", &none.to_string());
        }
        assert!(has_read_lease(reading.as_fd()));
        give_up_lease(reading.as_fd()).unwrap();
        assert!(!has_read_lease(reading.as_fd()));
        drop(path);
    }
}
