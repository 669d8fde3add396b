//! From a file, or from its text, to a configuration.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::{ConfigError, Mistakes, ValueProblem};
use super::limits::MAX_BYTES;
use super::section::Section;
use super::{ClientConfig, Config, Listen, LiveMigration, Settings};
use super::{instances, sections, value};

impl Config {
    /// Reads and checks the file at `path`; `~` in it is the home directory of the user who runs this process.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = read_text(path).map_err(|(line, problem)| ConfigError::whole(path, line, problem))?;
        Self::parse(&text, path, std::env::home_dir().as_deref())
    }

    /// Checks `text`, the content of `file`. A leading `~` in a directory is put in full with `home`.
    pub fn parse(text: &str, file: &Path, home: Option<&Path>) -> Result<Self, ConfigError> {
        if text.len() > MAX_BYTES {
            return Err(ConfigError::whole(file, None, ValueProblem::TooLarge));
        }
        let root = value::parse(text).map_err(|error| ConfigError::whole(file, error.line, error.problem))?;
        let mut shape = Mistakes::default();
        let top = Section::new(&root, String::new(), "a mapping with cassandra_instances", &mut shape);
        // What is no mapping lacks every key; to tell that of each would say nothing more.
        shape.none_or((), file)?;
        let mut mistakes = Mistakes::default();
        let config = Self {
            instances: instances::read(&top, home, &mut mistakes),
            sidecar: Listen::read(&top, &mut mistakes),
            live_migration: LiveMigration::read(&top, &mut mistakes),
            client: ClientConfig::read(&top, &mut mistakes),
            twintree: Settings::read(&top, home, &mut mistakes),
        };
        sections::refuse_unsupported(&top, &mut mistakes);
        mistakes.none_or(config, file)
    }
}

/// The text of a file of at most [`MAX_BYTES`]; else the line, where there is one, and what is wrong.
pub(crate) fn read_text(path: &Path) -> Result<String, (Option<u64>, ValueProblem)> {
    let unreadable =
        |error: io::Error| (None, ValueProblem::Unreadable { kind: error.kind(), message: error.to_string() });
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to know, even of a file that never ends.
    let limit = MAX_BYTES as u64 + 1;
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() > MAX_BYTES {
        return Err((None, ValueProblem::TooLarge));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count() as u64;
        (Some(line), ValueProblem::NotUtf8)
    })
}
