//! Reading a file from its begin to its end, with the system reading ahead.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::pieces::Pieces;

/// The piece of a file that is dropped from the cache at once where the system does not drop by itself what a read fetched, in bytes.
#[cfg(target_os = "linux")]
const WINDOW_BYTES: u64 = 16 << 20;

/// The smallest page of any system here, in bytes.
#[cfg(target_os = "linux")]
const PAGE_BYTES: u64 = 4096;

/// What is known of a file before it is read in order.
#[derive(Debug)]
pub(in crate::scan) struct InOrder {
    /// Bytes of it that the cache held and that were not counted yet; `None` where the system does not say.
    cached: Option<AtomicU64>,
    /// The windows of which the cache held nothing, by their number, where the system does not drop what a read fetched.
    dropped: Vec<bool>,
}

impl InOrder {
    /// `None` where the file is better not read in order: the cache holds all of it, or would not be left as it was.
    #[cfg(target_os = "linux")]
    pub(super) fn of(file: &File, size: u64) -> Option<Self> {
        use std::os::fd::AsFd as _;

        use super::probing::knows_uncached;
        use crate::scan::syscalls::cached_pages;

        let pages = size.div_ceil(PAGE_BYTES);
        match cached_pages(file.as_fd(), 0, size) {
            Ok(cached) if cached >= pages => None,
            Ok(cached) => {
                let windows = 0..size.div_ceil(WINDOW_BYTES);
                let dropped = match knows_uncached() {
                    true => Vec::new(),
                    false if cached == 0 => windows.map(|_| true).collect(),
                    false => windows
                        .map(|number| {
                            cached_pages(file.as_fd(), number * WINDOW_BYTES, WINDOW_BYTES).is_ok_and(|held| held == 0)
                        })
                        .collect(),
                };
                Some(Self { cached: Some((cached * PAGE_BYTES).into()), dropped })
            }
            // Who may not ask is not told where bytes come from; the system drops them all the same.
            Err(_) if knows_uncached() => Some(Self { cached: None, dropped: Vec::new() }),
            Err(_) => None,
        }
    }

    /// Other systems are not asked.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(_: &File, _: u64) -> Option<Self> {
        None
    }

    /// See [`super::Way::read`].
    #[cfg(target_os = "linux")]
    pub(super) fn read(&self, file: &File, buffer: &mut [u8], enough: usize, offset: u64) -> io::Result<Pieces> {
        use super::pieces::retried;
        use super::probing::read_uncached;

        let mut total = 0;
        // One more read where there are enough: it shows whether the file ends.
        while total < buffer.len() {
            match retried(|| read_uncached(file, &mut buffer[total..], offset + total as u64))? {
                0 => break,
                read => total += read,
            }
            if total == enough && buffer.len() == enough {
                break;
            }
        }
        self.drop_behind(file, offset, total as u64);
        Ok(self.counted(total))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn read(&self, _: &File, _: &mut [u8], _: usize, _: u64) -> io::Result<Pieces> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Only the sums over the file are known: what the cache held is counted first.
    fn counted(&self, bytes: usize) -> Pieces {
        let Some(left) = &self.cached else { return Pieces { unknown: bytes, ..Pieces::default() } };
        let before = left.load(Relaxed);
        let cached = usize::try_from(before).map_or(bytes, |before| before.min(bytes));
        left.store(before - cached as u64, Relaxed);
        Pieces { cached, media: bytes - cached, unknown: 0 }
    }

    /// Drops the windows that end in what was just read.
    #[cfg(target_os = "linux")]
    fn drop_behind(&self, file: &File, offset: u64, read: u64) {
        use std::num::NonZeroU64;

        use rustix::fs::{Advice, fadvise};

        let last = (offset + read).saturating_sub(1) / WINDOW_BYTES;
        let ended = (offset + read).is_multiple_of(WINDOW_BYTES) || read == 0;
        let dropped = usize::try_from(last).ok().and_then(|last| self.dropped.get(last));
        if ended && dropped == Some(&true) {
            // Advice that is not taken harms nothing but the cache.
            let _ = fadvise(file, last * WINDOW_BYTES, NonZeroU64::new(WINDOW_BYTES), Advice::DontNeed);
        }
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::super::material::{HALF, ONE_AT_A_TIME, SIZE, cold_file};
    use super::super::probing::KNOWS_UNCACHED;
    use super::*;
    use crate::scan::syscalls::cached_pages;
    use rustix::fs::{Advice, fadvise};
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::FileExt as _;

    const PAGES: u64 = SIZE as u64 / PAGE_BYTES;

    /// A cold file of which the cache can be asked.
    fn askable() -> Option<File> {
        let file = cold_file()?;
        // A look at what the cache holds made the system fetch it.
        file.read_exact_at(&mut vec![0; SIZE], 0).unwrap();
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        match cached_pages(file.as_fd(), 0, SIZE as u64) {
            Ok(pages) => assert_eq!(pages, 0),
            Err(error) => {
                crate::material::missing("cold-cache", &error.to_string());
                return None;
            }
        }
        Some(file)
    }

    fn read_whole(file: &File, in_order: &InOrder) -> Pieces {
        let mut buffer = vec![0; SIZE + 1];
        let pieces = in_order.read(file, &mut buffer, SIZE, 0).unwrap();
        assert_eq!((pieces.total(), &buffer[..SIZE]), (SIZE, &[7; SIZE][..]));
        pieces
    }

    #[test]
    fn what_was_not_in_the_cache_is_read_in_order_and_not_left_there() {
        let _alone = ONE_AT_A_TIME.lock();
        let Some(file) = askable() else { return };
        for knows_uncached in [knows_uncached_here(), false] {
            KNOWS_UNCACHED.store(knows_uncached, Relaxed);
            let in_order = InOrder::of(&file, SIZE as u64).unwrap();
            let pieces = read_whole(&file, &in_order);
            // The last window is dropped by the read that finds the end.
            in_order.read(&file, &mut [0], 1, SIZE as u64).unwrap();
            KNOWS_UNCACHED.store(true, Relaxed);
            assert_eq!((pieces.cached, pieces.media), (0, SIZE));
            assert_eq!(
                cached_pages(file.as_fd(), 0, SIZE as u64).unwrap(),
                0,
                "knows uncached reads: {knows_uncached}"
            );
        }
    }

    fn knows_uncached_here() -> bool {
        super::super::probing::knows_uncached()
    }

    #[test]
    fn what_was_in_the_cache_is_counted_and_stays() {
        let _alone = ONE_AT_A_TIME.lock();
        let Some(file) = askable() else { return };
        fadvise(&file, 0, None, Advice::Random).unwrap();
        file.read_exact_at(&mut vec![0; HALF], 0).unwrap();
        fadvise(&file, 0, None, Advice::Normal).unwrap();
        let before = cached_pages(file.as_fd(), 0, SIZE as u64).unwrap();
        assert!(before >= PAGES / 2);
        if before == PAGES {
            return crate::material::missing("cold-cache", "the system read ahead what it was told not to");
        }
        let pieces = read_whole(&file, &InOrder::of(&file, SIZE as u64).unwrap());
        assert_eq!(pieces.cached as u64, before * PAGE_BYTES);
        assert_eq!(pieces.media as u64, (PAGES - before) * PAGE_BYTES);
        assert!(cached_pages(file.as_fd(), 0, SIZE as u64).unwrap() >= before);
    }

    #[test]
    fn what_the_cache_holds_whole_is_not_read_in_order() {
        let _alone = ONE_AT_A_TIME.lock();
        let Some(file) = askable() else { return };
        file.read_exact_at(&mut vec![0; SIZE], 0).unwrap();
        assert!(InOrder::of(&file, SIZE as u64).is_none());
    }

    #[test]
    fn a_file_that_is_longer_or_shorter_than_its_size_shows() {
        let _alone = ONE_AT_A_TIME.lock();
        let Some(file) = askable() else { return };
        let in_order = InOrder::of(&file, SIZE as u64).unwrap();
        let mut buffer = vec![0; SIZE + 1];
        file.set_len(SIZE as u64 + 9).unwrap();
        assert_eq!(in_order.read(&file, &mut buffer, SIZE, 0).unwrap().total(), SIZE + 1);
        file.set_len(SIZE as u64 - 9).unwrap();
        assert_eq!(in_order.read(&file, &mut buffer, SIZE, 0).unwrap().total(), SIZE - 9);
    }
}
