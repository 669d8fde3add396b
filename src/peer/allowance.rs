//! How much memory what one source sends may take here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The memory that the answers of one source may take, in bytes, and what they take now. Clones share it.
#[derive(Debug, Clone)]
pub struct Allowance(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: u64,
    taken: AtomicU64,
}

impl Allowance {
    /// The usual limit, in bytes: enough for two listings of some 600,000 files each, as the per-file protocol needs them.
    pub const USUAL: u64 = 256 << 20;

    /// An allowance of `limit` bytes, of which nothing is taken.
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(Inner { limit, taken: AtomicU64::new(0) }))
    }

    /// All of it, in bytes.
    pub fn limit(&self) -> u64 {
        self.0.limit
    }

    /// A part of it that is empty so far.
    pub fn hold(&self) -> Held {
        Held { of: self.clone(), bytes: 0 }
    }
}

impl Default for Allowance {
    fn default() -> Self {
        Self::new(Self::USUAL)
    }
}

/// What is held of a source; free again when this is dropped, together with what it was taken for.
#[derive(Debug)]
pub struct Held {
    of: Allowance,
    bytes: u64,
}

/// A source sends more than may be held of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is more than the {limit} bytes that may be held of a source")]
pub struct TooMuch {
    /// The limit, in bytes.
    pub limit: u64,
}

impl Held {
    /// Takes so many bytes more, before they are kept.
    pub fn take(&mut self, bytes: usize) -> Result<(), TooMuch> {
        let limit = self.of.limit();
        let more = |taken: u64| taken.checked_add(bytes as u64).filter(|sum| *sum <= limit);
        self.of.0.taken.fetch_update(Relaxed, Relaxed, more).map_err(|_| TooMuch { limit })?;
        self.bytes += bytes as u64;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.0.taken.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_free_again() {
        let allowance = Allowance::new(100);
        let (mut first, mut second) = (allowance.hold(), allowance.clone().hold());
        assert_eq!((first.take(60), second.take(41)), (Ok(()), Err(TooMuch { limit: 100 })));
        assert_eq!((second.take(40), second.take(1)), (Ok(()), Err(TooMuch { limit: 100 })));
        drop(first);
        assert_eq!((second.take(60), second.take(usize::MAX)), (Ok(()), Err(TooMuch { limit: 100 })));
    }
}
