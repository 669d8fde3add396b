//! Which comparisons may start now. Pure: a function of what is ready, what is held, and how many slots are free.

use std::collections::{BTreeSet, HashMap};

use super::claims::Claims;

/// Groups and hosts that are taken, with the comparison that has each.
#[derive(Debug, Default)]
struct Taken<'a> {
    groups: HashMap<&'a str, usize>,
    hosts: HashMap<&'a str, usize>,
}

impl<'a> Taken<'a> {
    fn take(&mut self, at: usize, claims: &'a Claims) {
        self.groups.extend(claims.group.as_deref().map(|group| (group, at)));
        self.hosts.extend(claims.hosts.iter().map(|host| (host.as_str(), at)));
    }

    /// Whether another one has any of it.
    fn by_another(&self, at: usize, claims: &Claims) -> bool {
        let other = |owner: Option<&usize>| owner.is_some_and(|owner| *owner != at);
        let group = claims.group.as_deref().is_some_and(|group| other(self.groups.get(group)));
        group || claims.hosts.iter().any(|host| other(self.hosts.get(host.as_str())))
    }
}

/// Of those that are ready, in the order of the plan, the ones to start now: as many as slots are free, none of a group or on a host that
/// another one has. `held` are those that have theirs, because they are under way or may run on at their destinations.
///
/// Nothing that may start waits while a slot is free, and whatever waits for a group or a host lets others pass. Of comparisons that wait
/// for the same thing the first of the plan comes first.
pub fn startable(
    ready: impl IntoIterator<Item = usize>,
    claims: &[Claims],
    held: &BTreeSet<usize>,
    free_slots: usize,
) -> Vec<usize> {
    let mut taken = Taken::default();
    held.iter().filter_map(|at| claims.get(*at).map(|claims| (*at, claims))).for_each(|(at, own)| taken.take(at, own));
    let mut chosen = Vec::new();
    let mut ready = ready.into_iter();
    while chosen.len() < free_slots {
        let Some(at) = ready.next() else { break };
        let Some(own) = claims.get(at) else { continue };
        if !taken.by_another(at, own) {
            taken.take(at, own);
            chosen.push(at);
        }
    }
    chosen
}

/// All of them in the order in which they would start, in rounds, if each took as long as any other. For a person who wants to know
/// before.
pub fn rounds(claims: &[Claims], parallel: usize) -> Vec<Vec<usize>> {
    let mut waiting: BTreeSet<usize> = (0..claims.len()).collect();
    let mut rounds = Vec::new();
    while !waiting.is_empty() {
        let round = startable(waiting.iter().copied(), claims, &BTreeSet::new(), parallel.max(1));
        waiting.retain(|at| !round.contains(at));
        rounds.push(round);
    }
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn claims() -> impl Strategy<Value = Claims> {
        let group = proptest::option::of((0..4_u8).prop_map(|group| format!("g{group}")));
        let hosts = proptest::collection::btree_set((0..8_u8).prop_map(|host| format!("h{host}")), 0..3);
        (group, hosts).prop_map(|(group, hosts)| Claims { group, hosts })
    }

    fn disjoint(a: &Claims, b: &Claims) -> bool {
        (a.group.is_none() || a.group != b.group) && a.hosts.is_disjoint(&b.hosts)
    }

    /// Runs a schedule to its end; `ends` picks which of those under way ends next. Returns the order of the starts.
    fn simulate(claims: &[Claims], parallel: usize, ends: &[usize]) -> Vec<usize> {
        let mut waiting: BTreeSet<usize> = (0..claims.len()).collect();
        let (mut under_way, mut started) = (BTreeSet::new(), Vec::new());
        let mut ends = ends.iter().cycle();
        while !waiting.is_empty() || !under_way.is_empty() {
            for at in startable(waiting.iter().copied(), claims, &under_way, parallel - under_way.len()) {
                assert!(waiting.remove(&at), "started once");
                assert!(under_way.iter().all(|other: &usize| disjoint(&claims[at], &claims[*other])));
                under_way.insert(at);
                started.push(at);
            }
            assert!(under_way.len() <= parallel);
            let idle = under_way.len() < parallel;
            let may = |at: &usize| under_way.iter().all(|other| disjoint(&claims[*at], &claims[*other]));
            assert!(!(idle && waiting.iter().any(may)), "something waits that need not");
            let end = under_way.iter().nth(ends.next().unwrap() % under_way.len()).copied().unwrap();
            under_way.remove(&end);
        }
        started
    }

    proptest! {
        #[test]
        fn all_are_made_and_never_two_of_one_group_or_on_one_host(
            claims in proptest::collection::vec(claims(), 0..40),
            parallel in 1_usize..8,
            ends in proptest::collection::vec(0_usize..8, 1..50),
        ) {
            let mut started = simulate(&claims, parallel, &ends);
            if parallel == 1 {
                prop_assert!(started.is_sorted(), "one at a time keeps the order of the plan");
            }
            started.sort_unstable();
            prop_assert_eq!(started, (0..claims.len()).collect::<Vec<_>>());
        }

        #[test]
        fn rounds_hold_each_one_once(claims in proptest::collection::vec(claims(), 0..40), parallel in 0_usize..8) {
            let rounds = rounds(&claims, parallel);
            for round in &rounds {
                prop_assert!(round.len() <= parallel.max(1));
                for (position, at) in round.iter().enumerate() {
                    prop_assert!(round[..position].iter().all(|other| disjoint(&claims[*at], &claims[*other])));
                }
            }
            let mut all = rounds.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..claims.len()).collect::<Vec<_>>());
        }
    }

    fn of(group: Option<&str>, hosts: &[&str]) -> Claims {
        Claims { group: group.map(str::to_owned), hosts: hosts.iter().map(|host| (*host).to_owned()).collect() }
    }

    #[test]
    fn whoever_waits_for_a_group_lets_others_pass() {
        let all = [of(Some("g"), &["a"]), of(Some("g"), &["b"]), of(None, &["c"]), of(None, &["a"])];
        assert_eq!(startable(0..4, &all, &BTreeSet::new(), 9), [0, 2]);
        assert_eq!(startable([1, 3], &all, &BTreeSet::from([0]), 9), [0_usize; 0]);
        assert_eq!(startable([1, 3], &all, &BTreeSet::from([2]), 9), [1, 3]);
        assert_eq!(rounds(&all, 9), [vec![0, 2], vec![1, 3]]);
    }

    #[test]
    fn what_holds_its_own_may_start_and_of_two_that_clash_one_does() {
        let all = [of(Some("g"), &["a"]), of(Some("g"), &["a"])];
        assert_eq!(startable([0], &all, &BTreeSet::from([0]), 1), [0]);
        // A plan that was changed while both ran on: one after the other, and never none.
        assert_eq!(startable([0, 1], &all, &BTreeSet::from([0, 1]), 2), [1]);
    }
}
