//! Why a checksum list cannot be used.

use crate::model::{ChecksumAlgorithm, PathError, RelPath};

/// Why a list cannot be used, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{fault}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct ListError {
    /// The line, from 1; `None` where it is not one of them.
    pub line: Option<u64>,
    /// What is wrong.
    pub fault: ListFault,
}

/// What can be wrong with a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListFault {
    /// It is no line of any known form.
    #[error("no checksum and name, in any form that is known")]
    Form,
    /// Its values may be those of two algorithms.
    #[error("64 hexadecimal digits are SHA-256 or BLAKE3; say which it is with --algorithm")]
    Ambiguous,
    /// It has other algorithms than the one that was named.
    #[error("it has no {0} of any file")]
    NotOf(ChecksumAlgorithm),
    /// An algorithm that is not known here.
    #[error("{0} is none of the algorithms that are compared: BLAKE3, SHA-256, SHA-1, MD5")]
    Unknown(String),
    /// A value that does not have the length of its algorithm.
    #[error("no {0}")]
    Value(ChecksumAlgorithm),
    /// An algorithm that two columns have.
    #[error("two columns are of {0}")]
    Column(ChecksumAlgorithm),
    /// A size that is no number.
    #[error("no size")]
    Size,
    /// An escape that is none.
    #[error("a backslash in an escaped name stands before something else than a backslash, n or r")]
    Escape,
    /// A name that is absolute.
    #[error("its name is absolute; say with --strip-prefix what stands before the names in it")]
    Absolute,
    /// A name that does not begin with what is to be taken off.
    #[error("its name does not lie below the --strip-prefix")]
    Prefix,
    /// A name that cannot stand below a root.
    #[error("its name: {0}")]
    Name(PathError),
    /// It names the root itself.
    #[error("its name is that of no file")]
    NoName,
    /// Two values of one algorithm for one file.
    #[error("{0} stands twice, with other values")]
    Twice(RelPath),
    /// A file in which another one lies.
    #[error("{0} is a file, and another file lies in it")]
    FileAndDirectory(RelPath),
    /// Nothing is in it.
    #[error("it names not a single file")]
    Empty,
    /// It begins as a JSON list, and is none that is known.
    #[error("no manifest.json of cassandra-medusa: {0}")]
    Json(String),
}

impl ListFault {
    /// As the fault of a line.
    pub(super) fn in_line(self, line: u64) -> ListError {
        ListError { line: Some(line), fault: self }
    }

    /// As a fault of the whole.
    pub(super) fn of_all(self) -> ListError {
        ListError { line: None, fault: self }
    }

    /// Whether another option on the command line would help.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Ambiguous | Self::NotOf(_) | Self::Absolute | Self::Prefix)
    }
}
