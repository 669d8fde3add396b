//! The buffer that a thread reads into.

use std::cell::RefCell;

use super::direct::ALIGNMENT;

/// Bytes read at a time: large enough to make system calls cheap, small enough to stay in a core's cache until it is
/// hashed.
pub(super) const BLOCK_BYTES: usize = 1024 * 1024;

/// The used part of a buffer: one direct read of a block sees the end of a file behind it.
const USED_BYTES: usize = BLOCK_BYTES + ALIGNMENT;

/// The size of a large page on x86-64, and on ARM where small ones have 4 KiB. In one of these a block is one piece of memory. A device
/// takes a read as one request only of few pieces (virtio disks: 254), and in small pages a block can be 257.
const LARGE_PAGE_BYTES: usize = 2 << 20;

/// A thread's buffer.
struct Buffer {
    bytes: Vec<u8>,
    /// To what the address of its used part is a multiple; 0 where there is none yet.
    alignment: usize,
}

impl Buffer {
    /// As the system gives it: what is never read into takes no memory, and most threads read small files.
    fn new(alignment: usize) -> Self {
        let held = USED_BYTES.next_multiple_of(alignment);
        let mut buffer = Self { bytes: vec![0; held + alignment], alignment };
        if alignment == LARGE_PAGE_BYTES {
            in_large_pages(buffer.aligned(held));
        }
        buffer
    }

    fn aligned(&mut self, length: usize) -> &mut [u8] {
        let skip = self.bytes.as_ptr().align_offset(self.alignment);
        &mut self.bytes[skip..skip + length]
    }
}

/// This thread's buffer: aligned for direct reads, and longer than [`BLOCK_BYTES`] by [`ALIGNMENT`]; in one piece of memory, where the
/// system has one, if whole blocks are written into it `by_device`.
pub(super) fn with_buffer<T>(by_device: bool, work: impl FnOnce(&mut [u8]) -> T) -> T {
    thread_local! {
        static BUFFER: RefCell<Buffer> = const { RefCell::new(Buffer { bytes: Vec::new(), alignment: 0 }) };
    }
    let alignment = if by_device { LARGE_PAGE_BYTES } else { ALIGNMENT };
    // No rayon call happens while the buffer is borrowed, so no stolen job can borrow it a second time.
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.alignment < alignment {
            *buffer = Buffer::new(alignment);
        }
        work(buffer.aligned(USED_BYTES))
    })
}

#[cfg(target_os = "linux")]
use super::syscalls::in_large_pages;

/// Elsewhere memory is held as the system likes.
#[cfg(not(target_os = "linux"))]
fn in_large_pages(_: &mut [u8]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_aligned_and_large_enough_whatever_came_before() {
        for by_device in [false, true, false] {
            let (address, length) = with_buffer(by_device, |buffer| {
                buffer.fill(7);
                (buffer.as_ptr(), buffer.len())
            });
            assert_eq!((address.align_offset(ALIGNMENT), length), (0, USED_BYTES));
            if by_device {
                assert_eq!(address.align_offset(LARGE_PAGE_BYTES), 0);
            }
        }
    }

    /// The system is asked for a large page, and holds the whole buffer in it where it has them at all.
    #[test]
    #[cfg(target_os = "linux")]
    fn what_a_device_writes_into_lies_in_a_large_page() {
        let enabled = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
        if !enabled.contains("[madvise]") && !enabled.contains("[always]") {
            return eprintln!("not checked: the system has no large pages");
        }
        let advised = with_buffer(true, |buffer| {
            buffer.fill(7);
            flags_of(buffer.as_ptr().addr())
        });
        assert!(advised.split(' ').any(|flag| flag == "hg"), "{advised}");
    }

    /// The flags of the mapping that an address lies in (`VmFlags` of `/proc/self/smaps`, proc_pid_smaps(5)).
    #[cfg(target_os = "linux")]
    fn flags_of(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let bound = |text: &str| usize::from_str_radix(text, 16).ok();
            if let Some((Some(from), Some(to))) = range.map(|(from, to)| (bound(from), bound(to))) {
                inside = from <= address && address + LARGE_PAGE_BYTES <= to;
            }
            if let (true, Some(flags)) = (inside, line.strip_prefix("VmFlags:")) {
                return flags.to_owned();
            }
        }
        String::new()
    }
}
