//! Runs with comparisons that end as a script says, on a clock that jumps.

use std::collections::HashMap;
use std::convert::Infallible;

use parking_lot::Mutex;

use super::*;
use crate::net::Endpoint;

/// What each try of a comparison comes to; the last one again and again.
#[derive(Clone)]
enum Try {
    Ends(Ending),
    NotReached,
    BreaksOff(u64),
    Refused,
    /// Its source turns out to be on this host.
    OnHost(&'static str),
    /// The same, and then it breaks off.
    BreaksOffOnHost(&'static str),
    Forever,
}

struct Script {
    tries: Vec<Vec<Try>>,
    made: Mutex<HashMap<usize, usize>>,
    /// Those under way, and the most there ever were.
    under_way: Mutex<(BTreeSet<usize>, usize)>,
    begun: Mutex<BTreeSet<usize>>,
    took: Duration,
}

fn refused(status: u16) -> CallError {
    CallError::Status { endpoint: Endpoint::http("h", 1), status, message: "no".to_owned(), retry_after: None }
}

fn unreachable() -> CallError {
    CallError::Unreachable { endpoint: Endpoint::http("h", 1), cause: "refused".to_owned(), connected: false }
}

impl Script {
    fn next(&self, at: usize) -> Try {
        let mut made = self.made.lock();
        let count = made.entry(at).or_default();
        let next = self.tries[at].get(*count).or(self.tries[at].last()).unwrap().clone();
        *count += 1;
        next
    }
}

impl Execute for Script {
    fn is_remote(&self, _: usize) -> bool {
        true
    }

    fn runs_on(&self, at: usize) -> bool {
        self.begun.lock().contains(&at)
    }

    async fn reach(&self, at: usize) -> Result<(), CallError> {
        let made = *self.made.lock().get(&at).unwrap_or(&0);
        match self.tries[at].get(made).or(self.tries[at].last()) {
            Some(Try::NotReached) => {
                *self.made.lock().entry(at).or_default() += 1;
                // As long as a host that drops every packet takes.
                tokio::time::sleep(Duration::from_secs(30)).await;
                Err(unreachable())
            }
            _ => {
                // The later one answers first.
                tokio::time::sleep(Duration::from_millis(400_u64.saturating_sub(10 * at as u64))).await;
                Ok(())
            }
        }
    }

    async fn attempt(&self, at: usize, hosts: &Hosts) -> Result<Conclusion, Setback> {
        let next = self.next(at);
        {
            let mut under_way = self.under_way.lock();
            under_way.0.insert(at);
            under_way.1 = under_way.1.max(under_way.0.len());
        }
        let taken = matches!(next, Try::OnHost(host) | Try::BreaksOffOnHost(host) if !hosts.claim(at, host));
        if !taken {
            tokio::time::sleep(self.took).await;
        }
        let result = match next {
            Try::Ends(ending) => Ok(Conclusion::without(ending, String::new())),
            Try::BreaksOff(delivered) => {
                self.begun.lock().insert(at);
                Err(Setback::Call { error: unreachable(), delivered })
            }
            Try::BreaksOffOnHost(_) if !taken => {
                self.begun.lock().insert(at);
                Err(Setback::Call { error: unreachable(), delivered: 1 })
            }
            Try::OnHost(_) if !taken => Ok(Conclusion::without(Ending::Equal, String::new())),
            Try::OnHost(host) | Try::BreaksOffOnHost(host) => Err(Setback::HostTaken(host.to_owned())),
            Try::Forever => std::future::pending().await,
            Try::Refused | Try::NotReached => Err(Setback::Call { error: refused(400), delivered: 0 }),
        };
        self.under_way.lock().0.remove(&at);
        result
    }
}

fn jobs(groups: &[Option<&str>]) -> Vec<Job> {
    let retries = RetryPolicy {
        max_retries: 3,
        delay: Duration::from_secs(1),
        max_delay: Duration::from_secs(30),
        budget: Duration::from_secs(600),
    };
    let claims = |group: &Option<&str>| Claims { group: group.map(str::to_owned), ..Claims::default() };
    groups.iter().map(|group| Job { claims: claims(group), retries }).collect()
}

fn script(tries: Vec<Vec<Try>>) -> Arc<Script> {
    let took = Duration::from_secs(10);
    Arc::new(Script { tries, made: Mutex::default(), under_way: Mutex::default(), begun: Mutex::default(), took })
}

/// The endings by position with the tries of each, the order of the starts, and whether all ended.
async fn play(
    script: &Arc<Script>,
    groups: &[Option<&str>],
    parallel: usize,
    stop_after: Option<u64>,
) -> (BTreeMap<usize, (Ending, u32)>, Vec<usize>, bool) {
    let (mut ended, mut started) = (BTreeMap::new(), Vec::new());
    let stop = async {
        match stop_after {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    let on = |event| {
        match event {
            Event::Started(at) => started.push(at),
            Event::Paused { .. } | Event::Held(_) | Event::Broken(_) => {}
            Event::Ended { at, conclusion, tries, .. } => {
                assert!(ended.insert(at, (conclusion.ending, tries)).is_none(), "ended once");
            }
        }
        Ok::<(), Infallible>(())
    };
    let parallel = NonZeroUsize::new(parallel).unwrap();
    let all = run(jobs(groups), parallel, Arc::clone(script), stop, on).await.unwrap();
    (ended, started, all)
}

#[tokio::test(start_paused = true)]
async fn as_many_as_allowed_are_under_way_and_all_end() {
    let script = script(vec![vec![Try::Ends(Ending::Equal)]; 20]);
    let (ended, started, all) = play(&script, &[None; 20], 3, None).await;
    assert!(all && ended.values().all(|end| *end == (Ending::Equal, 1)));
    assert_eq!((ended.len(), script.under_way.lock().1), (20, 3));
    assert_eq!(started, (0..20).collect::<Vec<_>>(), "in the order of the plan, whoever answered first");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_reached_is_unreachable_in_the_end_and_holds_nobody_up() {
    let mut tries = vec![vec![Try::NotReached]; 3];
    tries.extend(vec![vec![Try::Ends(Ending::Equal)]; 5]);
    let script = script(tries);
    let clock = tokio::time::Instant::now();
    let (ended, started, all) = play(&script, &[None; 8], 1, Some(51)).await;
    // One slot, five comparisons of ten seconds each: half a second was lost to the three.
    assert!(!all && clock.elapsed() < Duration::from_secs(52));
    assert_eq!((ended.len(), started), (5, vec![3, 4, 5, 6, 7]));
    let script = self::script(vec![vec![Try::NotReached], vec![Try::Ends(Ending::Different)]]);
    let (ended, ..) = play(&script, &[None; 2], 1, None).await;
    assert_eq!(ended, [(0, (Ending::Unreachable, 4)), (1, (Ending::Different, 1))].into());
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_back_is_followed_and_one_that_only_flaps_is_given_up() {
    let back = vec![Try::BreaksOff(1), Try::NotReached, Try::BreaksOff(2), Try::BreaksOff(3), Try::Ends(Ending::Equal)];
    let script = script(vec![back, vec![Try::BreaksOff(7)], vec![Try::Refused]]);
    let (ended, _, all) = play(&script, &[None; 3], 3, None).await;
    assert!(all);
    let flapped = (Ending::Unreachable, 4);
    assert_eq!(ended, [(0, (Ending::Equal, 5)), (1, flapped), (2, (Ending::Unverified, 1))].into());
}

#[tokio::test(start_paused = true)]
async fn what_runs_on_at_its_destination_keeps_its_group_to_itself() {
    let script = script(vec![
        vec![Try::BreaksOff(1), Try::NotReached, Try::Ends(Ending::Equal)],
        vec![Try::Ends(Ending::Equal)],
        vec![Try::Ends(Ending::Equal)],
    ]);
    let (ended, started, _) = play(&script, &[Some("g"), Some("g"), None], 2, None).await;
    assert_eq!((ended.len(), started), (3, vec![0, 2, 0, 1]));
}

#[tokio::test(start_paused = true)]
async fn two_whose_sources_turn_out_to_be_one_host_are_made_one_after_the_other() {
    let on = |host| vec![Try::OnHost(host)];
    let script = script(vec![on("s"), on("s"), on("other")]);
    // The first holds the host until it ends, ten seconds after the second has learned of it.
    let (ended, started, all) = play(&script, &[None; 3], 3, None).await;
    assert!(all && ended.len() == 3, "{ended:?}");
    assert_eq!(started, [0, 1, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_runs_on_keeps_the_host_that_it_was_found_to_read_on() {
    let first = vec![Try::BreaksOffOnHost("s"), Try::NotReached, Try::Ends(Ending::Equal)];
    let script = script(vec![first, vec![Try::OnHost("S")]]);
    let (ended, started, all) = play(&script, &[None; 2], 1, None).await;
    assert!(all && ended.len() == 2, "{ended:?}");
    assert_eq!(started, [0, 1, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn those_never_looked_for_come_before_those_that_were_not_reached() {
    let mut tries = vec![vec![Try::NotReached]; 2 * REACHING];
    tries.extend(vec![vec![Try::Ends(Ending::Equal)]; 2]);
    // The two at the end are reached after two rounds of thirty seconds each.
    let groups = vec![None; tries.len()];
    let script = script(tries);
    let (ended, started, _) = play(&script, &groups, 2, Some(75)).await;
    assert_eq!((ended.len(), started), (2, vec![2 * REACHING, 2 * REACHING + 1]));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_does_not_wait_for_ever() {
    let script = script(vec![vec![Try::Forever], vec![Try::Ends(Ending::Equal)]]);
    let clock = tokio::time::Instant::now();
    let (ended, _, all) = play(&script, &[None; 2], 2, Some(60)).await;
    assert!(!all && ended.len() == 1);
    assert!(clock.elapsed() >= Duration::from_secs(60) && clock.elapsed() <= Duration::from_secs(60) + GRACE);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_while_its_last_one_ends_has_come_to_its_end() {
    let script = script(vec![vec![Try::Ends(Ending::Equal)]; 2]);
    let (ended, _, all) = play(&script, &[None; 2], 2, Some(5)).await;
    assert!(all && ended.len() == 2);
}

#[test]
fn a_page_that_cannot_be_written_takes_no_difference_away() {
    for (ending, expected) in [
        (Ending::Different, Ending::Different),
        (Ending::Equal, Ending::Unverified),
        (Ending::NothingCompared, Ending::NothingCompared),
    ] {
        let report = Some(Box::new(crate::bulk::tally::tests::report()));
        let made = Conclusion { report, ..Conclusion::without(ending, "found".to_owned()) };
        let left = made.without_page("disk full");
        assert_eq!((left.ending, left.message.as_str()), (expected, "found; its page: disk full"));
        assert!(left.report.is_some() && left.page.is_none());
    }
}
