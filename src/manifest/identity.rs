//! What a manifest is of: where, when, by whom and under which rules it was made.

use serde::{Deserialize, Serialize};

use super::tagged::{MUST_UNDERSTAND_FROM, Reader, TaggedError, Writer};
use crate::exclude::{Rules, fingerprint_of, only_texts, take_selection};
use crate::model::{Blake3Digest, Selection, SelectionError};

const HOST: u32 = 11;
const INSTANCE: u32 = 12;
const CREATED_MS: u32 = 13;
const PROGRAM: u32 = 14;
const RULES: u32 = 15;
const FILE_PATTERNS: u32 = 16;
const DIRECTORY_PATTERNS: u32 = 17;
/// Must be understood: what is restricted is no whole.
const SELECTION: u32 = MUST_UNDERSTAND_FROM + 1;

/// Why a record is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A field is not what it should be.
    #[error(transparent)]
    Fields(#[from] TaggedError),
    /// The names it is restricted to are none.
    #[error("its selection: {0}")]
    Selection(#[from] SelectionError),
}

/// Facts about the scan behind a manifest. They are shown and compared, and are no part of any hash. Encoded as an
/// `IdentityRecord`.
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
            file_patterns: rules.file_patterns().map(str::to_owned).collect(),
            directory_patterns: rules.directory_patterns().map(str::to_owned).collect(),
            selection: rules.selection().cloned(),
        }
    }

    /// Adds the facts to a record, as they cross the wire.
    pub fn write(&self, record: Writer) -> Writer {
        let record = record
            .with(HOST, &self.host)
            .with(INSTANCE, &self.instance)
            .with(CREATED_MS, &self.created_ms)
            .with(PROGRAM, &self.program);
        record
            .with_bytes(RULES, self.rules)
            .with(FILE_PATTERNS, &self.file_patterns)
            .with(DIRECTORY_PATTERNS, &self.directory_patterns)
            .with_some(SELECTION, self.selection.as_ref().map(Selection::names).as_ref())
    }

    /// Takes the facts out of a record.
    pub fn read<const LIMIT: usize>(record: &mut Reader<LIMIT>) -> Result<Self, IdentityError> {
        let names: Option<Vec<String>> = record.optional(SELECTION)?;
        Ok(Self {
            host: record.required(HOST)?,
            instance: record.required(INSTANCE)?,
            created_ms: record.required(CREATED_MS)?,
            program: record.required(PROGRAM)?,
            rules: record.bytes(RULES)?.try_into().map_err(|_| TaggedError::Field(RULES))?,
            file_patterns: record.required(FILE_PATTERNS)?,
            directory_patterns: record.required(DIRECTORY_PATTERNS)?,
            selection: names.as_deref().map(Selection::parse).transpose()?,
        })
    }

    /// Whether the fingerprint is that of the patterns and the selection beside it.
    pub fn names_its_rules(&self) -> bool {
        let [files, directories] = [&self.file_patterns, &self.directory_patterns].map(|texts| texts.iter());
        let named = fingerprint_of(files.map(String::as_str), directories.map(String::as_str), self.selection.as_ref());
        named == self.rules_fingerprint()
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
