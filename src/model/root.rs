//! The directories of an instance that are compared: a type and an index, such as `data/0`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a root holds, under the Sidecar's names. The order is the order in which roots stand in a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryType {
    /// SSTables: `data/0`, `data/1`, one index for each data directory.
    Data,
    /// The commit log.
    Commitlog,
    /// Hinted handoffs.
    Hints,
    /// Saved key and row caches.
    SavedCaches,
    /// Change data capture.
    CdcRaw,
    /// Local system keyspaces, where they are kept apart.
    LocalSystemData,
}

impl DirectoryType {
    /// Whether the files of such a root are written once and never changed in place, as SSTables are. Commit logs, hints
    /// and the like are written through memory maps, where a file system may note a change long after it was made.
    pub fn is_written_once(self) -> bool {
        matches!(self, Self::Data | Self::LocalSystemData)
    }

    /// All types, in manifest order; the position is the number the hashes and files carry.
    pub const ALL: [Self; 6] =
        [Self::Data, Self::Commitlog, Self::Hints, Self::SavedCaches, Self::CdcRaw, Self::LocalSystemData];

    /// The name in file URLs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Commitlog => "commitlog",
            Self::Hints => "hints",
            Self::SavedCaches => "saved_caches",
            Self::CdcRaw => "cdc_raw",
            Self::LocalSystemData => "local_system_data",
        }
    }

    /// The number in hashes, files and frames; see [`DirectoryType::from_code`].
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The type with this number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// One root of an instance: a directory type and its index. In JSON a text such as `data/0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RootId {
    /// What the root holds.
    pub directory_type: DirectoryType,
    /// Which of the directories of that type, from 0.
    pub index: u32,
}

impl RootId {
    /// The first data directory, the root of a manifest that was made of a bare directory.
    pub const DATA_0: Self = Self { directory_type: DirectoryType::Data, index: 0 };

    /// A root of the given type and index.
    pub fn new(directory_type: DirectoryType, index: u32) -> Self {
        Self { directory_type, index }
    }
}

impl fmt::Display for RootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.directory_type.name(), self.index)
    }
}

impl From<RootId> for String {
    fn from(id: RootId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for RootId {
    type Error = UnknownRoot;

    fn try_from(text: String) -> Result<Self, UnknownRoot> {
        text.parse()
    }
}

/// A text that names no root; the text stands in the error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a root: expected a directory type and an index, such as data/0")]
pub struct UnknownRoot(pub String);

impl FromStr for RootId {
    type Err = UnknownRoot;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownRoot(text.to_owned());
        let (name, index) = text.split_once('/').ok_or_else(unknown)?;
        let directory_type = DirectoryType::ALL.into_iter().find(|t| t.name() == name).ok_or_else(unknown)?;
        let index: u32 = index.parse().map_err(|_| unknown())?;
        let root = Self { directory_type, index };
        // "data/01" or "data/+1" would be a second name for the same root.
        if root.to_string() == text { Ok(root) } else { Err(unknown()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_lead_back_to_the_type() {
        for (i, t) in DirectoryType::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(t.code()), i);
            assert_eq!(DirectoryType::from_code(t.code()), Some(t));
            let root = RootId::new(t, 7);
            assert_eq!(root.to_string().parse(), Ok(root));
        }
        assert_eq!(DirectoryType::from_code(6), None);
    }

    #[test]
    fn other_spellings_are_no_roots() {
        for text in ["data", "data/", "data/-1", "data/01", "data/+1", "Data/0", "data/0/x", "data/4294967296"] {
            assert!(text.parse::<RootId>().is_err(), "{text}");
        }
    }
}
