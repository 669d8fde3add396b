//! Which host is migrated to which, and so the role of each.

use std::collections::HashMap;

use super::HostName;
use super::checks;
use super::error::{Mistakes, ValueProblem};
use super::host::canonical;
use super::section::Section;

/// Pairs of source and destination, in the order of the file.
///
/// Invariant: no request could mean two of the names in it, so every host has at most one role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MigrationMap(Vec<(HostName, HostName)>);

/// The part a host has in its migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role<'a> {
    /// It serves its directories.
    Source {
        /// The host that takes them over.
        destination: &'a HostName,
    },
    /// It has taken over the directories of another host and verifies them.
    Destination {
        /// That other host.
        source: &'a HostName,
    },
}

impl MigrationMap {
    /// The role of the host that a Host header names, with the header's port where it has one.
    ///
    /// A name that was written with a port is meant only where the header has that same port.
    pub fn role_of(&self, host: &str, port: Option<u16>) -> Option<Role<'_>> {
        self.0.iter().find_map(|(source, destination)| {
            if source.matches(host, port) {
                Some(Role::Source { destination })
            } else if destination.matches(host, port) {
                Some(Role::Destination { source })
            } else {
                None
            }
        })
    }

    /// Whether any name in it, on whatever port, is this instance's host.
    pub fn names(&self, instance_host: &str) -> bool {
        let Ok(HostName { host, .. }) = instance_host.parse::<HostName>() else { return false };
        self.0.iter().flat_map(|(source, destination)| [source, destination]).any(|name| name.matches(&host, name.port))
    }

    /// All pairs of source and destination.
    pub fn pairs(&self) -> &[(HostName, HostName)] {
        &self.0
    }

    /// Reads the map; what is wrong is noted and left out.
    pub(super) fn read(section: &Section<'_>, mistakes: &mut Mistakes) -> Self {
        let entries = read_entries(section, mistakes);
        let mut sources = Names::default();
        for entry in &entries {
            if let Some(first) = sources.add(&entry.source) {
                mistakes.add(entry.line, &entry.key, ValueProblem::SourceTwice { first: first.to_string() });
            }
        }
        let mut destinations = Names::default();
        for entry in &entries {
            let destination = entry.destination.to_string();
            if let Some(source) = sources.overlapping(&entry.destination) {
                let problem = ValueProblem::HostOnBothSides { destination, source_name: source.to_string() };
                mistakes.add(entry.line, &entry.key, problem);
            } else if let Some(first) = destinations.add(&entry.destination) {
                mistakes.add(
                    entry.line,
                    &entry.key,
                    ValueProblem::DestinationTwice { destination, first: first.to_string() },
                );
            }
        }
        Self(entries.into_iter().map(|entry| (entry.source, entry.destination)).collect())
    }
}

struct Entry {
    source: HostName,
    destination: HostName,
    line: Option<u64>,
    key: String,
}

fn read_entries(section: &Section<'_>, mistakes: &mut Mistakes) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (name, value) in section.entries() {
        let source = match checks::host_name(&name.value) {
            Ok(source) => source,
            Err(problem) => {
                mistakes.add(name.line, &section.key, problem);
                continue;
            }
        };
        let key = section.key_of(&source.to_string());
        match checks::host_name(&value.value) {
            Ok(destination) => entries.push(Entry { source, destination, line: name.line, key }),
            Err(problem) => mistakes.add(value.line, key, problem),
        }
    }
    entries
}

/// Names by their host, so that a long map is checked in one pass.
#[derive(Default)]
struct Names<'a>(HashMap<String, Vec<&'a HostName>>);

impl<'a> Names<'a> {
    fn overlapping(&self, name: &HostName) -> Option<&'a HostName> {
        let same_host = self.0.get(canonical(&name.host).as_ref())?;
        same_host.iter().copied().find(|other| other.overlaps(name))
    }

    /// Adds a name; the one before it that it overlaps, if there is one, is returned instead.
    fn add(&mut self, name: &'a HostName) -> Option<&'a HostName> {
        let before = self.overlapping(name);
        if before.is_none() {
            self.0.entry(canonical(&name.host).into_owned()).or_default().push(name);
        }
        before
    }
}
