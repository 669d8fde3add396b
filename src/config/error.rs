//! What is wrong with a configuration: every mistake at once, each with its line and its key.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::HostNameError;
use super::limits::MAX_BYTES;
use crate::model::{RootId, printable, quoted, short};

/// A configuration that cannot be used. Printed as one line for each mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Everything that is wrong, ordered by line; never empty.
    pub mistakes: Vec<Mistake>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1; `None` where the mistake is about the file as a whole.
    pub line: Option<u64>,
    /// The key, such as `cassandra_instances[0].data_dirs[1]`; empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub problem: ValueProblem,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", short(&self.key))?;
        }
        write!(f, "{}", self.problem)
    }
}

/// What can be wrong with the file or with one key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueProblem {
    /// The file could not be read.
    #[error("could not be read: {message}")]
    Unreadable {
        /// The kind of failure.
        kind: io::ErrorKind,
        /// What the system said.
        message: String,
    },
    /// The file is larger than [`MAX_BYTES`].
    #[error("is larger than {} bytes; expected a configuration file", MAX_BYTES)]
    TooLarge,
    /// The file holds bytes that are no UTF-8.
    #[error("is not UTF-8 text; expected YAML in UTF-8")]
    NotUtf8,
    /// The text is not YAML.
    #[error("{}is not YAML: {}", column_prefix(*column), short(message))]
    NotYaml {
        /// The column, from 1, where it is known.
        column: Option<u64>,
        /// What the parser said.
        message: String,
    },
    /// A key that must be there is not.
    #[error("is missing; expected {expected}")]
    Missing {
        /// What must be there.
        expected: &'static str,
    },
    /// The value is of another type.
    #[error("is {found}; expected {expected}")]
    WrongType {
        /// The type of the value.
        found: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The value has the right type and cannot be used.
    #[error("{} is not accepted; expected {expected}", quoted(found))]
    NotAccepted {
        /// The value.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
    /// An exclusion pattern that cannot be honoured; the text names the construct and what is expected.
    #[error("{0}")]
    Pattern(String),
    /// A mistake in a plan of comparisons; the text says what is wrong and what is expected.
    #[error("{0}")]
    Plan(String),
    /// A key in twintree's own section that twintree does not know.
    #[error("is not a key of this section; expected one of {}", expected.join(", "))]
    UnknownKey {
        /// The keys there are.
        expected: &'static [&'static str],
    },
    /// A directory that is not an absolute path.
    #[error("{} is not an absolute path; expected one that starts with / or ~/", quoted(path))]
    RelativePath {
        /// The path as written.
        path: String,
    },
    /// A directory below `~` where the home directory is not known.
    #[error("{} needs a home directory and none is known; expected an absolute path", quoted(path))]
    NoHome {
        /// The path as written.
        path: String,
    },
    /// Two roots, of one instance or of two, at the same path: comparing them would prove nothing.
    #[error(
        "{path} is already {root} of instance {instance}; expected a directory of its own for each root",
        path = quoted(&path.to_string_lossy())
    )]
    DirectoryTwice {
        /// The directory.
        path: PathBuf,
        /// The root that has it already.
        root: RootId,
        /// The instance of that root.
        instance: u64,
    },
    /// An instance without any directory.
    #[error("has no directory to compare; expected storage_dir, data_dirs or another directory")]
    NoDirectories,
    /// Two instances with the same id.
    #[error("{id} is already the id of {first}; expected another id for each instance")]
    InstanceIdTwice {
        /// The id.
        id: u64,
        /// The key of the instance that has it already.
        first: String,
    },
    /// Two instances with the same host.
    #[error("{} is already the host of {first}; expected another host for each instance", quoted(host))]
    InstanceHostTwice {
        /// The host, as this instance writes it.
        host: String,
        /// The key of the instance that has it already.
        first: String,
    },
    /// A key that does nothing without another.
    #[error("does nothing by itself; expected {other} to be set too")]
    Needs {
        /// The other key.
        other: &'static str,
    },
    /// A text that is not a host name.
    #[error(transparent)]
    HostName(#[from] HostNameError),
    /// Two sources that the same Host header could name.
    #[error("is a source already, as {}; expected each source once", quoted(first))]
    SourceTwice {
        /// The source before it.
        first: String,
    },
    /// Two destinations that the same Host header could name.
    #[error("{} is a destination already, as {}; expected each destination once", quoted(destination), quoted(first))]
    DestinationTwice {
        /// The destination.
        destination: String,
        /// The destination before it.
        first: String,
    },
    /// A host that is both a source and a destination.
    #[error(
        "{} is also a source, as {}; expected each host on one side only",
        quoted(destination),
        quoted(source_name)
    )]
    HostOnBothSides {
        /// The destination.
        destination: String,
        /// The source.
        source_name: String,
    },
    /// Encryption is asked for and cannot be had.
    #[error("is not supported yet: traffic would be in plain text; expected false, with encryption left to a proxy")]
    EncryptionUnsupported,
    /// Access control is asked for and cannot be had.
    #[error(
        "is not supported yet: the service would be open to anyone who reaches it; expected false, with access left \
         to a proxy"
    )]
    AccessControlUnsupported,
    /// The Sidecar's old section for a single instance, which would take the place of all the others there.
    #[error("is not supported; expected its keys as the one instance of cassandra_instances")]
    SingleInstanceSection,
}

fn column_prefix(column: Option<u64>) -> String {
    column.map(|column| format!("column {column}: ")).unwrap_or_default()
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// Notes one more mistake.
    pub(crate) fn add(&mut self, line: Option<u64>, key: impl Into<String>, problem: impl Into<ValueProblem>) {
        self.0.push(Mistake { line, key: key.into(), problem: problem.into() });
    }

    /// How many mistakes there are so far.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// `value` where there was no mistake, and otherwise all of them in the order of the file.
    pub(crate) fn none_or<T>(mut self, value: T, file: &Path) -> Result<T, ConfigError> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort_by_key(|mistake| mistake.line);
        Err(ConfigError { file: file.to_owned(), mistakes: self.0 })
    }
}

impl ConfigError {
    /// A line for each mistake. Keys and values can be any text; what of them does not print is escaped, so that they stay on their
    /// line.
    pub fn lines(&self) -> Vec<String> {
        let line = |mistake: &Mistake| {
            let line = mistake.line.map(|line| format!("{line}:")).unwrap_or_default();
            printable(&format!("{}:{line} {mistake}", self.file.display())).into_owned()
        };
        self.mistakes.iter().map(line).collect()
    }

    /// A file that is wrong as a whole.
    pub(crate) fn whole(file: &Path, line: Option<u64>, problem: ValueProblem) -> Self {
        Self { file: file.to_owned(), mistakes: vec![Mistake { line, key: String::new(), problem }] }
    }
}
