//! Connections that were accepted and wait to be let in. Pure.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Each so many-th that leaves is the one that waited for longest.
const FIRST_COME: u64 = 4;

/// What waits, by who came.
#[derive(Debug)]
pub(super) struct Lobby<C, T> {
    most: usize,
    waiting: HashMap<C, VecDeque<(u64, T)>>,
    count: usize,
    number: u64,
    /// How many have left by [`Self::leave`].
    left: u64,
}

impl<C: Copy + Eq + Hash, T> Lobby<C, T> {
    /// At most so many may wait.
    pub(super) fn new(most: usize) -> Self {
        Self { most, waiting: HashMap::new(), count: 0, number: 0, left: 0 }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes one in. Where too many wait, the last one of the client with the most of them is given back: it is turned away.
    pub(super) fn enter(&mut self, client: C, what: T) -> Option<T> {
        self.waiting.entry(client).or_default().push_back((self.number, what));
        self.number += 1;
        self.count += 1;
        if self.count <= self.most {
            return None;
        }
        let greediest = *self.waiting.iter().max_by_key(|(_, waiting)| waiting.len())?.0;
        self.take(greediest, VecDeque::pop_back).map(|(_, what)| what)
    }

    /// The client whose turn is next; see [`Self::leave`].
    pub(super) fn next(&self, open: impl Fn(C) -> usize) -> Option<C> {
        let by_arrival = self.left % FIRST_COME == FIRST_COME - 1;
        let rank = |(client, waiting): (&C, &VecDeque<(u64, T)>)| {
            let fewest = if by_arrival { 0 } else { open(*client) };
            waiting.front().map(|(number, _)| ((fewest, *number), *client))
        };
        self.waiting.iter().filter_map(rank).min_by_key(|(rank, _)| *rank).map(|(_, client)| client)
    }

    /// Takes out whose client has the fewest connections `open`; of several the one that came first. Now and then it is the one that came
    /// first of all: who opens and closes one connection after the other has few at any time.
    pub(super) fn leave(&mut self, open: impl Fn(C) -> usize) -> Option<(C, T)> {
        let client = self.next(open)?;
        self.left += 1;
        self.take(client, VecDeque::pop_front).map(|(_, what)| (client, what))
    }

    /// Takes out the one that came first.
    pub(super) fn leave_first(&mut self) -> Option<(C, T)> {
        let front =
            |(client, waiting): (&C, &VecDeque<(u64, T)>)| waiting.front().map(|(number, _)| (*number, *client));
        let (_, client) = self.waiting.iter().filter_map(front).min_by_key(|(number, _)| *number)?;
        self.take(client, VecDeque::pop_front).map(|(_, what)| (client, what))
    }

    fn take(&mut self, client: C, end: impl Fn(&mut VecDeque<(u64, T)>) -> Option<(u64, T)>) -> Option<(u64, T)> {
        let waiting = self.waiting.get_mut(&client)?;
        let taken = end(waiting)?;
        if waiting.is_empty() {
            self.waiting.remove(&client);
        }
        self.count -= 1;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_fewest_connections_comes_first_and_else_who_came_first() {
        let mut lobby = Lobby::new(9);
        for (number, client) in "aabac".chars().enumerate() {
            assert_eq!(lobby.enter(client, number), None);
        }
        let open = |client| if client == 'c' { 0 } else { 5 };
        let order: Vec<_> = std::iter::from_fn(|| lobby.leave(open)).collect();
        assert_eq!(order, [('c', 4), ('a', 0), ('a', 1), ('b', 2), ('a', 3)]);
        assert!(lobby.is_empty());
    }

    #[test]
    fn who_has_many_is_not_left_waiting_for_ever_by_who_has_few_at_a_time() {
        let mut lobby = Lobby::new(9);
        let open = |client| usize::from(client == 'm');
        lobby.enter('m', 0);
        let turns = (1..=9).take_while(|turn| {
            lobby.enter('f', *turn);
            lobby.leave(open) != Some(('m', 0))
        });
        assert_eq!(turns.count(), 3);
        assert_eq!(lobby.leave_first(), Some(('f', 4)));
    }

    #[test]
    fn where_too_many_wait_the_last_of_the_greediest_is_turned_away() {
        let mut lobby = Lobby::new(3);
        let turned_away: Vec<_> =
            "aabbaa".chars().enumerate().map(|(number, client)| lobby.enter(client, number)).collect();
        assert!(matches!(turned_away[..], [None, None, None, Some(1 | 3), ..]), "{turned_away:?}");
        assert_eq!(turned_away.iter().flatten().count(), 3);
        assert_eq!(std::iter::from_fn(|| lobby.leave(|_| 0)).count(), 3);
    }
}
