//! A number of slots that clients share fairly: file requests, listings, builds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::fair_share::{Decision, decide};

/// How long a client that was refused counts as waiting: longer than the `Retry-After` of a refusal and the longest delay of a
/// usual client, which is 10 seconds.
const WAITS_FOR: Duration = Duration::from_secs(30);

/// How long after its slot was reclaimed a holder may take to give it back. What hangs longer, as a read of a dead disk does, counts
/// as lost with its slot, and others are asked for theirs.
const GIVES_BACK_WITHIN: Duration = Duration::from_secs(10);

/// The most clients that are remembered as waiting.
const MAX_WAITING: usize = 1024;

/// The service works on as much of this kind as it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Server is busy processing live migration file requests, please try again later")]
pub struct Busy {
    /// The client has less than its share, and another one more: a slot is there for it soon, if it asks again.
    pub owed: bool,
}

/// Slots of one kind. Clones share them.
#[derive(Debug, Clone)]
pub struct FairSlots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// In the order in which they were taken.
    held: Vec<Held>,
    waiting: HashMap<Client, Instant>,
}

#[derive(Debug)]
struct Held {
    number: u64,
    client: Client,
    reclaimed: CancellationToken,
    reclaimed_at: Option<Instant>,
}

impl Held {
    fn is_lost(&self, now: Instant) -> bool {
        self.reclaimed_at.is_some_and(|at| now.duration_since(at) >= GIVES_BACK_WITHIN)
    }
}

impl FairSlots {
    /// So many slots, none of them taken.
    pub fn new(capacity: usize) -> Self {
        Self(Arc::new(Inner { capacity, state: Mutex::default() }))
    }

    /// A slot for a client, as long as it is held. `reclaimed` is cancelled when another client is owed the slot: what it is held
    /// for must end then.
    pub fn take(&self, client: Client, reclaimed: CancellationToken) -> Result<FairSlot, Busy> {
        self.take_at(Instant::now(), client, reclaimed)
    }

    fn take_at(&self, now: Instant, client: Client, reclaimed: CancellationToken) -> Result<FairSlot, Busy> {
        let mut state = self.0.state.lock();
        state.waiting.retain(|_, since| now.duration_since(*since) < WAITS_FOR);
        let staying: Vec<usize> = (0..state.held.len()).filter(|at| !state.held[*at].is_lost(now)).collect();
        let holders: Vec<Client> = staying.iter().map(|at| state.held[*at].client).collect();
        let waiting: Vec<Client> = state.waiting.keys().copied().collect();
        let capacity = self.0.capacity.saturating_sub(state.held.len() - staying.len());
        match decide(capacity, &holders, &waiting, client) {
            Decision::Take => Ok(self.give(&mut state, client, reclaimed)),
            refused @ (Decision::Refuse | Decision::AskAgain) => {
                state.wait(client, now);
                Err(Busy { owed: refused == Decision::AskAgain })
            }
            Decision::Reclaim(at) => {
                state.wait(client, now);
                // One that was asked for already is on its way back: one at a time.
                if !staying.iter().any(|at| state.held[*at].reclaimed_at.is_some()) {
                    let owed = &mut state.held[staying[at]];
                    owed.reclaimed_at = Some(now);
                    owed.reclaimed.cancel();
                }
                Err(Busy { owed: true })
            }
        }
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.0.state.lock().held.len()
    }

    fn give(&self, state: &mut State, client: Client, reclaimed: CancellationToken) -> FairSlot {
        let number = state.next;
        state.next += 1;
        state.held.push(Held { number, client, reclaimed, reclaimed_at: None });
        FairSlot { slots: self.clone(), number }
    }
}

impl State {
    fn wait(&mut self, client: Client, now: Instant) {
        if self.waiting.len() < MAX_WAITING || self.waiting.contains_key(&client) {
            self.waiting.insert(client, now);
        }
    }
}

/// A slot; free again when this is dropped.
#[derive(Debug)]
pub struct FairSlot {
    slots: FairSlots,
    number: u64,
}

impl Drop for FairSlot {
    fn drop(&mut self) {
        self.slots.0.state.lock().held.retain(|held| held.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> Client {
        Client::at([10, 0, 0, last].into())
    }

    /// A slot, and whether it was reclaimed.
    fn take(slots: &FairSlots, of: u8) -> Result<(FairSlot, CancellationToken), Busy> {
        let reclaimed = CancellationToken::new();
        Ok((slots.take(client(of), reclaimed.clone())?, reclaimed))
    }

    #[test]
    fn a_slot_comes_back_when_it_is_dropped() {
        let slots = FairSlots::new(2);
        let held = [take(&slots, 1).unwrap(), take(&slots, 1).unwrap()];
        assert_eq!(take(&slots, 1).err(), Some(Busy { owed: false }));
        assert_eq!(slots.taken(), 2);
        drop(held);
        assert_eq!(slots.taken(), 0);
        assert!(take(&slots, 1).is_ok());
    }

    #[test]
    fn a_second_client_gets_its_share_one_slot_after_the_other() {
        let slots = FairSlots::new(4);
        let mut greedy: Vec<_> = (0..4).map(|_| take(&slots, 1).unwrap()).collect();
        assert_eq!(take(&slots, 2).err(), Some(Busy { owed: true }));
        assert!(greedy.iter().all(|(_, reclaimed)| !reclaimed.is_cancelled()), "one refusal costs nobody anything");
        let mut late = Vec::new();
        for round in 0..2 {
            assert_eq!(take(&slots, 2).err(), Some(Busy { owed: true }));
            assert!(take(&slots, 2).is_err(), "one at a time");
            let reclaimed = greedy.iter().filter(|(_, reclaimed)| reclaimed.is_cancelled()).count();
            assert_eq!(reclaimed, 1, "round {round}");
            greedy.retain(|(_, reclaimed)| !reclaimed.is_cancelled());
            assert!(take(&slots, 1).is_err(), "it is not for the greedy one");
            late.push(take(&slots, 2).unwrap());
        }
        assert_eq!(take(&slots, 2).err(), Some(Busy { owed: false }));
        assert!(greedy.iter().all(|(_, reclaimed)| !reclaimed.is_cancelled()), "both have their share");
    }

    /// A read of a dead disk never ends, and must not take every share with it.
    #[test]
    fn a_slot_that_does_not_come_back_holds_up_nobody_for_long() {
        let slots = FairSlots::new(4);
        let mut greedy: Vec<_> = (0..4).map(|_| take(&slots, 1).unwrap()).collect();
        let (begun, other) = (Instant::now(), CancellationToken::new());
        let ask = |after: u64| slots.take_at(begun + Duration::from_secs(after), client(2), other.clone());
        let reclaimed =
            |greedy: &[(FairSlot, CancellationToken)]| greedy.iter().filter(|(_, token)| token.is_cancelled()).count();
        assert!(ask(0).is_err() && ask(1).is_err());
        assert_eq!(reclaimed(&greedy), 1);
        assert!(ask(8).is_err());
        assert_eq!(reclaimed(&greedy), 1, "it may still come");
        assert!(ask(12).is_err());
        assert_eq!(reclaimed(&greedy), 2, "another one is asked");
        // The first one hangs on; the second one gives its slot back.
        let second = greedy.iter().rposition(|(slot, token)| token.is_cancelled() && slot.number == 2).unwrap();
        drop(greedy.remove(second));
        let _given = ask(13).unwrap();
        assert_eq!(slots.taken(), 4, "a lost slot is not given to anybody");
    }

    #[test]
    fn only_so_many_are_remembered_as_waiting() {
        let slots = FairSlots::new(1);
        let _held = take(&slots, 1).unwrap();
        for number in 0..5000_u32 {
            let _ = slots.take(Client::at(std::net::Ipv4Addr::from(number).into()), CancellationToken::new());
        }
        assert_eq!(slots.0.state.lock().waiting.len(), MAX_WAITING);
    }
}
