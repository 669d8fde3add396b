//! One entry that is not the same, or could not be checked, with the evidence for it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ContentDigest, EntryKind, FileUrl, Problem, Reason};

/// One of the two sides of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The side that serves.
    Source,
    /// The side that drives.
    Destination,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Destination => "destination",
        })
    }
}

/// The kinds of difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// Only the destination has it.
    MissingAtSource,
    /// Only the source has it.
    MissingAtDestination,
    /// A file on one side, a directory on the other.
    Type,
    /// Files of different size.
    Size,
    /// Files of the same size with another modification time.
    ModificationTime,
    /// The same metadata, other bytes.
    Content,
    /// Could not be checked; neither different nor equal.
    Unverified,
}

impl DifferenceKind {
    /// The name in reports, as serde writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingAtSource => "missing-at-source",
            Self::MissingAtDestination => "missing-at-destination",
            Self::Type => "type",
            Self::Size => "size",
            Self::ModificationTime => "modification-time",
            Self::Content => "content",
            Self::Unverified => "unverified",
        }
    }
}

/// What one side knows of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    /// File or directory; `None` where not even that could be learned.
    pub kind: Option<EntryKind>,
    /// Bytes; `None` for a directory.
    pub size: Option<u64>,
    /// Milliseconds since the epoch; `None` for a directory.
    pub modified_ms: Option<i64>,
    /// The digests known.
    pub digests: Vec<ContentDigest>,
}

/// Who could not check an entry, and why. At least one side is `Some`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    /// The source's problem.
    pub source: Option<Problem>,
    /// The destination's problem.
    pub destination: Option<Problem>,
}

impl Unverified {
    /// A problem of one side.
    pub fn at(side: Side, problem: Problem) -> Self {
        match side {
            Side::Source => Self { source: Some(problem), destination: None },
            Side::Destination => Self { source: None, destination: Some(problem) },
        }
    }

    /// Which side: `source`, `destination` or `both`.
    pub fn side(&self) -> &'static str {
        match (&self.source, &self.destination) {
            (Some(_), Some(_)) => "both",
            (Some(_), None) => "source",
            _ => "destination",
        }
    }

    /// The reason; where both sides have one, the source's.
    pub fn reason(&self) -> Reason {
        let first = self.source.as_ref().or(self.destination.as_ref());
        first.map_or(Reason::PeerError, |problem| problem.reason)
    }

    /// What the system said, naming the side where both have something to say.
    pub fn detail(&self) -> String {
        match (&self.source, &self.destination) {
            (Some(s), Some(d)) => {
                format!("source: {} ({}); destination: {} ({})", s.reason, s.detail, d.reason, d.detail)
            }
            (Some(p), None) | (None, Some(p)) => p.detail.clone(),
            (None, None) => String::new(),
        }
    }
}

/// One entry that is not the same, or could not be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The entry.
    pub url: FileUrl,
    /// What is not the same.
    pub kind: DifferenceKind,
    /// What the source knows; `None` where it lacks the entry.
    pub source: Option<Evidence>,
    /// What the destination knows; `None` where it lacks the entry.
    pub destination: Option<Evidence>,
    /// For [`DifferenceKind::Unverified`]: who and why.
    pub unverified: Option<Unverified>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_json_says() {
        for kind in [DifferenceKind::MissingAtSource, DifferenceKind::ModificationTime, DifferenceKind::Unverified] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
