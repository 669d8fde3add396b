//! What one read brought, and from where.

use std::io;

/// Where the bytes of one read came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::scan) struct Pieces {
    /// The page cache held them.
    pub cached: usize,
    /// It did not; they are dropped from it again.
    pub media: usize,
    /// The system does not say.
    pub unknown: usize,
}

impl Pieces {
    pub(in crate::scan) fn total(&self) -> usize {
        self.cached + self.media + self.unknown
    }
}

/// Repeats a call that a signal interrupted.
pub(in crate::scan) fn retried(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
