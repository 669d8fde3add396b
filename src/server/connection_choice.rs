//! Which connection ends where a new one comes and all are in use. Pure.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// A connection as it stands now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<C, N> {
    pub number: N,
    pub client: C,
    /// It came when all were in use, and is for health and metrics alone.
    pub reserved: bool,
    /// How long no request was answered on it; none while one is.
    pub idle: Option<Duration>,
}

/// Where a new connection goes, and which one ends for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<N> {
    /// Among all others.
    Ordinary(Option<N>),
    /// For health and metrics alone.
    Reserved(Option<N>),
}

/// The place of a connection of `client`. At the limit an idle one ends for it, of the client that has the most, the one that
/// was idle for longest. Where none is idle, the client with the most gives one up if it has at least two more than the
/// one who comes: the one it opened last. Else it is a connection for health and metrics, and where the reserve is full the oldest of
/// those ends that the client with the most of them has.
pub(super) fn place<C: Copy + Eq + Hash, N: Copy + Ord>(
    open: &[Seen<C, N>],
    limit: usize,
    reserve: usize,
    client: C,
) -> Place<N> {
    let (reserved, ordinary): (Vec<&Seen<C, N>>, Vec<_>) = open.iter().partition(|seen| seen.reserved);
    if ordinary.len() < limit {
        return Place::Ordinary(None);
    }
    let count = counts(&ordinary);
    let idle = ordinary.iter().filter_map(|seen| Some((count(seen.client), seen.idle?, seen.number)));
    if let Some((.., number)) = idle.max() {
        return Place::Ordinary(Some(number));
    }
    let greedy = ordinary.iter().filter(|seen| count(seen.client) >= count(client) + 2);
    if let Some((_, number)) = greedy.map(|seen| (count(seen.client), seen.number)).max() {
        return Place::Ordinary(Some(number));
    }
    let count = counts(&reserved);
    let oldest = reserved.iter().max_by_key(|seen| (count(seen.client), Reverse(seen.number)));
    Place::Reserved(oldest.map(|seen| seen.number).filter(|_| reserved.len() >= reserve))
}

/// How many of these each client has.
fn counts<C: Copy + Eq + Hash, N>(seen: &[&Seen<C, N>]) -> impl Fn(C) -> usize + use<C, N> {
    let mut counts: HashMap<C, usize> = HashMap::new();
    seen.iter().for_each(|seen| *counts.entry(seen.client).or_default() += 1);
    move |client| counts.get(&client).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A letter for each connection: its client, and upper case where a request is answered. Numbers are positions, and what
    /// was opened first was idle for longest. Those behind `|` are reserved.
    fn place_of(text: &str, limit: usize, client: char) -> Place<usize> {
        let (ordinary, reserved) = text.split_once('|').unwrap_or((text, ""));
        let all = ordinary.chars().map(|c| (c, false)).chain(reserved.chars().map(|c| (c, true)));
        let seen = all.enumerate().map(|(number, (c, reserved))| Seen {
            number,
            client: c.to_ascii_lowercase(),
            reserved,
            idle: c.is_ascii_lowercase().then(|| Duration::from_secs(100 - number as u64)),
        });
        place(&seen.collect::<Vec<_>>(), limit, 2, client)
    }

    #[test]
    fn below_the_limit_nobody_makes_room() {
        assert_eq!(place_of("aaB", 4, 'a'), Place::Ordinary(None));
        assert_eq!(place_of("aaB|AA", 4, 'a'), Place::Ordinary(None), "the reserve does not count");
    }

    #[test]
    fn at_the_limit_the_longest_idle_one_of_the_greediest_ends() {
        assert_eq!(place_of("baAa", 4, 'c'), Place::Ordinary(Some(1)));
        assert_eq!(place_of("bAAA", 4, 'c'), Place::Ordinary(Some(0)), "idle before busy");
        assert_eq!(place_of("aaaa", 4, 'a'), Place::Ordinary(Some(0)), "its own where there is nobody else");
    }

    #[test]
    fn busy_ones_end_only_for_a_client_with_fewer() {
        assert_eq!(place_of("AAAB", 4, 'c'), Place::Ordinary(Some(2)));
        assert_eq!(place_of("AAAB", 4, 'b'), Place::Ordinary(Some(2)));
        assert_eq!(place_of("AABB", 4, 'b'), Place::Reserved(None));
        assert_eq!(place_of("AAAA", 4, 'a'), Place::Reserved(None));
    }

    #[test]
    fn the_reserve_turns_over() {
        assert_eq!(place_of("AAAA|A", 4, 'a'), Place::Reserved(None));
        assert_eq!(place_of("AAAA|Aa", 4, 'a'), Place::Reserved(Some(4)));
        assert_eq!(place_of("AAAA|BAA", 4, 'a'), Place::Reserved(Some(5)), "not that of who has fewer");
    }
}
