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

/// How one file is read.
#[derive(Debug)]
pub(super) enum Way {
    /// In any order.
    Probing,
    /// From its begin to its end.
    InOrder(InOrder),
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
            Self::Probing => {}
            Self::InOrder(in_order) => in_order.break_off(file),
        }
    }

    /// Reads until there are `enough` bytes in the buffer, or the file ends. A buffer that is longer shows whether more follow.
    pub(super) fn read(&self, file: &File, buffer: &mut [u8], enough: usize, offset: u64) -> io::Result<Pieces> {
        match self {
            Self::Probing => probing::read(file, buffer, enough, offset),
            Self::InOrder(in_order) => in_order.read(file, buffer, enough, offset),
        }
    }
}
