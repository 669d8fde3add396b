//! The sections beside the instances, with their defaults, and what is refused by name.

use std::time::Duration;

use super::MigrationMap;
use super::checks;
use super::error::{Mistakes, ValueProblem};
use super::section::Section;
use crate::exclude::{Pattern, Rules};

/// Where the service listens; the Sidecar's section `sidecar`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The address or name to bind.
    pub host: String,
    /// The port to bind; 0 leaves the choice to the system.
    pub port: u16,
}

impl Listen {
    pub(super) fn read(file: &Section<'_>, mistakes: &mut Mistakes) -> Self {
        let section = file.section("sidecar", mistakes);
        Self {
            host: section.read("host", mistakes, checks::host).unwrap_or_else(|| "0.0.0.0".to_owned()),
            port: section.read("port", mistakes, checks::port).unwrap_or(9043),
        }
    }
}

/// The Sidecar's section `live_migration`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveMigration {
    /// What is left out: the patterns of `files_to_exclude` and `dirs_to_exclude`.
    pub rules: Rules,
    /// Which host is migrated to which.
    pub migration_map: MigrationMap,
    /// How many file requests a source answers at once; at least 1.
    pub max_concurrent_file_requests: u32,
}

impl LiveMigration {
    /// The directories that are left out where the file does not say: snapshots.
    pub const DEFAULT_DIRS_TO_EXCLUDE: &str = crate::model::SNAPSHOTS;

    pub(super) fn read(file: &Section<'_>, mistakes: &mut Mistakes) -> Self {
        let section = file.section("live_migration", mistakes);
        let patterns = |key, mistakes: &mut Mistakes| -> Option<Vec<Pattern>> {
            let items = section.list(key, "a list of patterns", mistakes, checks::pattern)?;
            Some(items.into_iter().map(|item| item.value).collect())
        };
        let files = patterns("files_to_exclude", mistakes).unwrap_or_default();
        // The pattern of our own is one, as a test shows.
        let directories = patterns("dirs_to_exclude", mistakes)
            .unwrap_or_else(|| Pattern::parse(Self::DEFAULT_DIRS_TO_EXCLUDE).into_iter().collect());
        Self {
            rules: Rules::new(files, directories),
            migration_map: MigrationMap::read(&section.section("migration_map", mistakes), mistakes),
            max_concurrent_file_requests: count(&section, "max_concurrent_file_requests", mistakes).unwrap_or(20),
        }
    }
}

/// How a destination calls its source; the Sidecar's section `sidecar_client`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// How long an answer may take to begin.
    pub request_timeout: Duration,
    /// How long an answer that has begun may stand still.
    pub request_idle_timeout: Duration,
    /// How many connections are kept; at least 1.
    pub connection_pool_max_size: usize,
    /// How often a failed request is repeated.
    pub max_retries: u32,
    /// How long the first repetition waits.
    pub retry_delay: Duration,
    /// The longest a repetition waits.
    pub max_retry_delay: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(30),
            request_idle_timeout: Duration::from_secs(30),
            connection_pool_max_size: 10,
            max_retries: 5,
            retry_delay: Duration::from_millis(500),
            max_retry_delay: Duration::from_secs(10),
        }
    }
}

impl ClientConfig {
    pub(super) fn read(file: &Section<'_>, mistakes: &mut Mistakes) -> Self {
        let section = file.section("sidecar_client", mistakes);
        let default = Self::default();
        let retries = |value: &_| checks::integer(value, 0..=i32::MAX.into(), "a whole number from 0 to 2147483647");
        Self {
            request_timeout: section
                .read("request_timeout", mistakes, checks::positive_duration)
                .unwrap_or(default.request_timeout),
            request_idle_timeout: section
                .read("request_idle_timeout", mistakes, checks::positive_duration)
                .unwrap_or(default.request_idle_timeout),
            connection_pool_max_size: count(&section, "connection_pool_max_size", mistakes)
                .unwrap_or(default.connection_pool_max_size),
            max_retries: section.read("max_retries", mistakes, retries).unwrap_or(default.max_retries),
            retry_delay: section.read("retry_delay", mistakes, checks::duration).unwrap_or(default.retry_delay),
            max_retry_delay: section
                .read("max_retry_delay", mistakes, checks::duration)
                .unwrap_or(default.max_retry_delay),
        }
    }
}

/// A number of things, at least one and within Java's `int`.
pub(super) fn count<T: TryFrom<i128>>(section: &Section<'_>, key: &str, mistakes: &mut Mistakes) -> Option<T> {
    let check = |value: &_| checks::integer(value, 1..=i32::MAX.into(), "a whole number from 1 to 2147483647");
    section.read(key, mistakes, check)
}

/// Refuses what the file asks for and this release cannot do. To ignore it would leave the operator with less
/// protection, or with other instances, than the file promises.
pub(super) fn refuse_unsupported(file: &Section<'_>, mistakes: &mut Mistakes) {
    let client = file.section("sidecar_client", &mut Mistakes::default());
    let encryption = ValueProblem::EncryptionUnsupported;
    refuse_true(&file.section("ssl", mistakes), "enabled", &encryption, mistakes);
    refuse_true(&client.section("ssl", mistakes), "enabled", &encryption, mistakes);
    refuse_true(&client, "use_ssl", &encryption, mistakes);
    let access = file.section("access_control", mistakes);
    refuse_true(&access, "enabled", &ValueProblem::AccessControlUnsupported, mistakes);
    if let Some(node) = file.get("cassandra") {
        mistakes.add(node.line, "cassandra", ValueProblem::SingleInstanceSection);
    }
}

fn refuse_true(section: &Section<'_>, key: &str, problem: &ValueProblem, mistakes: &mut Mistakes) {
    section.read(key, mistakes, |value| match checks::boolean(value)? {
        true => Err(problem.clone()),
        false => Ok(()),
    });
}
