//! What a manifest is of: where, when, by whom and under which rules it was made.

use serde::{Deserialize, Serialize};

use crate::exclude::Rules;
use crate::model::Blake3Digest;

/// Facts about the scan behind a manifest. They are shown and compared, and are no part of any hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The scanned machine's own name.
    pub host: String,
    /// The instance, as the configuration or the directory on the command line names it.
    pub instance: String,
    /// When the walk began: milliseconds since the epoch.
    pub created_ms: i64,
    /// The program and its version.
    pub program: String,
    /// The fingerprint of the exclusion rules in force.
    pub rules: [u8; 32],
    /// The file patterns behind that fingerprint.
    pub file_patterns: Vec<String>,
    /// The directory patterns behind that fingerprint.
    pub directory_patterns: Vec<String>,
}

impl Identity {
    /// An identity of this program under the given rules.
    pub fn new(host: String, instance: String, created_ms: i64, rules: &Rules) -> Self {
        Self {
            host,
            instance,
            created_ms,
            program: concat!("twintree ", env!("CARGO_PKG_VERSION")).to_owned(),
            rules: rules.fingerprint().0,
            file_patterns: rules.file_patterns().to_vec(),
            directory_patterns: rules.directory_patterns().to_vec(),
        }
    }

    /// The fingerprint of the exclusion rules.
    pub fn rules_fingerprint(&self) -> Blake3Digest {
        Blake3Digest(self.rules)
    }
}
