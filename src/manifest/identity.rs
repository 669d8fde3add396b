//! What a manifest is of: where, when, by whom and under which rules it was made.

use serde::{Deserialize, Serialize};

use crate::exclude::{Rules, only_texts, take_selection};
use crate::model::{Blake3Digest, Selection, SelectionError};

/// Facts about the scan behind a manifest. They are shown and compared, and are no part of any hash. Encoded as an
/// [`IdentityRecord`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "IdentityRecord", try_from = "IdentityRecord")]
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
    /// The keyspaces and tables that the scan was restricted to; part of that fingerprint too.
    pub selection: Option<Selection>,
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
            selection: rules.selection().cloned(),
        }
    }

    /// The fingerprint of the exclusion rules.
    pub fn rules_fingerprint(&self) -> Blake3Digest {
        Blake3Digest(self.rules)
    }
}

/// An identity as it is encoded. It has no field for a selection, and never will: the names stand behind the directory
/// patterns, as [`only_texts`] writes them, so that nobody who decodes it takes what is restricted for a whole.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct IdentityRecord {
    host: String,
    instance: String,
    created_ms: i64,
    program: String,
    rules: [u8; 32],
    file_patterns: Vec<String>,
    directory_patterns: Vec<String>,
}

impl From<Identity> for IdentityRecord {
    fn from(identity: Identity) -> Self {
        let Identity { host, instance, created_ms, program, rules, file_patterns, directory_patterns, selection } =
            identity;
        let only = selection.iter().flat_map(only_texts);
        let directory_patterns = directory_patterns.into_iter().chain(only).collect();
        Self { host, instance, created_ms, program, rules, file_patterns, directory_patterns }
    }
}

impl TryFrom<IdentityRecord> for Identity {
    type Error = SelectionError;

    fn try_from(record: IdentityRecord) -> Result<Self, SelectionError> {
        let IdentityRecord { host, instance, created_ms, program, rules, file_patterns, mut directory_patterns } =
            record;
        let selection = take_selection(&mut directory_patterns)?;
        Ok(Self { host, instance, created_ms, program, rules, file_patterns, directory_patterns, selection })
    }
}
