//! Reading a file from its begin to its end, with the system reading ahead.
//!
//! A window of the file of which the cache holds nothing is read as any reader would, and dropped whole once it is read: with uncached reads,
//! which drop piece by piece, the system reads ahead less at a time. Where the cache holds some of a window, uncached reads alone know
//! what was there.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::pieces::Pieces;

/// The piece of a file that is dropped from the cache at once, in bytes.
#[cfg(target_os = "linux")]
const WINDOW_BYTES: u64 = 16 << 20;

/// The smallest page of any system here, in bytes.
#[cfg(target_os = "linux")]
const PAGE_BYTES: u64 = 4096;

/// What is known of a file before it is read in order.
#[derive(Debug)]
pub(in crate::scan) struct InOrder {
    /// Bytes.
    size: u64,
    /// Bytes of it that the cache held and that were not counted yet; `None` where the system does not say.
    cached: Option<AtomicU64>,
    /// Of the windows of the file, by their number, whether the cache held nothing of them and they are dropped once they are read. Each is
    /// asked about when the one before it begins: late, since others read as well, and before the system reads ahead in it.
    cold: Vec<AtomicBool>,
    /// The window that is being read.
    at: AtomicU64,
    /// The system drops by itself what an uncached read fetched.
    drops_by_itself: bool,
}

impl InOrder {
    /// `None` where the file is better not read in order: the cache holds all of it, or would not be left as it was. A `slow` read takes so
    /// long that what the cache held before says little of what it will hold behind it.
    #[cfg(target_os = "linux")]
    pub(super) fn of(file: &File, size: u64, slow: bool) -> Option<Self> {
        Self::with(file, size, slow, super::probing::drops_by_itself(file, size))
    }

    /// The same where the system drops what a read fetched, or does not.
    #[cfg(target_os = "linux")]
    fn with(file: &File, size: u64, slow: bool, drops_by_itself: bool) -> Option<Self> {
        use std::os::fd::AsFd as _;

        use crate::scan::syscalls::cached_pages;

        match cached_pages(file.as_fd(), 0, size) {
            Ok(held) if held >= size.div_ceil(PAGE_BYTES) => None,
            Ok(held) => {
                let windows = if slow && drops_by_itself { 0 } else { size.div_ceil(WINDOW_BYTES) };
                let cold = (0..windows).map(|_| AtomicBool::default()).collect();
                let cached = Some((held * PAGE_BYTES).into());
                let in_order = Self { size, cached, cold, at: AtomicU64::new(0), drops_by_itself };
                in_order.look_at_window(file, 0);
                Some(in_order)
            }
            // Who may not ask is not told where bytes come from; the system drops them all the same.
            Err(_) => drops_by_itself.then(|| Self {
                size,
                cached: None,
                cold: Vec::new(),
                at: AtomicU64::new(0),
                drops_by_itself,
            }),
        }
    }

    /// Other systems are not asked.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(_: &File, _: u64, _: bool) -> Option<Self> {
        None
    }

    /// See [`super::Way::read`].
    #[cfg(target_os = "linux")]
    pub(super) fn read(&self, file: &File, buffer: &mut [u8], enough: usize, offset: u64) -> io::Result<Pieces> {
        use std::os::unix::fs::FileExt as _;

        use super::pieces::retried;
        use super::probing::read_uncached;

        let window = offset / WINDOW_BYTES;
        if offset.is_multiple_of(WINDOW_BYTES) {
            self.at.store(window, Relaxed);
            self.look_at_window(file, window + 1);
        }
        let uncached = self.drops_by_itself && !self.is_cold(window);
        let read_at = |buffer: &mut [u8], offset| match uncached {
            true => read_uncached(file, buffer, offset),
            false => file.read_at(buffer, offset),
        };
        let mut total = 0;
        // One more read where there are enough: it shows whether the file ends.
        while total < buffer.len() {
            match retried(|| read_at(&mut buffer[total..], offset + total as u64))? {
                0 => break,
                read => total += read,
            }
            if total == enough && buffer.len() == enough {
                break;
            }
        }
        self.drop_behind(file, offset + total as u64, total < enough);
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

    #[cfg(target_os = "linux")]
    fn is_cold(&self, window: u64) -> bool {
        usize::try_from(window).is_ok_and(|window| self.cold.get(window).is_some_and(|cold| cold.load(Relaxed)))
    }

    /// Finds out whether a window that is not being read yet is cold.
    #[cfg(target_os = "linux")]
    fn look_at_window(&self, file: &File, window: u64) {
        use std::os::fd::AsFd as _;

        use crate::scan::syscalls::cached_pages;

        if let Some(cold) = usize::try_from(window).ok().and_then(|window| self.cold.get(window)) {
            let nothing = matches!(cached_pages(file.as_fd(), window * WINDOW_BYTES, WINDOW_BYTES), Ok(0));
            cold.store(nothing, Relaxed);
        }
    }

    /// Nothing more is read: drops what was fetched of cold windows.
    #[cfg(target_os = "linux")]
    pub(super) fn break_off(&self, file: &File) {
        let at = self.at.load(Relaxed);
        (at..=at + 1).filter(|window| self.is_cold(*window)).for_each(|window| drop_window(file, window));
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn break_off(&self, _: &File) {}

    /// Drops the window that ended with the read up to `end`; `at_end` where the file ended before it should.
    #[cfg(target_os = "linux")]
    fn drop_behind(&self, file: &File, end: u64, at_end: bool) {
        let end = end.min(self.size);
        if !(at_end || end == self.size || end.is_multiple_of(WINDOW_BYTES)) {
            return;
        }
        let window = end.saturating_sub(1) / WINDOW_BYTES;
        if self.is_cold(window) {
            drop_window(file, window);
        }
    }
}

#[cfg(target_os = "linux")]
fn drop_window(file: &File, window: u64) {
    use std::num::NonZeroU64;

    use rustix::fs::{Advice, fadvise};

    // Advice that is not taken harms nothing but the cache.
    let _ = fadvise(file, window * WINDOW_BYTES, NonZeroU64::new(WINDOW_BYTES), Advice::DontNeed);
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::super::material::{HALF, SIZE, cold_file};
    use super::super::probing::drops_by_itself;
    use super::*;
    use crate::scan::syscalls::cached_pages;
    use rustix::fs::{Advice, fadvise};
    use std::io::Write as _;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::FileExt as _;

    const PAGES: u64 = SIZE as u64 / PAGE_BYTES;

    /// A cold file of which the cache can be asked.
    fn askable() -> Option<File> {
        let file = cold_file()?;
        // A look at what the cache holds made the system fetch it.
        file.read_exact_at(&mut vec![0; SIZE], 0).unwrap();
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        fadvise(&file, 0, None, Advice::Normal).unwrap();
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
        let Some(file) = askable() else { return };
        let system = drops_by_itself(&file, SIZE as u64);
        for (slow, drops_by_itself) in [(false, system), (true, system), (false, false), (true, false)] {
            let in_order = InOrder::with(&file, SIZE as u64, slow, drops_by_itself).unwrap();
            let pieces = read_whole(&file, &in_order);
            assert_eq!((pieces.cached, pieces.media), (0, SIZE));
            let left = cached_pages(file.as_fd(), 0, SIZE as u64).unwrap();
            assert_eq!(left, 0, "slow: {slow}, the system drops by itself: {drops_by_itself}");
        }
    }

    /// Windows of which the cache held nothing are dropped, the last and shorter one too. Of another one what was there stays, and what was
    /// not is dropped where the system does that by itself.
    #[test]
    fn cold_windows_are_dropped_and_others_left_as_they_were() {
        let Some(mut file) = askable() else { return };
        let size = WINDOW_BYTES * 2 + SIZE as u64;
        file.write_all(&vec![7; usize::try_from(size).unwrap()]).unwrap();
        file.set_len(size).unwrap();
        file.sync_all().unwrap();
        let held = |window| cached_pages(file.as_fd(), window * WINDOW_BYTES, WINDOW_BYTES).unwrap();
        for drops_by_itself in [false, drops_by_itself(&file, size)] {
            fadvise(&file, 0, None, Advice::DontNeed).unwrap();
            fadvise(&file, 0, None, Advice::Random).unwrap();
            file.read_exact_at(&mut vec![0; 4096], WINDOW_BYTES).unwrap();
            fadvise(&file, 0, None, Advice::Normal).unwrap();
            let before = held(1);
            let in_order = InOrder::with(&file, size, false, drops_by_itself).unwrap();
            let mut buffer = vec![0; SIZE];
            for block in 0..size / SIZE as u64 {
                let offset = block * SIZE as u64;
                let last = offset + SIZE as u64 == size;
                buffer.resize(SIZE + usize::from(last), 0);
                assert_eq!(in_order.read(&file, &mut buffer, SIZE, offset).unwrap().total(), SIZE);
            }
            assert_eq!([0, 1].map(|window| in_order.is_cold(window)), [true, false]);
            assert!(held(0) == 0 && held(1) >= before, "{:?}", [0, 1, 2].map(held));
            // Where the system read ahead in it before it was looked at, it is not cold.
            assert!(held(2) == 0 || !in_order.is_cold(2), "{:?}", [0, 1, 2].map(held));
        }
    }

    #[test]
    fn what_was_fetched_of_a_cold_window_goes_where_the_read_is_broken_off() {
        let Some(mut file) = askable() else { return };
        let size = usize::try_from(WINDOW_BYTES).unwrap() * 2;
        file.write_all(&vec![7; size]).unwrap();
        file.sync_all().unwrap();
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        let in_order = InOrder::with(&file, size as u64, false, false).unwrap();
        in_order.read(&file, &mut vec![0; SIZE], SIZE, 0).unwrap();
        let held = || cached_pages(file.as_fd(), 0, size as u64).unwrap();
        assert!(held() > 0);
        // What is still on its way from the disk cannot be dropped yet.
        for attempt in 0.. {
            in_order.break_off(&file);
            if held() == 0 {
                break;
            }
            assert!(attempt < 100, "{} pages are left", held());
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }

    /// Who may not ask what the cache holds could not leave it as it was.
    #[test]
    fn what_cannot_be_asked_is_read_in_order_only_where_the_system_drops_by_itself() {
        let path = rustix::fs::open(".", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        let unasked = File::from(path);
        assert!(InOrder::with(&unasked, SIZE as u64, false, false).is_none());
        assert!(InOrder::with(&unasked, SIZE as u64, false, true).is_some_and(|in_order| in_order.cached.is_none()));
    }

    #[test]
    fn what_was_in_the_cache_is_counted_and_stays() {
        let Some(file) = askable() else { return };
        fadvise(&file, 0, None, Advice::Random).unwrap();
        file.read_exact_at(&mut vec![0; HALF], 0).unwrap();
        fadvise(&file, 0, None, Advice::Normal).unwrap();
        let before = cached_pages(file.as_fd(), 0, SIZE as u64).unwrap();
        assert!(before >= PAGES / 2);
        if before == PAGES {
            return crate::material::missing("cold-cache", "the system read ahead what it was told not to");
        }
        let pieces = read_whole(&file, &InOrder::of(&file, SIZE as u64, false).unwrap());
        assert_eq!(pieces.cached as u64, before * PAGE_BYTES);
        assert_eq!(pieces.media as u64, (PAGES - before) * PAGE_BYTES);
        assert!(cached_pages(file.as_fd(), 0, SIZE as u64).unwrap() >= before);
    }

    #[test]
    fn what_the_cache_holds_whole_is_not_read_in_order() {
        let Some(file) = askable() else { return };
        file.read_exact_at(&mut vec![0; SIZE], 0).unwrap();
        assert!(InOrder::of(&file, SIZE as u64, false).is_none());
    }

    #[test]
    fn a_file_that_is_longer_or_shorter_than_its_size_shows() {
        let Some(file) = askable() else { return };
        let in_order = InOrder::of(&file, SIZE as u64, false).unwrap();
        let mut buffer = vec![0; SIZE + 1];
        file.set_len(SIZE as u64 + 9).unwrap();
        assert_eq!(in_order.read(&file, &mut buffer, SIZE, 0).unwrap().total(), SIZE + 1);
        file.set_len(SIZE as u64 - 9).unwrap();
        assert_eq!(in_order.read(&file, &mut buffer, SIZE, 0).unwrap().total(), SIZE - 9);
    }
}
