//! Reads that tell by themselves where their bytes came from.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::pieces::{Pieces, retried};

/// Tells the system that the file is not read from its begin to its end, so that it reads nothing ahead: what it reads ahead
/// would look as if it had been in the cache.
pub(super) fn read_nothing_ahead(file: &File) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Random);
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// Reads until there are `enough` bytes in the buffer, or the file ends. A buffer that is longer shows whether more follow.
///
/// First without waiting, which gives what the cache holds; then, from the first byte it does not hold, from the media,
/// in a way that leaves nothing behind. All of the latter counts as from the media, though the cache may hold parts of it.
#[cfg(target_os = "linux")]
pub(super) fn read(file: &File, buffer: &mut [u8], enough: usize, offset: u64) -> io::Result<Pieces> {
    read_on(file, buffer, enough, offset, Pieces::default())
}

/// The same, where the cache holds the first byte or the system does not say; `None` where a disk has to be waited for. By then the
/// system fetches all that was asked for.
#[cfg(target_os = "linux")]
pub(super) fn read_at_once(file: &File, buffer: &mut [u8], enough: usize, offset: u64) -> io::Result<Option<Pieces>> {
    use std::num::NonZeroU64;

    use rustix::fs::{Advice, fadvise};
    use rustix::io::{Errno, ReadWriteFlags};

    let cached = match preadv2_uncached(file, buffer, offset, ReadWriteFlags::NOWAIT) {
        Ok(0) => return Ok(Some(Pieces::default())),
        Ok(cached) => cached,
        Err(Errno::AGAIN) => {
            // Systems before Linux 5.9 fetch nothing for a read that does not wait. The newest, which know uncached reads, do.
            if !KNOWS_UNCACHED.load(Relaxed) {
                let _ = fadvise(file, offset, NonZeroU64::new(buffer.len() as u64), Advice::WillNeed);
            }
            return Ok(None);
        }
        // What else it is, is found the ordinary way.
        Err(_) => 0,
    };
    read_on(file, buffer, enough, offset, Pieces { cached, ..Pieces::default() }).map(Some)
}

/// Reads what the system was asked for before.
#[cfg(target_os = "linux")]
pub(super) fn read_fetched(file: &File, buffer: &mut [u8], enough: usize, offset: u64) -> io::Result<Pieces> {
    let mut pieces = Pieces::default();
    while pieces.media < enough || is_open_end(buffer.len(), enough, offset, pieces.media) {
        match read_leaving_nothing(file, &mut buffer[pieces.media..], offset + pieces.media as u64)? {
            0 => break,
            read => pieces.media += read,
        }
    }
    Ok(pieces)
}

/// What the cache holds ends where a page does, and so tells nothing about the end of the file there.
#[cfg(target_os = "linux")]
fn is_open_end(buffer: usize, enough: usize, offset: u64, total: usize) -> bool {
    total == enough && buffer > enough && (offset + total as u64).is_multiple_of(PAGE_BYTES)
}

#[cfg(target_os = "linux")]
fn read_on(file: &File, buffer: &mut [u8], enough: usize, offset: u64, begun: Pieces) -> io::Result<Pieces> {
    use rustix::io::{Errno, ReadWriteFlags};

    let mut pieces = begun;
    while pieces.total() < enough || is_open_end(buffer.len(), enough, offset, pieces.total()) {
        let at = pieces.total();
        let position = offset + at as u64;
        // A look that finds nothing makes the system fetch all it asked for.
        let end = if KNOWS_UNCACHED.load(Relaxed) { buffer.len() } else { buffer.len().min(at + DROPPED_BYTES) };
        let rest = &mut buffer[at..end];
        match preadv2_uncached(file, rest, position, ReadWriteFlags::NOWAIT) {
            Ok(0) => break,
            Ok(read) => pieces.cached += read,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => match read_leaving_nothing(file, rest, position)? {
                0 => break,
                read => pieces.media += read,
            },
            // A file system or kernel that does not know the flag.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM) => {
                match retried(|| file.read_at(rest, position))? {
                    0 => break,
                    read => pieces.unknown += read,
                }
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(pieces)
}

/// Since Linux 6.14 the system itself drops what a read fetched, and only that. Before, the range is dropped afterwards,
/// with whatever the cache held of it already, so that it is kept small.
#[cfg(target_os = "linux")]
fn read_leaving_nothing(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    use std::num::NonZeroU64;

    use rustix::fs::{Advice, fadvise};
    use rustix::io::ReadWriteFlags;

    if KNOWS_UNCACHED.load(Relaxed) {
        return retried(|| Ok(preadv2_uncached(file, buffer, offset, ReadWriteFlags::empty())?));
    }
    let read = retried(|| file.read_at(buffer, offset))?;
    // Advice that is not taken harms nothing but the cache.
    let _ = fadvise(file, offset, NonZeroU64::new(read as u64), Advice::DontNeed);
    Ok(read)
}

/// Whether the system itself drops from the cache what a read of this file fetched: not before Linux 6.14, and not on every file
/// system. A read at the `end` of the file fetches nothing.
#[cfg(target_os = "linux")]
pub(super) fn drops_by_itself(file: &File, end: u64) -> bool {
    read_uncached(file, &mut [0], end).is_ok()
}

/// One read that leaves in the cache only what was there; fails with EOPNOTSUPP where the system knows no such reads.
#[cfg(target_os = "linux")]
pub(super) fn read_uncached(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    use std::io::IoSliceMut;

    Ok(rustix::io::preadv2(file, &mut [IoSliceMut::new(buffer)], offset, UNCACHED)?)
}

/// A read that leaves in the cache only what was there, where the system knows such reads; an ordinary one elsewhere.
#[cfg(target_os = "linux")]
fn preadv2_uncached(
    file: &File,
    buffer: &mut [u8],
    offset: u64,
    flags: rustix::io::ReadWriteFlags,
) -> rustix::io::Result<usize> {
    use std::io::IoSliceMut;

    use rustix::io::{Errno, preadv2};

    if KNOWS_UNCACHED.load(Relaxed) {
        match preadv2(file, &mut [IoSliceMut::new(buffer)], offset, flags | UNCACHED) {
            Err(Errno::OPNOTSUPP | Errno::INVAL) => KNOWS_UNCACHED.store(false, Relaxed),
            read => return read,
        }
    }
    preadv2(file, &mut [IoSliceMut::new(buffer)], offset, flags)
}

/// `RWF_DONTCACHE` of `linux/fs.h`.
#[cfg(target_os = "linux")]
const UNCACHED: rustix::io::ReadWriteFlags = rustix::io::ReadWriteFlags::from_bits_retain(0x80);

/// Whether kernel and file systems know [`UNCACHED`]; false for good from the first that does not.
#[cfg(target_os = "linux")]
static KNOWS_UNCACHED: AtomicBool = AtomicBool::new(true);

/// The smallest page of any system here, in bytes.
#[cfg(target_os = "linux")]
const PAGE_BYTES: u64 = 4096;

/// The largest range that is looked at, read and dropped at once where the system does not know uncached reads, in bytes.
#[cfg(target_os = "linux")]
const DROPPED_BYTES: usize = 256 << 10;

/// Elsewhere nothing is asked for ahead.
#[cfg(not(target_os = "linux"))]
pub(super) fn read_at_once(file: &File, buffer: &mut [u8], enough: usize, offset: u64) -> io::Result<Option<Pieces>> {
    read(file, buffer, enough, offset).map(Some)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn read_fetched(file: &File, buffer: &mut [u8], enough: usize, offset: u64) -> io::Result<Pieces> {
    read(file, buffer, enough, offset)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn read(file: &File, buffer: &mut [u8], enough: usize, offset: u64) -> io::Result<Pieces> {
    let mut pieces = Pieces::default();
    while pieces.unknown < enough {
        let at = pieces.unknown;
        match retried(|| file.read_at(&mut buffer[at..], offset + at as u64))? {
            0 => break,
            read => pieces.unknown += read,
        }
    }
    Ok(pieces)
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::super::material::{HALF, SIZE, cold_file, held};
    use super::*;
    use rustix::fs::{Advice, fadvise};
    use std::io::Write as _;

    /// Held by each test that reads, for one switches off what the system can.
    static ONE_AT_A_TIME: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

    #[test]
    fn what_was_not_in_the_cache_is_not_left_there() {
        let _alone = ONE_AT_A_TIME.lock();
        let Some(file) = cold_file() else { return };
        for knows_uncached in [KNOWS_UNCACHED.load(Relaxed), false] {
            KNOWS_UNCACHED.store(knows_uncached, Relaxed);
            // Waits for what a probe made the system fetch, or it could not be dropped.
            let mut buffer = vec![0; SIZE];
            file.read_exact_at(&mut buffer, 0).unwrap();
            fadvise(&file, 0, None, Advice::DontNeed).unwrap();
            read_nothing_ahead(&file);
            let pieces = read(&file, &mut buffer, SIZE, 0).unwrap();
            assert_eq!((pieces.total(), pieces.unknown), (SIZE, 0));
            assert!(pieces.media >= HALF, "{pieces:?}");
            assert_eq!(buffer, vec![7; SIZE]);
            // The probe of the end first: that of the begin fetches everything.
            assert_eq!((held(&file, HALF as u64), held(&file, 0)), (0, 0), "knows uncached reads: {knows_uncached}");
        }
        KNOWS_UNCACHED.store(true, Relaxed);
    }

    #[test]
    fn what_was_in_the_cache_stays_there() {
        let _alone = ONE_AT_A_TIME.lock();
        let Some(file) = cold_file() else { return };
        let mut buffer = vec![0; HALF];
        file.read_exact_at(&mut buffer, 0).unwrap();
        let whole = held(&file, 0);
        let mut buffer = vec![0; SIZE];
        let pieces = read(&file, &mut buffer, SIZE, 0).unwrap();
        assert_eq!(pieces.total(), SIZE);
        assert!(pieces.cached >= HALF, "{pieces:?}");
        assert!(held(&file, 0) >= HALF.min(whole));
    }

    #[test]
    fn a_read_beyond_the_end_is_short() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"four").unwrap();
        let mut buffer = [0; 9];
        assert_eq!(read(&file, &mut buffer, SIZE, 0).unwrap().total(), 4);
        assert_eq!(&buffer[..4], b"four");
    }
}
