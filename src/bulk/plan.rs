//! What a run compares, and how: the values that a plan comes to once it is read.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::keyspaces::KeyspacePatterns;
use crate::model::DigestAlgorithm;
use crate::net::{Endpoint, RetryPolicy};

/// The most comparisons that a plan may have.
pub(super) const MAX_COMPARISONS: usize = 50_000;

/// The most comparisons at a time.
pub const MAX_PARALLEL: usize = 1000;

/// How many comparisons at a time, in words.
pub const PARALLEL: &str = "a whole number from 1 to 1000";

/// How many comparisons are made at a time where a plan does not say.
const DEFAULT_PARALLEL: NonZeroUsize = match NonZeroUsize::new(4) {
    Some(number) => number,
    None => NonZeroUsize::MIN,
};

/// The longest wait between two tries.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// What a directory of another host begins with.
pub(super) const REMOTE: &str = "ssh://";

/// Separates this use of BLAKE3 from every other.
const FINGERPRINT_CONTEXT: &str = "twintree 2026 bulk comparison fingerprint v1";

/// A plan that was read and checked: names are unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// At most so many at a time.
    pub parallel: NonZeroUsize,
    /// How comparisons are made that do not say it themselves.
    pub defaults: Settings,
    /// What is compared, in the order of the plan.
    pub comparisons: Vec<Comparison>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { parallel: DEFAULT_PARALLEL, defaults: Settings::default(), comparisons: Vec::new() }
    }
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Unique in its plan.
    pub name: String,
    /// What is compared.
    pub what: What,
    /// Where sides with a relative path begin; `None` where that is not known.
    pub directory: Option<PathBuf>,
    /// Of comparisons with the same group, one is made at a time.
    pub group: Option<String>,
    /// The host of a service's source, where the plan tells it.
    pub source_host: Option<String>,
    /// How it is compared.
    pub settings: Settings,
}

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A destination's service has a task for it.
    Service(Endpoint),
    /// Two things that `twintree diff` takes.
    Pair {
        /// The source.
        source: String,
        /// The destination.
        destination: String,
    },
}

/// How a comparison is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The digest read as evidence for files that differ; services only.
    pub algorithm: DigestAlgorithm,
    /// How many files are worked on at a time; `None` for what each kind of comparison takes by itself.
    pub concurrency: Option<u32>,
    /// `None` for everything.
    pub keyspaces: Option<KeyspacePatterns>,
    /// Compare the content of everything whose metadata matches, even where other entries differ.
    pub keep_going: bool,
    /// How long an unreachable service is tried.
    pub retries: Retry,
}

impl Default for Settings {
    fn default() -> Self {
        let retries = Retry::default();
        Self { algorithm: DigestAlgorithm::Md5, concurrency: None, keyspaces: None, keep_going: false, retries }
    }
}

/// How long a service is tried that cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// So often in all; the count begins again once it brought something new.
    pub attempts: u32,
    /// And for so long, from the first failure on.
    pub time: Duration,
    /// The first wait between two tries; it doubles each time, up to half a minute.
    pub delay: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 6, time: Duration::from_secs(600), delay: Duration::from_secs(1) }
    }
}

impl From<Retry> for RetryPolicy {
    fn from(retry: Retry) -> Self {
        Self {
            max_retries: retry.attempts.saturating_sub(1) as usize,
            delay: retry.delay,
            max_delay: MAX_DELAY.max(retry.delay),
            budget: retry.time,
        }
    }
}

impl What {
    /// Where a comparison has no name of its own, it is called so.
    pub fn text(&self) -> String {
        match self {
            Self::Service(endpoint) => endpoint.to_string(),
            Self::Pair { source, destination } => format!("{source} and {destination}"),
        }
    }
}

impl Plan {
    /// The plan whose relative paths begin at `directory`.
    pub fn beginning_at(mut self, directory: &Path) -> Self {
        self.comparisons.iter_mut().for_each(|comparison| comparison.directory = Some(directory.to_owned()));
        self
    }
}

impl Comparison {
    /// A side as it is known from every directory. A path may be no text, so this is hexadecimal.
    fn known_side(&self, side: &str) -> String {
        let path = match &self.directory {
            Some(directory) if !side.starts_with(REMOTE) => directory.join(side),
            _ => PathBuf::from(side),
        };
        hex::encode(path.as_os_str().as_encoded_bytes())
    }

    /// Tells whether what was found once still holds: two comparisons with the same fingerprint compare the same things in the same
    /// way. Group, concurrency and retries change no result.
    pub fn fingerprint(&self) -> String {
        let what = match &self.what {
            What::Service(endpoint) => json!({ "service": endpoint.url("") }),
            What::Pair { source, destination } => {
                json!({ "source": self.known_side(source), "destination": self.known_side(destination) })
            }
        };
        let Settings { algorithm, keyspaces, keep_going, .. } = &self.settings;
        let keyspaces = keyspaces.as_ref().map(KeyspacePatterns::texts);
        let text = json!([what, algorithm.name(), keyspaces, keep_going]).to_string();
        let mut hasher = blake3::Hasher::new_derive_key(FINGERPRINT_CONTEXT);
        hasher.update(text.as_bytes());
        hex::encode(&hasher.finalize().as_bytes()[..16])
    }
}

/// The name of a comparison that was there before under the same name; `None` where all are unique.
pub(super) fn named_twice(comparisons: &[Comparison]) -> Option<(usize, usize)> {
    let mut seen = HashMap::new();
    comparisons.iter().enumerate().find_map(|(at, comparison)| Some((seen.insert(&comparison.name, at)?, at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_changes_with_what_a_result_rests_on_and_with_nothing_else() {
        let base = Comparison {
            name: "a".to_owned(),
            what: What::Service(Endpoint::http("a", 1)),
            directory: None,
            group: None,
            source_host: None,
            settings: Settings::default(),
        };
        let with = |change: &dyn Fn(&mut Comparison)| {
            let mut changed = base.clone();
            change(&mut changed);
            changed.fingerprint() != base.fingerprint()
        };
        let keyspaces = || KeyspacePatterns::new(vec!["ks".parse().unwrap()]);
        assert!(with(&|c| c.what = What::Service(Endpoint::http("a", 2))));
        assert!(with(&|c| c.what = What::Pair { source: "a".to_owned(), destination: "1".to_owned() }));
        assert!(with(&|c| c.settings.algorithm = DigestAlgorithm::XxHash32));
        assert!(with(&|c| c.settings.keyspaces = keyspaces()));
        assert!(with(&|c| c.settings.keep_going = true));
        assert!(!with(&|c| c.name = "b".to_owned()));
        assert!(!with(&|c| c.group = Some("g".to_owned())));
        assert!(!with(&|c| c.settings.concurrency = Some(3)));
        assert!(!with(&|c| c.settings.retries.attempts = 1));
    }

    #[test]
    fn a_relative_side_is_another_one_in_another_directory() {
        let of = |directory: &str, source: &str| {
            let text = format!("comparisons: [{{source: '{source}', destination: /d}}]");
            let plan = Plan::parse(&text, Path::new("p")).unwrap().beginning_at(Path::new(directory));
            plan.comparisons[0].fingerprint()
        };
        assert_ne!(of("/one", "s"), of("/two", "s"));
        assert_eq!(of("/one", "s"), of("/two", "/one/s"));
        assert_eq!(of("/one", "/s"), of("/two", "/s"));
        assert_eq!(of("/one", "ssh://h/s"), of("/two", "ssh://h/s"));
    }
}
