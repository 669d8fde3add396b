//! Random cases for a verification: roots of two sides with faults, exclusion patterns, and what the task asks for.

use std::path::{Path, PathBuf};

use super::disk::remove_broken_links;
use super::random::Random;
use super::random_roots::{Likeness, differing_trees, write_outside, write_root};
use super::random_trees::Palette;

/// The Sidecar's own, where the configuration says nothing.
const DEFAULT_DIRECTORY_PATTERN: &str = "glob:${DATA_FILE_DIR}/*/*/snapshots";

const FILE_PATTERNS: &[&str] = &[
    "glob:${DATA_FILE_DIR}/*/*",
    "glob:${DATA_FILE_DIR}/a?b",
    "glob:${DATA_FILE_DIR_0}/*",
    "glob:${DATA_FILE_DIR_1}/**",
    "glob:${DATA_FILE_DIR_10}/*",
    "glob:${COMMITLOG_DIR}/*.{log,txt}",
    "glob:${HINTS_DIR}/[!a-m]*",
    "glob:**/*.db",
    "glob:**/?",
    "glob:/not/here/*",
    "regex:.*[0-9]+",
    "regex:${DATA_FILE_DIR}/[^/]*\\.db",
];

const DIRECTORY_PATTERNS: &[&str] = &[
    "glob:${DATA_FILE_DIR}/*/{a,backups}",
    "glob:${DATA_FILE_DIR}/*/*/{snapshots,backups}",
    "glob:${DATA_FILE_DIR_1}",
    "glob:${COMMITLOG_DIR}",
    "glob:${SAVED_CACHES_DIR}/a*",
    "glob:**/a",
    "regex:.*/[ab]",
    "regex:${HINTS_DIR}/.+",
];

/// The roots besides data directories, and the keys that configure them.
const SINGLE_ROOTS: [(&str, &str); 5] = [
    ("commitlog/0", "commitlog_dir"),
    ("hints/0", "hints_dir"),
    ("saved_caches/0", "saved_caches_dir"),
    ("cdc_raw/0", "cdc_dir"),
    ("local_system_data/0", "local_system_data_file_dir"),
];

/// One case, written below `base`.
#[derive(Debug)]
pub struct Case {
    pub source: Vec<Root>,
    pub destination: Vec<Root>,
    pub keep_going: bool,
    pub algorithm: &'static str,
    pub files_to_exclude: Vec<String>,
    pub dirs_to_exclude: Vec<String>,
    /// Whether the directory patterns are the default, which a configuration need not name.
    pub default_dirs: bool,
}

/// A root as one side's configuration names it; nothing may be there.
#[derive(Debug, Clone)]
pub struct Root {
    pub id: String,
    pub key: &'static str,
    pub home: PathBuf,
}

impl Case {
    /// Writes the case of this seed. Without `unreadable` no file is of mode 000.
    pub fn write(seed: u64, base: &Path, unreadable: bool) -> Self {
        let random = &mut Random::new(seed);
        let likeness = [Likeness::Same, Likeness::SameMetadata, Likeness::Any, Likeness::Any][random.below(4)];
        let (files_to_exclude, dirs_to_exclude) = patterns(random);
        let dots = |pattern: &String| pattern.contains("**") || pattern.starts_with("regex");
        let lines = !files_to_exclude.iter().chain(dirs_to_exclude.iter().flatten()).any(dots);
        let unverifiable = likeness != Likeness::Same || random.percent(15);
        let palette = Palette { unverifiable, unreadable, lines };
        write_outside(base, random);

        let ids = root_ids(random);
        let (mut source, mut destination) = (Vec::new(), Vec::new());
        for (number, (id, key)) in ids.into_iter().enumerate() {
            let trees = differing_trees(&format!("source/r{number}"), likeness, random, palette);
            for (side, tree, roots) in [("source", trees.0, &mut source), ("destination", trees.1, &mut destination)] {
                let home = base.join(side).join(format!("r{number}"));
                write_root(tree.as_ref(), &home, base, random);
                roots.push(Root { id: id.clone(), key, home });
            }
        }
        for side in ["source", "destination"] {
            remove_broken_links(&base.join(side));
        }
        // A root that only one side's configuration has.
        let shorter = if random.percent(50) { &mut source } else { &mut destination };
        if likeness == Likeness::Any && shorter.len() > 1 && random.percent(15) {
            shorter.pop();
        }
        Self {
            source,
            destination,
            keep_going: random.percent(40),
            algorithm: if random.percent(50) { "MD5" } else { "XXHash32" },
            files_to_exclude,
            default_dirs: dirs_to_exclude.is_none(),
            dirs_to_exclude: dirs_to_exclude.unwrap_or_else(|| vec![DEFAULT_DIRECTORY_PATTERN.to_owned()]),
        }
    }

    /// The case as the oracle's arguments. A root that one side does not have lies nowhere there.
    pub fn arguments(&self, base: &Path) -> Vec<String> {
        let home = |roots: &[Root], id: &str| {
            let found = roots.iter().find(|root| root.id == id);
            found.map_or_else(|| base.join("nowhere"), |root| root.home.clone()).display().to_string()
        };
        let longer = if self.source.len() > self.destination.len() { &self.source } else { &self.destination };
        let roots = longer.iter().flat_map(|Root { id, .. }| {
            ["--root".to_owned(), id.clone(), home(&self.source, id), home(&self.destination, id)]
        });
        let files = self.files_to_exclude.iter().map(|pattern| format!("--exclude-file={pattern}"));
        let dirs = self.dirs_to_exclude.iter().map(|pattern| format!("--exclude-dir={pattern}"));
        roots.chain(files).chain(dirs).chain(self.keep_going.then(|| "--keep-going".to_owned())).collect()
    }

    /// The lines of the `live_migration` section.
    pub fn live_migration(&self) -> String {
        // A list in JSON is one in YAML too.
        let list = |patterns: &[String]| serde_json::to_string(patterns).unwrap();
        let files = format!("files_to_exclude: {}", list(&self.files_to_exclude));
        match self.default_dirs {
            true => files,
            false => format!("{files}\ndirs_to_exclude: {}", list(&self.dirs_to_exclude)),
        }
    }
}

/// The lines of an instance that name these roots.
pub fn instance_lines(roots: &[Root]) -> String {
    let (data, single): (Vec<&Root>, Vec<&Root>) = roots.iter().partition(|root| root.key == "data_dirs");
    let data: Vec<_> = data.iter().map(|root| &root.home).collect();
    let data = (!data.is_empty()).then(|| format!("data_dirs: {}", serde_json::to_string(&data).unwrap()));
    let single = single.iter().map(|root| format!("{}: {:?}", root.key, root.home));
    data.into_iter().chain(single).collect::<Vec<_>>().join("\n")
}

fn patterns(random: &mut Random) -> (Vec<String>, Option<Vec<String>>) {
    let mut some = |from: &[&str]| (0..random.below(3)).map(|_| (*random.pick(from)).to_owned()).collect();
    let (files, dirs): (Vec<String>, Vec<String>) = (some(FILE_PATTERNS), some(DIRECTORY_PATTERNS));
    match random.below(3) {
        0 => (files, Some(dirs)),
        1 if random.percent(30) => (files, None),
        _ => (Vec::new(), None),
    }
}

/// One data directory for the most part, else several, up to indices of two digits; and some of the other roots.
fn root_ids(random: &mut Random) -> Vec<(String, &'static str)> {
    let directories = [1, 1, 1, 2, 3, 0, 12][random.below(7)];
    let mut ids: Vec<_> = (0..directories).map(|index| (format!("data/{index}"), "data_dirs")).collect();
    if ids.is_empty() || random.percent(30) {
        let from = random.below(SINGLE_ROOTS.len());
        let chosen = SINGLE_ROOTS[from..].iter().take(1 + random.below(3));
        ids.extend(chosen.map(|(id, key)| ((*id).to_owned(), *key)));
    }
    ids
}
