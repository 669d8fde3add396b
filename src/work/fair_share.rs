//! Who of several clients gets the next slot. Pure.

use std::collections::HashSet;
use std::hash::Hash;

/// The answer to a client that asks for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It gets one.
    Take,
    /// It comes back later.
    Refuse,
    /// It comes back soon: it has less than its share, and whoever has more gives a slot up if it asks again.
    AskAgain,
    /// It comes back later, and the holder at this position gives its slot up for it.
    Reclaim(usize),
}

/// Decides about one of `capacity` slots. `holders` stand in the order in which they got theirs, `waiting` are those who were
/// refused not long ago.
///
/// Alone, a client gets every slot. Where others hold or wait, each has a share, the same for all: a free slot goes to no one
/// who has its share already while somebody else waits for less than that. A client that was refused once and has less than
/// its share gets the newest slot of the client that has the most, and more than its share.
pub(super) fn decide<C: Copy + Eq + Hash>(capacity: usize, holders: &[C], waiting: &[C], asking: C) -> Decision {
    let claimants: HashSet<C> = holders.iter().chain(waiting).copied().chain([asking]).collect();
    let share = (capacity / claimants.len()).max(1);
    let held = |client: C| holders.iter().filter(|holder| **holder == client).count();
    let has_share = held(asking) >= share;
    if holders.len() < capacity {
        let others_wait = waiting.iter().any(|other| *other != asking && held(*other) < share);
        return if has_share && others_wait { Decision::Refuse } else { Decision::Take };
    }
    if has_share {
        return Decision::Refuse;
    }
    let greediest = holders.iter().copied().max_by_key(|holder| held(*holder)).filter(|holder| held(*holder) > share);
    let newest = greediest.and_then(|greediest| holders.iter().rposition(|holder| *holder == greediest));
    match newest {
        None => Decision::Refuse,
        Some(newest) if waiting.contains(&asking) => Decision::Reclaim(newest),
        Some(_) => Decision::AskAgain,
    }
}

#[cfg(test)]
mod tests {
    use super::Decision::{AskAgain, Reclaim, Refuse, Take};
    use super::*;

    #[test]
    fn alone_a_client_takes_every_slot_and_no_more() {
        assert_eq!(decide(3, &[], &[], 'a'), Take);
        assert_eq!(decide(3, &['a', 'a'], &[], 'a'), Take);
        assert_eq!(decide(3, &['a', 'a', 'a'], &[], 'a'), Refuse);
        assert_eq!(decide(3, &['a', 'a', 'a'], &['a'], 'a'), Refuse, "it does not wait for itself");
    }

    #[test]
    fn a_free_slot_goes_to_who_waits_for_its_share() {
        assert_eq!(decide(4, &['a', 'a', 'a'], &['b'], 'a'), Refuse);
        assert_eq!(decide(4, &['a', 'a', 'a'], &['b'], 'b'), Take);
        assert_eq!(decide(4, &['a', 'b', 'b'], &['b'], 'a'), Take, "who waits has its share already");
        assert_eq!(decide(4, &['a', 'c', 'c'], &['b'], 'a'), Refuse, "a third of four slots is one");
        assert_eq!(decide(4, &['c', 'c', 'c'], &['b'], 'a'), Take, "below its share nobody stands back");
    }

    #[test]
    fn who_was_refused_once_gets_the_newest_slot_of_the_greediest() {
        assert_eq!(decide(4, &['a', 'a', 'a', 'a'], &[], 'b'), AskAgain);
        assert_eq!(decide(4, &['a', 'a', 'a', 'a'], &['c'], 'b'), AskAgain);
        assert_eq!(decide(4, &['a', 'a', 'a', 'a'], &['b'], 'b'), Reclaim(3));
        assert_eq!(decide(4, &['a', 'a', 'a', 'b'], &['b'], 'b'), Reclaim(2));
        assert_eq!(decide(4, &['a', 'a', 'b', 'b'], &['b'], 'b'), Refuse, "both have their share");
        assert_eq!(decide(6, &['a', 'c', 'a', 'c', 'a', 'a'], &['b'], 'b'), Reclaim(5), "c has only its share");
    }

    #[test]
    fn with_more_clients_than_slots_nobody_loses_an_only_one() {
        assert_eq!(decide(2, &['a', 'b'], &['c', 'd'], 'c'), Refuse);
        assert_eq!(decide(2, &['a'], &['c', 'd'], 'c'), Take);
        assert_eq!(decide(2, &['a'], &['c'], 'a'), Refuse);
    }

    /// Whoever asks again and again has its share after as many rounds, however greedy the other is.
    #[test]
    fn a_greedy_client_loses_what_is_above_its_share_and_no_more() {
        let mut holders = vec!['a'; 20];
        let mut waiting = Vec::new();
        for _ in 0..100 {
            for client in ['b', 'a', 'a', 'a'] {
                match decide(20, &holders, &waiting, client) {
                    Take => holders.push(client),
                    Refuse | AskAgain => waiting.push(client),
                    Reclaim(at) => drop(holders.remove(at)),
                }
                assert!(holders.len() <= 20);
            }
        }
        let of = |client| holders.iter().filter(|holder| **holder == client).count();
        assert_eq!((of('a'), of('b')), (10, 10));
    }
}
