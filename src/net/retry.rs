//! The retry loop: which failures, how often, how long. Every request that is tried again goes through it.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBuilder};

use super::call_error::{CallError, Failure};
use super::trouble::Troubles;

/// How a destination bears a source's failures.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Retries after the first failure; the count begins again once the peer delivered something new.
    pub max_retries: usize,
    /// The first delay; it doubles each time.
    pub delay: Duration,
    /// The longest delay.
    pub max_delay: Duration,
    /// The longest time from a failure on without anything new, over all retries.
    pub budget: Duration,
}

impl Default for RetryPolicy {
    /// The Sidecar's defaults (5 retries, 500 ms, 10 s), with a budget of two minutes: a source that restarts is back
    /// by then, and a node is down while we wait.
    fn default() -> Self {
        Self {
            max_retries: 5,
            delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(10),
            budget: Duration::from_secs(120),
        }
    }
}

/// The state of one retried conversation.
#[derive(Debug)]
pub struct Retries {
    policy: RetryPolicy,
    /// Where it is said that requests are tried again.
    troubles: Troubles,
    delays: backon::ExponentialBackoff,
    failures: u32,
    /// When the first of these failures was.
    since: Instant,
    /// How much one answer has delivered at most.
    furthest: u64,
    /// Whether each retry is logged.
    logs: bool,
}

impl Retries {
    /// A conversation in which nothing has failed yet. That requests are tried again is said in `troubles`.
    pub fn new(policy: RetryPolicy, troubles: Troubles) -> Self {
        Self { policy, troubles, delays: delays(policy), failures: 0, since: Instant::now(), furthest: 0, logs: true }
    }

    /// The same without a line in the log: whoever asks says it to the person at the terminal.
    pub fn unlogged(policy: RetryPolicy, troubles: Troubles) -> Self {
        Self { logs: false, ..Self::new(policy, troubles) }
    }

    /// An answer has delivered so much since it began. Where that is more than any answer before it, earlier failures
    /// count no more. A repetition is nothing new: a peer whose answers all break off at the same place would
    /// otherwise be asked for ever.
    pub fn delivered(&mut self, so_far: u64) {
        if so_far <= self.furthest {
            return;
        }
        self.furthest = so_far;
        if self.failures > 0 {
            self.failures = 0;
            self.delays = delays(self.policy);
        }
    }

    /// How long to wait before the next attempt; the error itself where there is none. Only a failed call is ever tried
    /// again: what an answer says stays said.
    pub fn after<E: Failure>(&mut self, error: E) -> Result<Duration, E> {
        if self.failures == 0 {
            self.since = Instant::now();
        }
        self.failures += 1;
        let call = error.into_call()?;
        if !call.is_transient() {
            return Err(call.into());
        }
        let delay = self.delays.next().map(|delay| call.retry_after().unwrap_or(delay));
        match delay {
            Some(delay) if self.since.elapsed().saturating_add(delay) <= self.policy.budget => {
                if self.logs {
                    tracing::warn!(error = %call, delay_ms = delay.as_millis() as u64, "a request is tried again");
                }
                let (now, end) = (Instant::now(), self.since + self.policy.budget);
                let retries_left = self.policy.max_retries.saturating_sub(self.failures as usize);
                let last = now + delay.saturating_add(waits(self.policy, self.failures, retries_left));
                self.troubles.note(&call, last.min(end));
                Ok(delay)
            }
            _ if self.failures == 1 => Err(call.into()),
            _ => Err(CallError::GaveUp { last: Box::new(call), requests: self.failures }.into()),
        }
    }
}

/// How long so many retries wait together, those before them left out of account. Jitter comes on top, and so do the
/// requests themselves. At most the budget. Pure.
fn waits(policy: RetryPolicy, failures: u32, retries: usize) -> Duration {
    let delay_of = |retry: u32| {
        let factor = 1_u32.checked_shl(retry).unwrap_or(u32::MAX);
        policy.delay.saturating_mul(factor).min(policy.max_delay)
    };
    // All but the first of them take the longest delay.
    let growing = retries.min(32) as u32;
    let rest = u32::try_from(retries.saturating_sub(32)).unwrap_or(u32::MAX);
    let sum = (failures..failures.saturating_add(growing)).map(delay_of).fold(Duration::ZERO, Duration::saturating_add);
    sum.saturating_add(policy.max_delay.saturating_mul(rest)).min(policy.budget)
}

fn delays(policy: RetryPolicy) -> backon::ExponentialBackoff {
    ExponentialBuilder::new()
        .with_jitter()
        .with_min_delay(policy.delay)
        .with_max_delay(policy.max_delay)
        .with_max_times(policy.max_retries)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Endpoint;

    fn status(status: u16, retry_after: Option<Duration>) -> CallError {
        CallError::Status { endpoint: Endpoint::http("h", 1), status, message: String::new(), retry_after }
    }

    fn policy() -> RetryPolicy {
        RetryPolicy { max_retries: 3, delay: Duration::from_millis(10), ..RetryPolicy::default() }
    }

    #[test]
    fn delays_grow_and_end() {
        let mut retries = Retries::new(policy(), Troubles::default());
        for least in [10, 20, 40] {
            let delay = retries.after(status(503, None)).unwrap();
            assert!(
                delay >= Duration::from_millis(least) && delay < Duration::from_millis(2 * least + 10),
                "{delay:?}"
            );
        }
        let error = retries.after(status(503, None)).unwrap_err();
        assert!(matches!(error, CallError::GaveUp { requests: 4, .. }));
    }

    #[test]
    fn the_waits_that_are_left_are_told_and_never_more_than_the_budget() {
        let waits = |failures, retries| waits(policy(), failures, retries).as_millis();
        // Of 10, 20 and 40 ms.
        assert_eq!((waits(0, 3), waits(1, 2), waits(2, 1), waits(3, 0)), (70, 60, 40, 0));
        assert_eq!((waits(0, usize::MAX), waits(u32::MAX, 50)), (120_000, 120_000));
        let troubles = Troubles::default();
        let mut retries = Retries::new(policy(), troubles.clone());
        let asked = Duration::from_secs(100);
        retries.after(status(503, Some(asked))).unwrap();
        let text = troubles.text(Instant::now()).unwrap();
        assert!(text.starts_with("source h:1 answered 503; trying for 1 min "), "{text}");
        assert!(Retries::new(policy(), troubles.clone()).after(status(400, None)).is_err());
        assert!(troubles.text(Instant::now()).unwrap().contains("503"), "what is not tried again is no trouble");
    }

    #[test]
    fn what_the_peer_asks_for_comes_first_and_progress_starts_over() {
        let mut retries = Retries::new(policy(), Troubles::default());
        let asked = Duration::from_secs(7);
        assert_eq!(retries.after(status(503, Some(asked))).unwrap(), asked);
        for so_far in 1..=10 {
            retries.after(status(500, None)).unwrap();
            retries.delivered(so_far);
        }
    }

    #[test]
    fn a_peer_that_only_repeats_itself_is_given_up() {
        let mut retries = Retries::new(policy(), Troubles::default());
        retries.delivered(5);
        for so_far in [1, 5, 4] {
            retries.after(status(500, None)).unwrap();
            retries.delivered(so_far);
        }
        assert!(matches!(retries.after(status(500, None)), Err(CallError::GaveUp { requests: 4, .. })));
    }

    #[test]
    fn a_refusal_is_final_and_so_is_a_wait_beyond_the_budget() {
        assert!(matches!(
            Retries::new(policy(), Troubles::default()).after(status(400, None)),
            Err(CallError::Status { .. })
        ));
        for long in [Duration::from_secs(3600), Duration::MAX] {
            assert!(Retries::new(policy(), Troubles::default()).after(status(503, Some(long))).is_err());
        }
    }
}
