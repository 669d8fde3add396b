//! What a run has to do, after what its state file knows. Pure.

use std::collections::{BTreeSet, HashSet};

use super::ending::{Ended, Ending};
use super::plan::Plan;
use super::state::State;

/// Which of the comparisons that have ended are to be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    /// Those of which nothing is known: unreachable, unverified, cancelled, nothing compared.
    Failed,
    /// Those that differ, as after a repair.
    Different,
}

impl Only {
    fn repeats(self, ending: Ending) -> bool {
        match self {
            Self::Failed => ending.is_failure(),
            Self::Different => ending == Ending::Different,
        }
    }
}

/// What a run has to do.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Start {
    /// Nothing of the state file counts: a new run begins.
    pub fresh: bool,
    /// What stays as it ended before.
    pub kept: Vec<Ended>,
    /// The positions in the plan of the comparisons that are to be made. Those first whose tasks may run on at their destinations: nobody
    /// knows what else they hold up.
    pub todo: Vec<usize>,
    /// The names of comparisons whose entries count no more: they are made again, were changed, or left the plan.
    pub withdrawn: Vec<String>,
    /// The names of comparisons that are made again and whose tasks may run on: those are followed.
    pub repeated: Vec<String>,
}

/// Decides. An interrupted run goes on, and of a finished one a new one begins. `only` keeps, of either, what is not repeated. What was
/// changed in the plan, or is new in it, is made in any case.
pub fn start(plan: &Plan, state: &State, only: &[Only]) -> Start {
    let fresh = state.is_empty() || (state.finished && only.is_empty());
    if fresh {
        return Start { fresh, todo: (0..plan.comparisons.len()).collect(), ..Start::default() };
    }
    let mut start = Start::default();
    let mut known = HashSet::new();
    for (at, comparison) in plan.comparisons.iter().enumerate() {
        let (name, fingerprint) = (&comparison.name, comparison.fingerprint());
        known.insert(name);
        let begun = state.begun.get(name).is_some_and(|begun| begun.fingerprint == fingerprint);
        match state.ended.get(name) {
            Some(ended) if ended.fingerprint == fingerprint && !only.iter().any(|o| o.repeats(ended.outcome)) => {
                start.kept.push(ended.clone());
                continue;
            }
            Some(_) if begun => start.repeated.push(name.clone()),
            Some(_) => start.withdrawn.push(name.clone()),
            None if !begun && state.begun.contains_key(name) => start.withdrawn.push(name.clone()),
            None => {}
        }
        start.todo.push(at);
    }
    let names: BTreeSet<&String> = state.ended.keys().chain(state.begun.keys()).collect();
    start.withdrawn.extend(names.into_iter().filter(|name| !known.contains(name)).cloned());
    let runs_on = |at: &usize| {
        let comparison = &plan.comparisons[*at];
        state.begun.get(&comparison.name).is_some_and(|begun| begun.fingerprint == comparison.fingerprint())
    };
    start.todo.sort_by_cached_key(|at| (!runs_on(at), *at));
    start
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::ended;
    use super::super::state::{Entry, VERSION};
    use super::*;
    use std::path::Path;

    fn plan(text: &str) -> Plan {
        Plan::parse(text, Path::new("p")).unwrap()
    }

    const PLAN: &str = "comparisons: [{service: a}, {service: b}, {service: c}, {service: d}, {service: e}]";

    /// a is equal, b differs, c was unreachable, d is under way.
    fn interrupted(plan: &Plan) -> State {
        let mut state = State::default();
        state.apply(Entry::Run { version: VERSION, began_at: 1 });
        for (at, outcome) in [Ending::Equal, Ending::Different, Ending::Unreachable].into_iter().enumerate() {
            let comparison = &plan.comparisons[at];
            state.apply(Entry::Ended(Box::new(ended(&comparison.name, &comparison.fingerprint(), outcome))));
        }
        let under_way = &plan.comparisons[3];
        let (name, fingerprint, task) = (under_way.name.clone(), under_way.fingerprint(), "t".to_owned());
        state.apply(Entry::Submitted { name, fingerprint, task });
        state
    }

    fn finished(plan: &Plan) -> State {
        let mut state = interrupted(plan);
        for at in [3, 4] {
            let comparison = &plan.comparisons[at];
            let ended = ended(&comparison.name, &comparison.fingerprint(), Ending::Equal);
            state.apply(Entry::Ended(Box::new(ended)));
        }
        state.apply(Entry::Finished { at: 9 });
        state
    }

    fn decided(plan: &Plan, state: &State, only: &[Only]) -> (bool, Vec<usize>, usize, String) {
        let Start { fresh, kept, todo, withdrawn, .. } = start(plan, state, only);
        (fresh, todo, kept.len(), withdrawn.join(" "))
    }

    #[test]
    fn an_interrupted_run_goes_on_and_a_finished_one_begins_from_the_start() {
        let plan = plan(PLAN);
        assert_eq!(decided(&plan, &State::default(), &[]), (true, vec![0, 1, 2, 3, 4], 0, String::new()));
        // What runs on at its destination comes first, and what ended stays, unreachable or not.
        assert_eq!(decided(&plan, &interrupted(&plan), &[]), (false, vec![3, 4], 3, String::new()));
        assert_eq!(decided(&plan, &finished(&plan), &[]), (true, vec![0, 1, 2, 3, 4], 0, String::new()));
    }

    #[test]
    fn only_what_is_asked_for_is_repeated() {
        let plan = plan(PLAN);
        assert_eq!(decided(&plan, &finished(&plan), &[Only::Failed]), (false, vec![2], 4, "c:80".to_owned()));
        assert_eq!(decided(&plan, &finished(&plan), &[Only::Different]), (false, vec![1], 4, "b:80".to_owned()));
        let both = [Only::Failed, Only::Different];
        assert_eq!(decided(&plan, &finished(&plan), &both), (false, vec![1, 2], 3, "b:80 c:80".to_owned()));
        // Of an interrupted one, what was never made as well.
        assert_eq!(decided(&plan, &interrupted(&plan), &[Only::Failed]), (false, vec![3, 2, 4], 2, "c:80".to_owned()));
    }

    #[test]
    fn what_was_not_reached_any_more_is_followed_where_it_runs_on() {
        let plan = plan(PLAN);
        let mut state = finished(&plan);
        let c = &plan.comparisons[2];
        let (name, fingerprint) = (c.name.clone(), c.fingerprint());
        let unreachable = Entry::Ended(Box::new(ended(&name, &fingerprint, Ending::Unreachable)));
        state.apply(Entry::Submitted { name: name.clone(), fingerprint, task: "t".to_owned() });
        state.apply(unreachable);
        state.apply(Entry::Finished { at: 10 });
        let again = start(&plan, &state, &[Only::Failed]);
        assert_eq!((again.todo, again.repeated), (vec![2], vec![name.clone()]));
        assert!(again.withdrawn.is_empty());
        state.apply(Entry::Repeated { name: name.clone() });
        assert!(state.begun.contains_key(&name) && !state.ended.contains_key(&name));
    }

    #[test]
    fn without_the_entry_of_its_begin_a_run_still_goes_on() {
        let plan = plan(PLAN);
        let state = State { began_at: None, ..interrupted(&plan) };
        assert_eq!(decided(&plan, &state, &[]), (false, vec![3, 4], 3, String::new()));
    }

    #[test]
    fn of_a_changed_plan_what_was_changed_is_made_again() {
        let before = plan(PLAN);
        let state = interrupted(&before);
        // a compares something else, b moved, d under way compares something else, e is gone, f is new.
        let after = plan(
            "comparisons: [{service: b}, {service: f}, {service: c}, {service: d, algorithm: XXHash32},
              {service: a, keyspaces: [ks]}]",
        );
        assert_eq!(decided(&after, &state, &[]), (false, vec![1, 3, 4], 2, "d:80 a:80".to_owned()));
        let smaller = plan("comparisons: [{service: b}]");
        assert_eq!(decided(&smaller, &state, &[]), (false, vec![], 1, "a:80 c:80 d:80".to_owned()));
    }
}
