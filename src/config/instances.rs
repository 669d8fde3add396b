//! The instances of a host and the directories of each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::checks;
use super::error::{Mistakes, ValueProblem};
use super::host::canonical;
use super::section::{Item, Section};
use super::value::Value;
use crate::model::{DirectoryType, RootId};

/// One Cassandra node's directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id, unique in the file.
    pub id: u64,
    /// Its host, unique in the file; the name under which requests ask for it.
    pub host: String,
    /// The port of Cassandra itself; nothing here connects to it.
    pub port: Option<u16>,
    /// Where the Sidecar keeps the state of the migration.
    pub staging_dir: Option<PathBuf>,
    /// The roots, sorted, with an absolute path for each; at least one, and no path twice in the file.
    pub roots: Vec<(RootId, PathBuf)>,
    /// The roots that stand in a listing themselves, as a directory: a Sidecar does this with a data directory that is spelled
    /// with a slash at its end, or with two in a row.
    pub listed_roots: Vec<RootId>,
}

/// The directories that are one path each, in the order of roots. Below `storage_dir` a directory has the name of
/// its type; the last one is there only where it is configured.
const SINGLE_DIRECTORIES: [(DirectoryType, &str, bool); 5] = [
    (DirectoryType::Commitlog, "commitlog_dir", true),
    (DirectoryType::Hints, "hints_dir", true),
    (DirectoryType::SavedCaches, "saved_caches_dir", true),
    (DirectoryType::CdcRaw, "cdc_dir", true),
    (DirectoryType::LocalSystemData, "local_system_data_file_dir", false),
];

/// Reads `cassandra_instances`.
pub(super) fn read(file: &Section<'_>, home: Option<&Path>, mistakes: &mut Mistakes) -> Vec<Instance> {
    const EXPECTED: &str = "a list with at least one instance";
    let key = "cassandra_instances";
    let nodes = match file.nodes(key, EXPECTED, mistakes) {
        Some(nodes) if nodes.is_empty() => {
            mistakes.add(file.get(key).and_then(|node| node.line), key, ValueProblem::Missing { expected: EXPECTED });
            nodes
        }
        Some(nodes) => nodes,
        None => {
            // A value that is no list has been noted already, and so is a section that would replace the list.
            if file.get(key).is_none() && file.get("cassandra").is_none() {
                mistakes.add(None, key, ValueProblem::Missing { expected: EXPECTED });
            }
            Vec::new()
        }
    };
    let mut taken = Taken::default();
    let mut instances = Vec::with_capacity(nodes.len());
    for Item { value: node, key, .. } in nodes {
        let section = Section::new(node, key, "a mapping with the keys of an instance", mistakes);
        instances.extend(read_instance(&section, home, &mut taken, mistakes));
    }
    instances
}

/// What instances further up in the file have, and what has it.
#[derive(Default)]
struct Taken {
    ids: HashMap<u64, String>,
    hosts: HashMap<String, String>,
    directories: HashMap<PathBuf, (RootId, u64)>,
}

fn read_instance(
    section: &Section<'_>,
    home: Option<&Path>,
    taken: &mut Taken,
    mistakes: &mut Mistakes,
) -> Option<Instance> {
    // The Sidecar's ids are Java's `int`.
    const EXPECTED_ID: &str = "a whole number from 0 to 2147483647";
    let id =
        section.require("id", EXPECTED_ID, mistakes, |value| checks::integer(value, 0..=i32::MAX.into(), EXPECTED_ID));
    let host = section.require("host", "a host", mistakes, checks::host);
    let port = section.read("port", mistakes, checks::port);
    let staging_dir = section.read("staging_dir", mistakes, |value| checks::directory(value, home));
    let (roots, listed_roots) = read_roots(section, home, mistakes);

    if let Some(id) = id {
        let line = section.get("id").and_then(|node| node.line);
        if let Some(first) = taken.ids.get(&id) {
            mistakes.add(line, section.key_of("id"), ValueProblem::InstanceIdTwice { id, first: first.clone() });
        } else {
            taken.ids.insert(id, section.key.clone());
        }
    }
    if let Some(host) = &host {
        let line = section.get("host").and_then(|node| node.line);
        if let Some(first) = taken.hosts.get(canonical(host).as_ref()) {
            let problem = ValueProblem::InstanceHostTwice { host: host.clone(), first: first.clone() };
            mistakes.add(line, section.key_of("host"), problem);
        } else {
            taken.hosts.insert(canonical(host).into_owned(), section.key.clone());
        }
    }
    let (id, host) = (id?, host?);
    for (root, Item { value: path, line, key }) in &roots {
        if let Some((root, instance)) = taken.directories.get(path) {
            let problem = ValueProblem::DirectoryTwice { path: path.clone(), root: *root, instance: *instance };
            mistakes.add(*line, key, problem);
        } else {
            taken.directories.insert(path.clone(), (*root, id));
        }
    }
    let roots = roots.into_iter().map(|(root, item)| (root, item.value)).collect();
    Some(Instance { id, host, port, staging_dir, roots, listed_roots })
}

/// The roots in order, each with the line and the key that names it; and those that are listed themselves.
fn read_roots(
    section: &Section<'_>,
    home: Option<&Path>,
    mistakes: &mut Mistakes,
) -> (Vec<(RootId, Item<PathBuf>)>, Vec<RootId>) {
    let mistakes_before = mistakes.count();
    let storage_dir = section.read("storage_dir", mistakes, |value| checks::directory(value, home));
    let below_storage_dir = |directory_type: DirectoryType| {
        let value = storage_dir.as_ref()?.join(directory_type.name());
        let line = section.get("storage_dir").and_then(|node| node.line);
        Some((RootId::new(directory_type, 0), Item { value, line, key: section.key_of("storage_dir") }))
    };

    let mut roots = Vec::new();
    let data_dir = |value: &Value| Ok((checks::directory(value, home)?, checks::lists_itself(value)));
    let data_dirs = section.list("data_dirs", "a list of absolute paths", mistakes, data_dir);
    let mut listed = Vec::new();
    // An index is a `u32`; the parser's limits keep a list far below that.
    for (index, Item { value: (path, lists_itself), line, key }) in (0_u32..).zip(data_dirs.into_iter().flatten()) {
        let id = RootId::new(DirectoryType::Data, index);
        roots.push((id, Item { value: path, line, key }));
        listed.extend(lists_itself.then_some(id));
    }
    if roots.is_empty() {
        roots.extend(below_storage_dir(DirectoryType::Data));
    }
    for (directory_type, key, has_default) in SINGLE_DIRECTORIES {
        match section.get(key) {
            Some(node) => {
                roots.extend(section.read(key, mistakes, |value| checks::directory(value, home)).map(|value| {
                    (RootId::new(directory_type, 0), Item { value, line: node.line, key: section.key_of(key) })
                }))
            }
            None if has_default => roots.extend(below_storage_dir(directory_type)),
            None => {}
        }
    }
    if roots.is_empty() && mistakes.count() == mistakes_before {
        mistakes.add(section.line, section.key.clone(), ValueProblem::NoDirectories);
    }
    (roots, listed)
}
