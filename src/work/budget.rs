//! Memory that others can make a service hold: a number of bytes, given out in permits.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::client::Client;

/// For whom memory is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A client of the service. One of them gets as much as is left free beside it at most.
    Client(Client),
    /// The service itself: its connections, and its own tasks, which call sources that the configuration names.
    Service,
}

/// There is no room for so many bytes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{asked} bytes more do not fit: {held} of the {limit} bytes of twintree.memory_limit are in use")]
pub struct OverBudget {
    /// Bytes asked for.
    pub asked: u64,
    /// Bytes in use by everybody.
    pub held: u64,
    /// The budget, in bytes.
    pub limit: u64,
}

/// A budget of memory. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryBudget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: u64,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    total: u64,
    /// Of those who hold any.
    of: HashMap<Holder, u64>,
}

impl MemoryBudget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(Inner { limit, held: Mutex::default() }))
    }

    /// All of it, in bytes.
    pub fn limit(&self) -> u64 {
        self.0.limit
    }

    /// How many bytes are in use now.
    pub fn held(&self) -> u64 {
        self.0.held.lock().total
    }

    /// The right to hold so many bytes for somebody, until the permit is dropped.
    pub fn take(&self, holder: Holder, bytes: u64) -> Result<MemoryPermit, OverBudget> {
        let mut permit = self.nothing(holder);
        permit.grow(bytes)?;
        Ok(permit)
    }

    /// A permit for somebody that can grow, and holds nothing yet.
    pub fn nothing(&self, holder: Holder) -> MemoryPermit {
        MemoryPermit { budget: self.clone(), holder, bytes: 0 }
    }

    fn add(&self, holder: Holder, bytes: u64) -> Result<(), OverBudget> {
        let mut held = self.0.held.lock();
        let own = held.of.get(&holder).copied().unwrap_or_default();
        if !fits(self.0.limit, held.total, own, bytes, holder) {
            return Err(OverBudget { asked: bytes, held: held.total, limit: self.0.limit });
        }
        held.total += bytes;
        *held.of.entry(holder).or_default() += bytes;
        Ok(())
    }

    fn give_back(&self, holder: Holder, bytes: u64) {
        let mut held = self.0.held.lock();
        held.total -= bytes;
        if let Some(own) = held.of.get_mut(&holder) {
            *own -= bytes;
            if *own == 0 {
                held.of.remove(&holder);
            }
        }
    }
}

/// Whether `asked` bytes more fit for one who holds `own` of the `held` bytes. A client must leave as much free as it then
/// holds: however much it asks for, there is room for the next one, without knowing of it beforehand. Pure.
fn fits(limit: u64, held: u64, own: u64, asked: u64, holder: Holder) -> bool {
    let Some(left) = limit.checked_sub(held).and_then(|free| free.checked_sub(asked)) else { return false };
    match holder {
        Holder::Service => true,
        // A request that takes nothing is no claim.
        Holder::Client(_) => asked == 0 || own.saturating_add(asked) <= left,
    }
}

/// The right to hold some bytes; they are free again when this is dropped.
#[derive(Debug)]
pub struct MemoryPermit {
    budget: MemoryBudget,
    holder: Holder,
    bytes: u64,
}

impl MemoryPermit {
    /// How many bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The right to so many bytes more. The permit stays as it was where they do not fit.
    pub fn grow(&mut self, bytes: u64) -> Result<(), OverBudget> {
        self.budget.add(self.holder, bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back all but so many bytes.
    pub fn shrink_to(&mut self, bytes: u64) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.budget.give_back(self.holder, surplus);
        self.bytes -= surplus;
    }

    /// Bytes that hold the permit as long as anybody has a piece of them.
    pub fn hold(self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(HeldBytes { bytes, _permit: self })
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        self.budget.give_back(self.holder, self.bytes);
    }
}

struct HeldBytes {
    bytes: Vec<u8>,
    _permit: MemoryPermit,
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> Holder {
        Holder::Client(Client::at([10, 0, 0, last].into()))
    }

    #[test]
    fn what_is_held_comes_back_with_the_permit() {
        let budget = MemoryBudget::new(100);
        let mut permit = budget.take(Holder::Service, 60).unwrap();
        let refused = budget.take(Holder::Service, 41).unwrap_err();
        assert_eq!(refused, OverBudget { asked: 41, held: 60, limit: 100 });
        permit.grow(40).unwrap();
        assert!(permit.grow(1).is_err());
        assert_eq!((permit.bytes(), budget.held()), (100, 100));
        permit.shrink_to(10);
        assert_eq!((permit.bytes(), budget.held()), (10, 10));
        permit.shrink_to(50);
        assert_eq!(permit.bytes(), 10, "shrinking never takes more");
        drop(permit);
        assert_eq!(budget.held(), 0);
        assert!(budget.0.held.lock().of.is_empty(), "nobody is remembered who holds nothing");
    }

    #[test]
    fn held_bytes_are_counted_until_the_last_piece_of_them_is_gone() {
        let budget = MemoryBudget::new(100);
        let bytes = budget.take(client(1), 4).unwrap().hold(b"abcd".to_vec());
        let piece = bytes.slice(1..2);
        drop(bytes);
        assert_eq!((&piece[..], budget.held()), (&b"b"[..], 4));
        drop(piece);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn a_client_leaves_as_much_as_it_holds_to_the_others() {
        let budget = MemoryBudget::new(96);
        let greedy = budget.take(client(1), 48).unwrap();
        assert!(budget.take(client(1), 1).is_err(), "half of everything is in use by one");
        let second = budget.take(client(2), 24).unwrap();
        assert!(budget.take(client(2), 1).is_err());
        let third = budget.take(client(3), 12).unwrap();
        assert!(budget.take(Holder::Service, 12).is_ok(), "the service itself takes what is left");
        assert!(budget.take(client(1), 0).is_ok());
        drop((greedy, second, third));
        assert!(budget.take(client(2), 48).is_ok());
    }

    #[test]
    fn no_sum_overflows() {
        assert!(!fits(u64::MAX, 1, 1, u64::MAX, client(1)));
        assert!(!fits(10, 11, 0, 0, Holder::Service));
        assert!(fits(u64::MAX, 0, 0, u64::MAX, Holder::Service));
        assert!(!fits(u64::MAX, 0, u64::MAX, 1, client(1)));
    }
}
