//! Why something could not be read or checked.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why an entry could not be checked. The numbers are those of manifests and frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Opening, listing or reading it failed.
    Unreadable,
    /// It changed during each of several reads, or between the walk and the read.
    ChangedWhileReading,
    /// It was listed and then was gone.
    Vanished,
    /// A pipe, socket or device: there are no bytes to compare.
    NotARegularFile,
    /// The other side did not deliver what it owed.
    PeerError,
}

impl Reason {
    /// All reasons; the position is the number.
    pub const ALL: [Self; 5] =
        [Self::Unreadable, Self::ChangedWhileReading, Self::Vanished, Self::NotARegularFile, Self::PeerError];

    /// The number in manifests and frames.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The reason with this number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "unreadable",
            Self::ChangedWhileReading => "changed-while-reading",
            Self::Vanished => "vanished",
            Self::NotARegularFile => "not-a-regular-file",
            Self::PeerError => "peer-error",
        })
    }
}

/// Why something could not be read: a reason for programs and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The reason.
    pub reason: Reason,
    /// What the system said, such as `Permission denied (os error 13)`.
    pub detail: String,
}

impl Problem {
    /// The longest detail kept, in bytes; a longer one is cut.
    pub const MAX_DETAIL_BYTES: usize = 512;

    /// A problem whose detail is cut to [`Problem::MAX_DETAIL_BYTES`].
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: Self::cut(detail.into()) }
    }

    /// A text of somebody else, cut to [`Problem::MAX_DETAIL_BYTES`]. The memory of the rest is free by then.
    pub fn cut(text: String) -> String {
        match text.len() {
            ..=Self::MAX_DETAIL_BYTES => text,
            _ => text[..text.floor_char_boundary(Self::MAX_DETAIL_BYTES)].to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lead_back_to_the_reason() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.to_string());
        }
        assert_eq!(Reason::from_code(5), None);
    }

    #[test]
    fn a_long_detail_is_cut_between_characters() {
        let problem = Problem::new(Reason::Unreadable, "\u{e9}".repeat(400));
        assert_eq!(problem.detail.len(), Problem::MAX_DETAIL_BYTES);
        let cut = Problem::cut(format!("a{}", "\u{e9}".repeat(400_000)));
        assert_eq!((cut.len(), cut.capacity()), (511, 511), "the rest is not kept");
    }
}
