//! The Sidecar's `sidecar.yaml`, as far as it concerns a verification, and twintree's own section of it.
//!
//! Sections and keys that are not ours are ignored, for the Sidecar has many. Three things are not: a known key with
//! a value that cannot be used, an unknown key in the section `twintree`, and anything this release would have to
//! ignore at the operator's cost. All of them are told at once. Reading the file is the only I/O.

pub(crate) mod checks;
mod data_rate;
mod data_size;
mod duration;
mod error;
mod host;
mod instances;
mod limits;
mod load;
mod migration_map;
mod section;
mod sections;
mod settings;
mod value;

pub use data_rate::{EXPECTED as DATA_RATE, parse as parse_data_rate};
pub(crate) use error::Mistakes;
pub use error::{ConfigError, Mistake, ValueProblem};
pub(crate) use host::canonical;
pub use host::{HostName, HostNameError};
pub use instances::Instance;

pub(crate) use load::read_text;
pub(crate) use section::Section;
pub(crate) use value::{Node, Value, parse as parse_yaml};

pub use limits::{MAX_BYTES, MAX_THREADS, THREADS};
pub use migration_map::{MigrationMap, Role};
pub use sections::{ClientConfig, Listen, LiveMigration};
pub use settings::{Reading, Settings};

/// Everything the service needs to know, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The instances of this host, at least one; ids, hosts and directories are unique.
    pub instances: Vec<Instance>,
    /// Where the service listens.
    pub sidecar: Listen,
    /// What is migrated where, and what is left out.
    pub live_migration: LiveMigration,
    /// How a source is called.
    pub client: ClientConfig,
    /// What the Sidecar has no key for.
    pub twintree: Settings,
}

impl Config {
    /// The instance with this id.
    pub fn instance_by_id(&self, id: u64) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.id == id)
    }

    /// The instance with this host, without a port; letter case and the spelling of an IPv6 address do not count.
    pub fn instance_by_host(&self, host: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| host::same_host(&instance.host, host))
    }
}
