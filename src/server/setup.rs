//! What a service is made of by its configuration, and why it cannot be.

use std::sync::Arc;

use crate::config::{ConfigError, Instance, Reading, Settings};
use crate::exclude::{PatternError, Rules};
use crate::manifest::RootSpec;
use crate::scan::{CacheError, DigestCache, Engine, ReadLimit, ReadMode};
use crate::task::HistoryError;

/// Why a service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The configuration has mistakes.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Exclusion patterns that cannot be honoured; all of them.
    #[error("live_migration: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Patterns(Vec<PatternError>),
    /// The history cannot be kept.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Digests cannot be remembered.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Host and port of the configuration.
        address: String,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// What reads files, as configured; the digest cache, where there is one, lies beside the history.
pub(super) fn engine(settings: &Settings) -> Result<Engine, CacheError> {
    let Reading { limit, direct, cache, cache_max_age, .. } = settings.reading;
    let cache = settings.state_dir.as_ref().zip(cache);
    let cache = cache.map(|(state_dir, mode)| DigestCache::open(state_dir, mode, cache_max_age)).transpose()?;
    let mode = if direct { ReadMode::Direct } else { ReadMode::PageCache };
    Ok(Engine::new(mode, limit.map(ReadLimit::new), cache.map(Arc::new)))
}

/// An instance's roots with their rules; all mistakes at once.
pub(super) fn root_specs(instance: &Instance, rules: &Rules) -> Result<Vec<RootSpec>, Vec<PatternError>> {
    let (mut specs, mut wrong) = (Vec::new(), Vec::new());
    for (id, home) in &instance.roots {
        match rules.for_root(*id, home) {
            Ok(rules) => specs.push(RootSpec { id: *id, home: home.clone(), rules }),
            Err(error) => wrong.push(error),
        }
    }
    if wrong.is_empty() { Ok(specs) } else { Err(wrong) }
}
