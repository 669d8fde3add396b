//! Reading one open file block by block: in the mode that was asked for, within the limit, and to its end.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::buffer::{BLOCK_BYTES, with_buffer};
use super::context::Context;
use super::direct;
use super::engine::ReadMode;
use super::lease::Lease;
use super::page_cache::{Pace, Way};
use super::progress::Origin;
use super::readers::turn;

/// The most bytes that are read of a file whose size reads 0, as those of /proc and of control groups do: such a file may have
/// no end.
const MAX_UNSIZED_BYTES: u64 = 256 * 1024 * 1024;

/// Why a read gave no digest.
#[derive(Debug)]
pub(super) enum ReadFailure {
    /// The file ended before its size said so.
    Short,
    /// It has more bytes than its size said.
    Longer,
    /// The system refused.
    Io(io::Error),
    /// The scan was cancelled.
    Cancelled,
    /// It would wait for a disk, and was to end there ([`Pace::AtOnce`]).
    WouldWait,
}

impl From<io::Error> for ReadFailure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// An open file that is being read.
pub(super) struct Reader<'a> {
    file: &'a File,
    size: u64,
    pub(super) context: &'a Context,
    pub(super) counted: AtomicU64,
    /// How it is read through the page cache.
    way: Way,
    /// The file is read around the page cache.
    direct: AtomicBool,
    /// Nobody writes to the file while it is held.
    lease: Option<&'a Lease<'a>>,
    /// How many bytes no thread has read yet.
    unread: AtomicU64,
}

impl<'a> Reader<'a> {
    /// Begins to read a file of this size.
    pub(super) fn new(file: &'a File, size: u64, context: &'a Context) -> Self {
        let direct = context.engine().mode() == ReadMode::Direct && direct::enable(file);
        let slow = context.engine().limit().is_some();
        let way = Way::of(file, size, direct || size <= BLOCK_BYTES as u64, slow);
        let (counted, unread) = (AtomicU64::new(0), AtomicU64::new(size));
        Self { file, size, context, counted, way, direct: AtomicBool::new(direct), lease: None, unread }
    }

    /// The same at this pace. Only of a file that is read through the page cache, and that one read takes whole.
    pub(super) fn at(self, pace: Pace) -> Self {
        let way = match pace {
            Pace::Waiting => self.way,
            Pace::AtOnce => Way::AtOnce,
            Pace::Fetched => Way::Fetched,
        };
        Self { way, ..self }
    }

    /// Whether pieces of it may be read side by side.
    pub(super) fn in_any_order(&self) -> bool {
        matches!(self.way, Way::Probing)
    }

    fn is_by_device(&self) -> bool {
        self.direct.load(Relaxed) && self.size >= BLOCK_BYTES as u64
    }

    /// The same, with a lease that is given up between two blocks where somebody asks for that, and ends with the last block.
    pub(super) fn under(self, lease: &'a Lease<'a>) -> Self {
        Self { lease: Some(lease), ..self }
    }

    /// Hands the bytes from `offset` on to `take`, block by block, from this thread's buffer. `offset` is a multiple of
    /// [`super::SEGMENT_BYTES`].
    pub(super) fn blocks(&self, offset: u64, length: u64, mut take: impl FnMut(&[u8])) -> Result<(), ReadFailure> {
        let _turn = turn(|| self.give_up_if_asked());
        with_buffer(self.is_by_device(), |buffer| {
            let mut done = 0;
            while done < length {
                let want = usize::try_from(length - done).map_or(BLOCK_BYTES, |left| left.min(BLOCK_BYTES));
                // Behind the last block one more byte is asked for, so that the read sees the end of the file.
                let beyond = usize::from(offset + done + want as u64 == self.size);
                let got = self.block(buffer, want, want + beyond, offset + done)?;
                if got > want {
                    return Err(ReadFailure::Longer);
                }
                // Of a large file another thread may have the last block; what this one does next is no part of the read.
                if self.unread.fetch_sub(got as u64, Relaxed) == got as u64 {
                    self.end_lease();
                }
                take(&buffer[..got]);
                done += got as u64;
                if got < want {
                    return Err(ReadFailure::Short);
                }
            }
            Ok(())
        })
    }

    /// Hands on everything that the file holds, whatever its size says; how many bytes that was.
    pub(super) fn to_the_end(&self, mut take: impl FnMut(&[u8])) -> Result<u64, ReadFailure> {
        let _turn = turn(|| self.give_up_if_asked());
        with_buffer(false, |buffer| {
            let mut done = 0;
            while done < MAX_UNSIZED_BYTES {
                let got = self.block(buffer, BLOCK_BYTES, BLOCK_BYTES, done)?;
                take(&buffer[..got]);
                done += got as u64;
                if got < BLOCK_BYTES {
                    return Ok(done);
                }
            }
            Err(ReadFailure::Longer)
        })
    }

    /// Reads at least the first `want` bytes of the buffer and at most `most`, or fewer where the file ends before.
    fn block(&self, buffer: &mut [u8], want: usize, most: usize, offset: u64) -> Result<usize, ReadFailure> {
        let cancelled = |_| ReadFailure::Cancelled;
        self.context.cancel.check().map_err(cancelled)?;
        if offset > 0 {
            self.give_up_if_asked();
        }
        if let Some(limit) = self.context.engine().limit() {
            limit.admit(want as u64, &self.context.cancel, || self.give_up_if_asked()).map_err(cancelled)?;
        }
        if self.direct.load(Relaxed) {
            match direct::read(self.file, buffer, want, most, offset)? {
                Some(got) => {
                    self.count(got, Origin::Direct);
                    return Ok(got);
                }
                None => self.direct.store(false, Relaxed),
            }
        }
        let read = self.way.read(self.file, &mut buffer[..most], want, offset)?;
        let pieces = read.ok_or(ReadFailure::WouldWait)?;
        self.count(pieces.cached, Origin::PageCache);
        self.count(pieces.media, Origin::Media);
        self.count(pieces.unknown, Origin::Unknown);
        Ok(pieces.total())
    }

    /// A read that takes long, or waits for its turn, must not hold up who wants to write.
    fn give_up_if_asked(&self) {
        self.lease.iter().for_each(|lease| lease.give_up_if_asked());
    }

    /// All is read.
    pub(super) fn end_lease(&self) {
        self.lease.iter().for_each(|lease| lease.end());
    }

    /// The read failed: what it counted is taken back.
    pub(super) fn fail(&self) {
        self.lease.iter().for_each(|lease| lease.lose());
        self.way.break_off(self.file);
        self.context.progress.take_back(self.counted.load(Relaxed));
    }

    fn count(&self, bytes: usize, origin: Origin) {
        if bytes > 0 {
            self.counted.fetch_add(bytes as u64, Relaxed);
            self.context.read(bytes as u64, origin);
        }
    }
}
