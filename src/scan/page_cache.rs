//! Reading through the page cache and leaving it as it was found: a verification that reads terabytes once must not push
//! out what a database on the same machine has in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Where the bytes of one read came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Pieces {
    /// The page cache held them.
    pub cached: usize,
    /// It did not; they are dropped from it again.
    pub media: usize,
    /// The system does not say.
    pub unknown: usize,
}

impl Pieces {
    pub(super) fn total(&self) -> usize {
        self.cached + self.media + self.unknown
    }
}

/// Tells the system that the file is not read from its begin to its end, so that it reads nothing ahead: what it reads ahead
/// would look as if it had been in the cache.
pub(super) fn read_nothing_ahead(file: &File) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Random);
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// Reads until the buffer is full or the file ends.
///
/// First without waiting, which gives what the cache holds; then, from the first byte it does not hold, from the media,
/// after which just that range is dropped again. At most one buffer too much is dropped: that of a first page missing.
#[cfg(target_os = "linux")]
pub(super) fn read(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<Pieces> {
    use std::io::IoSliceMut;

    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    let mut pieces = Pieces::default();
    while pieces.total() < buffer.len() {
        let at = pieces.total();
        let position = offset + at as u64;
        let rest = &mut buffer[at..];
        match preadv2(file, &mut [IoSliceMut::new(rest)], position, ReadWriteFlags::NOWAIT) {
            Ok(0) => break,
            Ok(read) => pieces.cached += read,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => match read_and_drop(file, rest, position)? {
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

#[cfg(target_os = "linux")]
fn read_and_drop(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let read = retried(|| file.read_at(buffer, offset))?;
    // Advice that is not taken harms nothing but the cache.
    let _ = rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(read as u64), rustix::fs::Advice::DontNeed);
    Ok(read)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn read(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<Pieces> {
    let mut pieces = Pieces::default();
    while pieces.unknown < buffer.len() {
        let at = pieces.unknown;
        match retried(|| file.read_at(&mut buffer[at..], offset + at as u64))? {
            0 => break,
            read => pieces.unknown += read,
        }
    }
    Ok(pieces)
}

/// Repeats a call that a signal interrupted.
pub(super) fn retried(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Advice, fadvise};
    use std::io::Write as _;

    const SIZE: usize = 1 << 20;
    const HALF: usize = SIZE / 2;

    /// A file of which the cache holds nothing; `None` on a file system that lies in memory.
    fn cold_file() -> Option<File> {
        let mut file = tempfile::tempfile_in("target").or_else(|_| tempfile::tempfile()).unwrap();
        file.write_all(&vec![7; SIZE]).unwrap();
        file.sync_all().unwrap();
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        let cold = held(&file, 0) == 0;
        if !cold {
            eprintln!("skipped: the cache cannot be emptied here, or the system does not say what it holds");
        }
        cold.then_some(file)
    }

    /// How many bytes from `offset` on the cache holds in one piece.
    fn held(file: &File, offset: u64) -> usize {
        let mut buffer = vec![0; SIZE];
        let mut buffers = [std::io::IoSliceMut::new(&mut buffer)];
        read_nothing_ahead(file);
        rustix::io::preadv2(file, &mut buffers, offset, rustix::io::ReadWriteFlags::NOWAIT).unwrap_or(0)
    }

    /// Whatever the probe itself makes the system fetch is waited for and dropped again.
    fn is_cold(file: &File, offset: u64) -> bool {
        let cold = held(file, offset) == 0;
        let _ = fadvise(file, 0, None, Advice::DontNeed);
        cold
    }

    #[test]
    fn what_was_not_in_the_cache_is_not_left_there() {
        let Some(file) = cold_file() else { return };
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        read_nothing_ahead(&file);
        let mut buffer = vec![0; SIZE];
        let pieces = read(&file, &mut buffer, 0).unwrap();
        assert_eq!((pieces.total(), pieces.unknown), (SIZE, 0));
        assert!(pieces.media >= HALF, "{pieces:?}");
        assert_eq!(buffer, vec![7; SIZE]);
        assert!(is_cold(&file, 0) && is_cold(&file, HALF as u64));
    }

    #[test]
    fn what_was_in_the_cache_stays_there() {
        let Some(file) = cold_file() else { return };
        let mut buffer = vec![0; HALF];
        file.read_exact_at(&mut buffer, 0).unwrap();
        let whole = held(&file, 0);
        let mut buffer = vec![0; SIZE];
        let pieces = read(&file, &mut buffer, 0).unwrap();
        assert_eq!(pieces.total(), SIZE);
        assert!(pieces.cached >= HALF, "{pieces:?}");
        assert!(held(&file, 0) >= HALF.min(whole));
    }

    #[test]
    fn a_read_beyond_the_end_is_short() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"four").unwrap();
        let mut buffer = [0; 9];
        assert_eq!(read(&file, &mut buffer, 0).unwrap().total(), 4);
        assert_eq!(&buffer[..4], b"four");
    }
}
