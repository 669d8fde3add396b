//! How much memory what one source sends may take here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::work::{Holder, MemoryBudget, MemoryPermit, OverBudget};

/// The memory that the answers of one source may take, in bytes, and what they take now: a part of the memory that everybody
/// can make the service hold. Clones share it.
#[derive(Debug, Clone)]
pub struct Allowance(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: u64,
    taken: AtomicU64,
    budget: MemoryBudget,
}

impl Allowance {
    /// An allowance of `limit` bytes, which nobody else has a part in.
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(Inner { limit, taken: AtomicU64::new(0), budget: MemoryBudget::new(limit) }))
    }

    /// What one source may take of a budget: half of it, as far as it is free.
    pub fn of(budget: &MemoryBudget) -> Self {
        Self(Arc::new(Inner { limit: budget.limit() / 2, taken: AtomicU64::new(0), budget: budget.clone() }))
    }

    /// All of it, in bytes.
    pub fn limit(&self) -> u64 {
        self.0.limit
    }

    /// A part of it that is empty so far.
    pub fn hold(&self) -> Held {
        Held { of: self.clone(), permit: self.0.budget.nothing(Holder::Service) }
    }
}

/// What is held of a source; free again when this is dropped, together with what it was taken for.
#[derive(Debug)]
pub struct Held {
    of: Allowance,
    permit: MemoryPermit,
}

/// A source sends more than may be held of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// More than of any one source.
    #[error("it is more than the {0} bytes that may be held of a source")]
    OfOneSource(u64),
    /// Others have what is left.
    #[error(transparent)]
    OfAll(#[from] OverBudget),
}

impl Held {
    /// Takes so many bytes more, before they are kept.
    pub fn take(&mut self, bytes: usize) -> Result<(), TooMuch> {
        let (bytes, limit) = (bytes as u64, self.of.limit());
        let more = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= limit);
        let taken = &self.of.0.taken;
        taken.fetch_update(Relaxed, Relaxed, more).map_err(|_| TooMuch::OfOneSource(limit))?;
        if let Err(full) = self.permit.grow(bytes) {
            taken.fetch_sub(bytes, Relaxed);
            return Err(full.into());
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.0.taken.fetch_sub(self.permit.bytes(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_free_again() {
        let allowance = Allowance::new(100);
        let (mut first, mut second) = (allowance.hold(), allowance.clone().hold());
        assert_eq!((first.take(60), second.take(41)), (Ok(()), Err(TooMuch::OfOneSource(100))));
        assert_eq!((second.take(40), second.take(1)), (Ok(()), Err(TooMuch::OfOneSource(100))));
        drop(first);
        assert_eq!((second.take(60), second.take(usize::MAX)), (Ok(()), Err(TooMuch::OfOneSource(100))));
    }

    #[test]
    fn a_source_takes_half_of_what_everybody_shares_and_no_more_than_is_left() {
        let budget = MemoryBudget::new(100);
        let allowance = Allowance::of(&budget);
        let mut held = allowance.hold();
        assert_eq!((held.take(51), held.take(40)), (Err(TooMuch::OfOneSource(50)), Ok(())));
        let others = budget.take(Holder::Service, 60).unwrap();
        let full = TooMuch::OfAll(OverBudget { asked: 1, held: 100, limit: 100 });
        assert_eq!((held.take(1), budget.held()), (Err(full), 100));
        drop(others);
        assert_eq!((held.take(10), budget.held()), (Ok(()), 50), "what was refused is not counted");
        drop(held);
        assert_eq!(budget.held(), 0);
    }
}
