//! What a destination has with its source at the moment: requests that are tried again, in words for a person.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::call_error::CallError;

/// The trouble of one peer; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Troubles(Arc<Mutex<Option<Trouble>>>);

/// Requests fail for this reason and are tried again.
#[derive(Debug, Clone)]
struct Trouble {
    /// Whom, and why.
    what: String,
    /// When the last try is due.
    until: Instant,
}

impl Troubles {
    /// Notes a failure that says something about the peer and not about what was asked for.
    pub fn note(&self, error: &CallError, until: Instant) {
        if error.is_outage() {
            *self.0.lock() = Some(Trouble { what: words(error), until });
        }
    }

    /// The peer has answered.
    pub fn clear(&self) {
        *self.0.lock() = None;
    }

    /// For a person, as things stand at `now`; `None` where there is none.
    pub fn text(&self, now: Instant) -> Option<String> {
        let trouble = self.0.lock().clone()?;
        let left = trouble.until.saturating_duration_since(now);
        Some(format!("{}; {}", trouble.what, trying(left)))
    }
}

fn words(error: &CallError) -> String {
    match error {
        CallError::Unreachable { endpoint, cause, .. } => format!("source {endpoint} does not answer: {cause}"),
        CallError::Interrupted { endpoint, cause } => format!("source {endpoint} broke off: {cause}"),
        error => format!("source {error}"),
    }
}

fn trying(left: Duration) -> String {
    match (left.as_secs() / 60, left.as_secs() % 60) {
        (0, 0) => "trying once more".to_owned(),
        (0, seconds) => format!("trying for {seconds} s more"),
        (minutes, seconds) => format!("trying for {minutes} min {seconds} s more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Endpoint;

    fn peer() -> Endpoint {
        Endpoint::http("node1", 9043)
    }

    #[test]
    fn trouble_is_told_with_the_time_that_is_left_until_the_peer_answers() {
        let (troubles, now) = (Troubles::default(), Instant::now());
        assert_eq!(troubles.text(now), None);
        let refused =
            CallError::Unreachable { endpoint: peer(), cause: "connection refused".to_owned(), connected: false };
        troubles.note(&refused, now + Duration::from_secs(100));
        let shared = troubles.clone();
        let text = |after: u64| shared.text(now + Duration::from_secs(after)).unwrap();
        let what = "source node1:9043 does not answer: connection refused";
        assert_eq!(text(0), format!("{what}; trying for 1 min 40 s more"));
        assert_eq!(text(60), format!("{what}; trying for 40 s more"));
        assert_eq!(text(101), format!("{what}; trying once more"));
        troubles.clear();
        assert_eq!(shared.text(now), None);
    }

    #[test]
    fn a_peer_that_answers_for_one_file_is_no_trouble() {
        let (troubles, now) = (Troubles::default(), Instant::now());
        let status = |status, message: &str| CallError::Status {
            endpoint: peer(),
            status,
            message: message.to_owned(),
            retry_after: None,
        };
        troubles.note(&status(500, "not readable"), now);
        assert_eq!(troubles.text(now), None);
        troubles.note(&status(503, "busy"), now + Duration::from_secs(7));
        assert_eq!(troubles.text(now).unwrap(), "source node1:9043 answered 503: busy; trying for 7 s more");
    }
}
