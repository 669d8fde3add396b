//! What recorded digests are used for.

use std::fmt;
use std::str::FromStr;

/// What recorded digests are used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheMode {
    /// Every file is read; its digest is recorded for later.
    Record,
    /// A recorded digest stands for the file where nothing says that it changed; other files are read and recorded.
    Trust,
    /// The same, but this share of the files with a recorded digest, 1 to 100 in a hundred and drawn again each time, is
    /// read all the same. A single recorded digest that proves wrong ends the scan.
    Audit(u8),
}

/// A text that names no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of: record, trust, audit P% with P from 1 to 100")]
pub struct UnknownCacheMode(pub String);

impl CacheMode {
    /// Whether a file is read although its digest is recorded; `draw` is any number, evenly drawn.
    pub fn reads_recorded(self, draw: u64) -> bool {
        match self {
            Self::Record => true,
            Self::Trust => false,
            Self::Audit(percent) => draw % 100 < u64::from(percent),
        }
    }
}

impl fmt::Display for CacheMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record => f.write_str("record"),
            Self::Trust => f.write_str("trust"),
            Self::Audit(percent) => write!(f, "audit {percent}%"),
        }
    }
}

impl FromStr for CacheMode {
    type Err = UnknownCacheMode;

    fn from_str(text: &str) -> Result<Self, UnknownCacheMode> {
        let unknown = || UnknownCacheMode(text.to_owned());
        match text {
            "record" => Ok(Self::Record),
            "trust" => Ok(Self::Trust),
            _ => {
                let percent = text.strip_prefix("audit ").and_then(|rest| rest.strip_suffix('%'));
                let percent = percent.filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
                let percent = percent.and_then(|text| text.parse().ok()).filter(|percent| (1..=100).contains(percent));
                percent.map(Self::Audit).ok_or_else(unknown)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_has_a_text() {
        for mode in [CacheMode::Record, CacheMode::Trust, CacheMode::Audit(1), CacheMode::Audit(100)] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        for text in ["", "Trust", "audit", "audit 0%", "audit 101%", "audit +5%", "audit 5", "audit  5%", "audit 1.5%"]
        {
            assert_eq!(text.parse::<CacheMode>(), Err(UnknownCacheMode(text.to_owned())));
        }
    }

    #[test]
    fn an_audit_reads_its_share() {
        let read = |mode: CacheMode| (0..1000).filter(|draw| mode.reads_recorded(*draw)).count();
        assert_eq!(read(CacheMode::Audit(7)), 70);
        assert_eq!(read(CacheMode::Audit(100)), 1000);
        assert_eq!((read(CacheMode::Record), read(CacheMode::Trust)), (1000, 0));
    }
}
