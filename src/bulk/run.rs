//! The run itself: reaches for what comes next, starts what may start, tries again what failed, and ends when all have ended or somebody
//! asks it to. How a comparison is made is not its business.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::claims::{Claims, canonical_host};
use super::ending::Ending;
use super::hosts::Hosts;
use super::schedule::startable;
use crate::net::{CallError, Retries, RetryPolicy, Troubles};
use crate::protocol::ReportBody;

/// How many services are looked for ahead of their turn. A host that does not answer takes the place of one of these, and never a slot.
const REACHING: usize = 64;

/// So long one that is looked for the first time keeps its turn: the order is that of the plan where all answer, and no host that does not
/// holds the others up for longer.
const TURN: Duration = Duration::from_millis(500);

/// How long comparisons that are under way have to end in order once they are asked to.
const GRACE: Duration = Duration::from_secs(10);

/// What a comparison needs to be made.
#[derive(Debug, Clone)]
pub struct Job {
    /// What nobody else may have meanwhile.
    pub claims: Claims,
    /// How long it is tried.
    pub retries: RetryPolicy,
}

/// How a comparison ended, as whoever made it tells.
#[derive(Debug)]
pub struct Conclusion {
    /// How it ended.
    pub ending: Ending,
    /// The headline of its result, or why there is none.
    pub message: String,
    /// Its result, where there is one.
    pub report: Option<Box<ReportBody>>,
    /// Where its whole report was written.
    pub page: Option<String>,
}

impl Conclusion {
    /// An end without a result.
    pub fn without(ending: Ending, message: String) -> Self {
        Self { ending, message, report: None, page: None }
    }

    /// The same without its page, for this reason. What was found stays found; only equality is no proof where what was asked for is
    /// missing.
    pub fn without_page(self, cause: &str) -> Self {
        let ending = if self.ending == Ending::Equal { Ending::Unverified } else { self.ending };
        Self { ending, message: format!("{}; its page: {cause}", self.message), page: None, ..self }
    }
}

/// Why a try came to no end.
#[derive(Debug)]
pub enum Setback {
    /// A call failed.
    Call {
        /// Why.
        error: CallError,
        /// How far the work at the destination was: where that is further than before, earlier failures count no more.
        delivered: u64,
    },
    /// Another comparison reads on this host already; what was begun has been taken back.
    HostTaken(String),
    /// The run was asked to end.
    Stopped,
    /// The run cannot go on at all: what the next one must know could not be written.
    Broken(String),
}

/// Makes comparisons, which are known by their position among the jobs.
pub trait Execute: Send + Sync + 'static {
    /// Whether it has to be reached before it is given a slot.
    fn is_remote(&self, at: usize) -> bool;
    /// Whether something of it may run on at its destination, though nobody follows it.
    fn runs_on(&self, at: usize) -> bool;
    /// Reaches for it, at no cost to anybody.
    fn reach(&self, at: usize) -> impl Future<Output = Result<(), CallError>> + Send;
    /// Tries once. Hosts that are learned of are claimed.
    fn attempt(&self, at: usize, hosts: &Hosts) -> impl Future<Output = Result<Conclusion, Setback>> + Send;
}

/// What happens in a run, as it happens.
#[derive(Debug)]
pub enum Event {
    /// A try begins.
    Started(usize),
    /// A try failed, and another one comes.
    Paused {
        /// The comparison.
        at: usize,
        /// Why it failed.
        why: String,
        /// When the next one comes.
        delay: Duration,
    },
    /// A host that it needs is taken; it waits for that.
    Held(usize),
    /// The run cannot go on, for this reason.
    Broken(String),
    /// A comparison has ended.
    Ended {
        /// The comparison.
        at: usize,
        /// How.
        conclusion: Box<Conclusion>,
        /// How long it was worked on.
        worked: Duration,
        /// How often it was tried.
        tries: u32,
    },
}

/// Runs all jobs, at most `parallel` at a time; `true` where all have ended, also after `stop`, and `false` where it came
/// before. The error is that of `on`,
/// who hears of every event, and ends the run as `stop` does.
pub async fn run<E: Execute, F>(
    jobs: Vec<Job>,
    parallel: NonZeroUsize,
    execute: Arc<E>,
    stop: impl Future<Output = ()>,
    mut on: impl FnMut(Event) -> Result<(), F>,
) -> Result<bool, F> {
    let mut run = Run::new(jobs, execute);
    let mut stop = std::pin::pin!(stop);
    loop {
        run.wake();
        run.reach_ahead();
        for at in run.choose(parallel.get()) {
            on(Event::Started(at))?;
            run.start(at);
        }
        if run.is_over() {
            return Ok(true);
        }
        let wake = run.next_wake();
        tokio::select! {
            joined = run.set.join_next(), if !run.set.is_empty() => {
                if let Some(event) = joined.and_then(|joined| run.joined(joined)) {
                    on(event)?;
                }
            }
            () = sleep_until(wake) => {}
            () = &mut stop => run.stopped = true,
        }
        if run.stopped {
            run.wind_up(&mut on).await?;
            return Ok(run.ended == run.tries.len());
        }
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

/// What a spawned piece of work came to.
enum Done {
    Reached(usize, Result<(), CallError>),
    Tried(usize, Duration, Result<Conclusion, Setback>),
}

struct Tries {
    retries: Retries,
    count: u32,
    worked: Duration,
}

struct Run<E> {
    claims: Vec<Claims>,
    tries: Vec<Tries>,
    execute: Arc<E>,
    hosts: Arc<Hosts>,
    set: JoinSet<Done>,
    /// To be reached: those that were tried least come first, in the order of the jobs. Whoever does not answer waits for the others.
    unreached: BTreeSet<(u32, usize)>,
    /// Being looked for, with the moment until which each keeps its turn.
    reaching: BTreeMap<usize, Instant>,
    ready: BTreeSet<usize>,
    under_way: BTreeSet<usize>,
    paused: BTreeMap<usize, Instant>,
    /// Not under way, and something of it may run on.
    left_running: BTreeSet<usize>,
    /// How many have ended.
    ended: usize,
    /// Nothing is started any more.
    stopped: bool,
}

impl<E: Execute> Run<E> {
    fn new(jobs: Vec<Job>, execute: Arc<E>) -> Self {
        let (unreached, ready): (BTreeSet<usize>, _) = (0..jobs.len()).partition(|at| execute.is_remote(*at));
        let left_running = (0..jobs.len()).filter(|at| execute.runs_on(*at)).collect();
        let tries = |job: &Job| Tries {
            retries: Retries::unlogged(job.retries, Troubles::default()),
            count: 0,
            worked: Duration::ZERO,
        };
        Self {
            tries: jobs.iter().map(tries).collect(),
            claims: jobs.into_iter().map(|job| job.claims).collect(),
            execute,
            hosts: Arc::default(),
            set: JoinSet::new(),
            unreached: unreached.into_iter().map(|at| (0, at)).collect(),
            reaching: BTreeMap::new(),
            ready,
            under_way: BTreeSet::new(),
            paused: BTreeMap::new(),
            left_running,
            ended: 0,
            stopped: false,
        }
    }

    fn is_over(&self) -> bool {
        self.set.is_empty() && self.unreached.is_empty() && self.ready.is_empty() && self.paused.is_empty()
    }

    /// Puts those whose pause is over back among the others.
    fn wake(&mut self) {
        let now = Instant::now();
        let over: Vec<usize> = self.paused.iter().filter(|(_, until)| **until <= now).map(|(at, _)| *at).collect();
        for at in over {
            self.paused.remove(&at);
            self.unreached.insert((self.tries[at].count, at));
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        let now = Instant::now();
        let turns = self.reaching.values().filter(|turn| **turn > now);
        self.paused.values().chain(turns).min().copied()
    }

    fn reach_ahead(&mut self) {
        let now = Instant::now();
        while self.reaching.len() < REACHING {
            let Some((count, at)) = self.unreached.pop_first() else { return };
            self.reaching.insert(at, if count == 0 { now + TURN } else { now });
            let execute = Arc::clone(&self.execute);
            self.set.spawn(async move { Done::Reached(at, execute.reach(at).await) });
        }
    }

    fn choose(&mut self, parallel: usize) -> Vec<usize> {
        let free = parallel.saturating_sub(self.under_way.len());
        if free == 0 || self.ready.is_empty() {
            return Vec::new();
        }
        for at in &self.under_way {
            self.claims[*at].hosts.extend(self.hosts.of(*at));
        }
        let held = &self.under_way | &self.left_running;
        let now = Instant::now();
        let first = self.reaching.iter().find(|(_, turn)| **turn > now).map_or(usize::MAX, |(at, _)| *at);
        startable(self.ready.range(..first).copied(), &self.claims, &held, free)
    }

    fn start(&mut self, at: usize) {
        self.ready.remove(&at);
        self.left_running.remove(&at);
        self.under_way.insert(at);
        for host in &self.claims[at].hosts {
            self.hosts.claim(at, host);
        }
        let (execute, hosts) = (Arc::clone(&self.execute), Arc::clone(&self.hosts));
        self.set.spawn(async move {
            let clock = Instant::now();
            let tried = execute.attempt(at, &hosts).await;
            Done::Tried(at, clock.elapsed(), tried)
        });
    }

    fn joined(&mut self, joined: Result<Done, JoinError>) -> Option<Event> {
        match joined {
            Ok(Done::Reached(at, reached)) => {
                self.reaching.remove(&at);
                match reached {
                    Ok(()) => {
                        self.ready.insert(at);
                        None
                    }
                    Err(error) => {
                        self.tries[at].count += 1;
                        Some(self.failed(at, error))
                    }
                }
            }
            Ok(Done::Tried(at, took, tried)) => self.tried(at, took, tried),
            // A try that panicked takes the process with it: nothing is known of what it left behind.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => None,
        }
    }

    fn tried(&mut self, at: usize, took: Duration, tried: Result<Conclusion, Setback>) -> Option<Event> {
        self.under_way.remove(&at);
        if matches!(tried, Err(Setback::Call { .. })) && self.execute.runs_on(at) {
            // What it was found to read on stays taken as long as it may read there.
            self.claims[at].hosts.extend(self.hosts.of(at));
            self.left_running.insert(at);
        } else {
            self.hosts.release(at);
        }
        let tries = &mut self.tries[at];
        tries.count += 1;
        tries.worked += took;
        match tried {
            Ok(conclusion) => Some(self.ended(at, conclusion)),
            Err(Setback::Call { error, delivered }) => {
                tries.retries.delivered(delivered);
                Some(self.failed(at, error))
            }
            Err(Setback::HostTaken(host)) => {
                self.claims[at].hosts.insert(canonical_host(&host));
                self.ready.insert(at);
                Some(Event::Held(at))
            }
            Err(Setback::Stopped) => {
                self.stopped = true;
                None
            }
            Err(Setback::Broken(cause)) => {
                self.stopped = true;
                Some(Event::Broken(cause))
            }
        }
    }

    /// A call failed: it is tried again within its budget. What cannot be reached is unreachable; an answer that is none, or says no, stays
    /// one.
    fn failed(&mut self, at: usize, error: CallError) -> Event {
        let why = error.to_string();
        match self.tries[at].retries.after(error) {
            Ok(delay) => {
                self.paused.insert(at, Instant::now() + delay);
                Event::Paused { at, why, delay }
            }
            Err(error) => {
                let gave_up = error.is_transient() || matches!(error, CallError::GaveUp { .. });
                let ending = if gave_up { Ending::Unreachable } else { Ending::Unverified };
                self.ended(at, Conclusion::without(ending, error.to_string()))
            }
        }
    }

    fn ended(&mut self, at: usize, conclusion: Conclusion) -> Event {
        self.left_running.remove(&at);
        self.hosts.release(at);
        self.ended += 1;
        let Tries { count, worked, .. } = self.tries[at];
        Event::Ended { at, conclusion: Box::new(conclusion), worked, tries: count }
    }

    /// Waits for those under way, which know that they are to end, and for what they still have to tell.
    async fn wind_up<F>(&mut self, on: &mut impl FnMut(Event) -> Result<(), F>) -> Result<(), F> {
        let end = Instant::now() + GRACE;
        while !self.under_way.is_empty() {
            let Ok(Some(joined)) = tokio::time::timeout_at(end, self.set.join_next()).await else { break };
            if let Some(event @ Event::Ended { .. }) = self.joined(joined) {
                on(event)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
