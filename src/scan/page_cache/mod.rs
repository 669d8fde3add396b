//! Reading through the page cache and leaving it as it was found: a verification that reads terabytes once must not push
//! out what a database on the same machine has in memory.
//!
//! A large file is read in order, one thread a file, so that the system reads ahead. What the cache held of it is asked for before,
//! without disturbing it, for afterwards all of it looks as if it had been there. Where the cache holds all, or cannot be asked and the
//! system drops nothing by itself, nothing is read ahead, and each read tells by itself where its bytes came from.

mod in_order;
#[cfg(target_os = "linux")]
#[cfg(test)]
mod material;
mod pieces;
mod probing;

use std::fs::File;
use std::io;

use in_order::InOrder;
use pieces::Pieces;
pub(super) use pieces::retried;

/// Whether a read waits for a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Where it has to.
    Waiting,
    /// It ends where it would have to, and the system fetches meanwhile what is lacking.
    AtOnce,
    /// For what the system was asked to fetch before.
    Fetched,
}

/// How one file is read.
#[derive(Debug)]
pub(super) enum Way {
    /// In any order.
    Probing,
    /// As far as the cache holds it. Only a file that one read takes whole.
    AtOnce,
    /// After a read of that kind ended without it.
    Fetched,
    /// From its begin to its end.
    InOrder(InOrder),
}

/// Drops what the system fetched of a file that is not read after all; with it goes what the cache held before.
pub(super) fn drop_fetched(file: &File) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

impl Way {
    /// The way for a file of which nothing was read yet. A file that one read takes whole (`one_block`) has nothing ahead. A `slow` read is
    /// one that is held back.
    pub(super) fn of(file: &File, size: u64, one_block: bool, slow: bool) -> Self {
        if one_block {
            return Self::Probing;
        }
        match InOrder::of(file, size, slow) {
            Some(in_order) => Self::InOrder(in_order),
            None => {
                probing::read_nothing_ahead(file);
                Self::Probing
            }
        }
    }

    /// Nothing more of the file is read, though it is not at its end.
    pub(super) fn break_off(&self, file: &File) {
        match self {
            Self::Probing | Self::AtOnce | Self::Fetched => {}
            Self::InOrder(in_order) => in_order.break_off(file),
        }
    }

    /// Reads until there are `enough` bytes in the buffer, or the file ends; `None` where this would wait for a disk and shall not. A
    /// buffer that is longer shows whether more follow.
    pub(super) fn read(
        &self,
        file: &File,
        buffer: &mut [u8],
        enough: usize,
        offset: u64,
    ) -> io::Result<Option<Pieces>> {
        match self {
            Self::Probing => probing::read(file, buffer, enough, offset).map(Some),
            Self::AtOnce => probing::read_at_once(file, buffer, enough, offset),
            Self::Fetched => probing::read_fetched(file, buffer, enough, offset).map(Some),
            Self::InOrder(in_order) => in_order.read(file, buffer, enough, offset).map(Some),
        }
    }
}
