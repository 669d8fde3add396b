//! twintree's own section of the file.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::checks;
use super::error::{Mistakes, ValueProblem};
use super::section::Section;
use super::sections::count;
use crate::model::CacheMode;

/// A thirty-second part of what a host of Cassandra commonly has.
const DEFAULT_MEMORY_LIMIT: u64 = 1 << 30;

/// With less than this a single destination's largest request might not fit beside the connections.
const LEAST_MEMORY_LIMIT: u64 = 256 << 20;

/// The same in words.
const AT_LEAST: &str = "256MiB or more";

/// What the Sidecar has no key for; the section `twintree`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where state is kept; `None`: nowhere.
    pub state_dir: Option<PathBuf>,
    /// How many threads read and hash; `None`: as many as there are cores, and more while they wait for a disk.
    pub threads: Option<NonZeroUsize>,
    /// How many finished tasks are remembered; at least 1.
    pub history_max_tasks: usize,
    /// How long after its end a task is remembered.
    pub history_max_age: Duration,
    /// Whether tasks that were under way when the service stopped are taken up again at the next start, or else have
    /// failed.
    pub resume_unfinished_tasks: bool,
    /// How long a source keeps a finished manifest for requests that still refer to it.
    pub manifest_retention: Duration,
    /// Whether a source answers manifest requests; otherwise it looks like a stock Sidecar.
    pub serve_manifests: bool,
    /// How many bytes others can make the service hold.
    pub memory_limit: u64,
    /// How files are read and what is remembered of it.
    pub reading: Reading,
}

/// How files are read, and what is remembered of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// How many bytes are read in a second at most; `None`: as many as can be.
    pub limit: Option<NonZeroU64>,
    /// Files are read around the page cache.
    pub direct: bool,
    /// What recorded digests are used for; `None`: nothing is recorded. Never without a state directory.
    pub cache: Option<CacheMode>,
    /// How long a recorded digest is believed.
    pub cache_max_age: Duration,
    /// How often the digests of new files are recorded ahead of time; `None`: never.
    pub warm_every: Option<Duration>,
    /// How many bytes that reads in a second at most; `None`: as `limit` says.
    pub warm_limit: Option<NonZeroU64>,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            limit: None,
            direct: false,
            cache: None,
            cache_max_age: Duration::from_secs(30 * 24 * 3600),
            warm_every: None,
            warm_limit: None,
        }
    }
}

impl Reading {
    fn read(section: &Section<'_>, mistakes: &mut Mistakes) -> Self {
        let default = Self::default();
        let reading = Self {
            limit: section.read("read_limit", mistakes, checks::data_rate),
            direct: section.read("direct_io", mistakes, checks::boolean).unwrap_or(default.direct),
            cache: section.read("digest_cache", mistakes, checks::cache_mode).flatten(),
            cache_max_age: section
                .read("digest_cache_max_age", mistakes, checks::positive_duration)
                .unwrap_or(default.cache_max_age),
            warm_every: section.read("digest_cache_warm_every", mistakes, checks::positive_duration),
            warm_limit: section.read("digest_cache_warm_limit", mistakes, checks::data_rate),
        };
        let needs = |key: &str, other: &'static str, missing: bool, mistakes: &mut Mistakes| {
            if let Some(node) = section.get(key).filter(|_| missing) {
                mistakes.add(node.line, section.key_of(key), ValueProblem::Needs { other });
            }
        };
        needs(
            "digest_cache",
            "twintree.state_dir",
            reading.cache.is_some() && section.get("state_dir").is_none(),
            mistakes,
        );
        let off = section.get("digest_cache").is_none();
        needs("digest_cache_warm_every", "twintree.digest_cache", off, mistakes);
        needs("digest_cache_max_age", "twintree.digest_cache", off, mistakes);
        let never = section.get("digest_cache_warm_every").is_none();
        needs("digest_cache_warm_limit", "twintree.digest_cache_warm_every", never, mistakes);
        reading
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            state_dir: None,
            threads: None,
            history_max_tasks: 1000,
            history_max_age: Duration::from_secs(90 * 24 * 3600),
            resume_unfinished_tasks: true,
            manifest_retention: Duration::from_secs(24 * 3600),
            serve_manifests: true,
            memory_limit: DEFAULT_MEMORY_LIMIT,
            reading: Reading::default(),
        }
    }
}

impl Settings {
    const KEYS: &[&str] = &[
        "state_dir",
        "threads",
        "history_max_tasks",
        "history_max_age",
        "unfinished_tasks",
        "manifest_retention",
        "serve_manifests",
        "memory_limit",
        "read_limit",
        "direct_io",
        "digest_cache",
        "digest_cache_max_age",
        "digest_cache_warm_every",
        "digest_cache_warm_limit",
    ];

    pub(super) fn read(file: &Section<'_>, home: Option<&Path>, mistakes: &mut Mistakes) -> Self {
        let section = file.section("twintree", mistakes);
        section.only(Self::KEYS, mistakes);
        let default = Self::default();
        Self {
            state_dir: section.read("state_dir", mistakes, |value| checks::directory(value, home)),
            threads: section.read("threads", mistakes, checks::threads),
            history_max_tasks: count(&section, "history_max_tasks", mistakes).unwrap_or(default.history_max_tasks),
            history_max_age: section
                .read("history_max_age", mistakes, checks::positive_duration)
                .unwrap_or(default.history_max_age),
            resume_unfinished_tasks: section
                .read("unfinished_tasks", mistakes, checks::resume_or_fail)
                .unwrap_or(default.resume_unfinished_tasks),
            manifest_retention: section
                .read("manifest_retention", mistakes, checks::duration)
                .unwrap_or(default.manifest_retention),
            serve_manifests: section
                .read("serve_manifests", mistakes, checks::boolean)
                .unwrap_or(default.serve_manifests),
            memory_limit: section
                .read("memory_limit", mistakes, |value| checks::data_size(value, LEAST_MEMORY_LIMIT, AT_LEAST))
                .unwrap_or(default.memory_limit),
            reading: Reading::read(&section, mistakes),
        }
    }
}
