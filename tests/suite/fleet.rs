//! The SQL of `docs/fleet.md` over the exports of many pairs, by engines that are not ours, against `twintree diff`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use twintree::manifest::write;
use twintree::model::{Content, Listed, Problem, Reason, RelPath, RootId};

use crate::second_looks::{When, changed, file as on_disk, tree};
use crate::support::listed_trees::{Entries, Entry, file, listed_manifest, path, subtree};
use crate::support::manifests::manifest_of;
use crate::support::material::missing;
use crate::support::process::twintree;
use crate::support::random::Random;

const RUN: &str = "wave-1";

/// 2026-11-30, in the morning.
const CREATED_MS: i64 = 1_796_000_000_000;

const COMPONENTS: [&str; 8] = [
    "Data.db",
    "Index.db",
    "Filter.db",
    "Summary.db",
    "Statistics.db",
    "CompressionInfo.db",
    "Digest.crc32",
    "TOC.txt",
];

/// Two keyspaces with two tables each, and two SSTables in each of them.
fn instance(random: &mut Random) -> Entries {
    let mut entries = Entries::new();
    for keyspace in ["audit", "shop"] {
        entries.insert(path(keyspace), Entry::Directory(None));
        for table in ["events", "orders"] {
            let directory = format!("{keyspace}/{table}-{:032x}", random.below(1 << 30));
            entries.insert(path(&directory), Entry::Directory(None));
            for (sstable, component) in (1..=2).flat_map(|n| COMPONENTS.map(|component| (n, component))) {
                let size = 1 + random.below(100_000) as u64;
                let time = CREATED_MS - random.below(1_000_000_000) as i64;
                let bytes = format!("{size} {component}");
                entries.insert(path(format!("{directory}/nb-{sstable}-big-{component}")), file(size, time, &bytes));
            }
        }
    }
    entries
}

fn problem(reason: Reason) -> Problem {
    Problem::new(reason, "Permission denied (os error 13)")
}

/// Changes a file's facts.
fn with(entry: &mut Entry, change: impl FnOnce(&mut u64, &mut i64, &mut Content)) {
    let Entry::File(Listed::File { size, modified_ms, content }) = entry else { panic!("{entry:?}") };
    change(size, modified_ms, content);
}

/// One fault of two sides that are the same so far, by its number; there are [`FAULTS`].
fn plant(fault: usize, source: &mut Entries, destination: &mut Entries, random: &mut Random) {
    let files: Vec<RelPath> = destination.keys().filter(|path| path.names().count() == 3).cloned().collect();
    let one = random.pick(&files).clone();
    let directory = one.parent().unwrap();
    let bytes = |digest: &str| match file(0, 0, digest) {
        Entry::File(Listed::File { content, .. }) => content,
        other => panic!("{other:?}"),
    };
    let here = |name: &[u8]| path([directory.as_bytes(), b"/", name].concat());
    let set = |entries: &mut Entries, change: fn(&mut u64, &mut i64, &mut Content)| {
        with(entries.get_mut(&one).unwrap(), change)
    };
    match fault {
        0 => drop(destination.remove(&one)),
        1 => drop(destination.insert(here(b"nb-9-big-Data.db"), file(7, 7, "7"))),
        2 => set(destination, |size, _, _| *size += 1),
        3 => set(destination, |_, time, _| *time += 1),
        4 => with(destination.get_mut(&one).unwrap(), |_, _, content| *content = bytes("flipped")),
        // A file against a directory that holds something.
        5 => {
            destination.insert(one.clone(), Entry::Directory(None));
            destination.insert(path([one.as_bytes(), b"/inside"].concat()), file(1, 1, "1"));
        }
        6 => drop(destination.insert(one, Entry::File(Listed::Unlistable(problem(Reason::Unreadable))))),
        7 => set(source, |_, _, content| *content = Content::Unverified(problem(Reason::ChangedWhileReading))),
        8 => set(destination, |_, _, content| *content = Content::NotRead),
        // Nobody could look into a table, and its neighbour with a longer name is missing.
        9 => {
            for hidden in subtree(destination, &directory).into_iter().filter(|path| *path != directory) {
                destination.remove(&hidden);
            }
            destination.insert(directory.clone(), Entry::Directory(Some(problem(Reason::Unreadable))));
            source.insert(path([directory.as_bytes(), b"2"].concat()), Entry::Directory(None));
            source.insert(path([directory.as_bytes(), b"2/f"].concat()), file(1, 1, "1"));
            source.insert(here(b"deep"), Entry::Directory(None));
            source.insert(here(b"deep/f"), file(1, 1, "1"));
        }
        10 => subtree(destination, &directory).iter().for_each(|gone| drop(destination.remove(gone))),
        11 => {
            source.insert(here(b"snapshots"), Entry::Directory(None));
            source.insert(here(b"snapshots/before"), Entry::Directory(None));
            source.insert(here(b"snapshots/before/f"), file(1, 1, "1"));
        }
        // Names that look the same as text.
        12 => {
            for name in [&b"\xff"[..], b"\xfe", b"a\xff"] {
                source.insert(here(name), file(1, 1, "1"));
                destination.insert(here(name), file(1, 1, if name == b"\xfe" { "2" } else { "1" }));
            }
            destination.insert(here(b"\xfd"), file(1, 1, "1"));
        }
        // Times that no number of microseconds is.
        13 => {
            source.insert(here(b"never"), file(1, i64::MAX, "1"));
            destination.insert(here(b"never"), file(1, i64::MAX - 1, "1"));
            for side in [source, destination] {
                side.insert(here(b"long ago"), file(1, i64::MIN, "1"));
            }
        }
        14 => {
            source.clear();
            source.insert(RelPath::root(), Entry::Directory(Some(problem(Reason::Unreadable))));
        }
        15 => drop(source.insert(here(b"empty"), Entry::Directory(None))),
        // What could not be examined, against a directory.
        16 => {
            source.insert(here(b"which"), Entry::Directory(None));
            destination.insert(here(b"which"), Entry::File(Listed::Unlistable(problem(Reason::Vanished))));
        }
        // A root that leads nowhere: what the other side has is missing here.
        17 => {
            destination.clear();
            destination.insert(RelPath::root(), Entry::Directory(Some(problem(Reason::Vanished))));
        }
        // Both directories of that name could not be listed.
        18 => {
            for side in [source, destination] {
                side.insert(here(b"locked"), Entry::Directory(Some(problem(Reason::Unreadable))));
            }
        }
        // One that differs under a name with every character that means something in SQL, JSON or a path of a partition.
        19 => {
            let name = b"it's 100% \"odd\"; -- \\ \t\n = {x}";
            source.insert(here(name), file(1, 1, "1"));
            destination.insert(here(name), file(2, 1, "1"));
        }
        _ => unreachable!("{fault}"),
    }
}

const FAULTS: usize = 20;
const PAIRS: usize = 200;
const PLANTED: usize = 100;

/// The manifests of all pairs, in a directory, with the list of them.
struct Fleet {
    home: tempfile::TempDir,
    pairs: Vec<(String, PathBuf, PathBuf)>,
}

impl Fleet {
    /// Faults stand in every second pair, more than one in some.
    fn make() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut random = Random::new(12);
        let mut pairs = Vec::new();
        for number in 0..PAIRS {
            let mut source = instance(&mut random);
            let mut destination = source.clone();
            let (mut other, unchanged) = (instance(&mut random), instance(&mut random));
            if number % 2 == 1 {
                plant(number / 2 % FAULTS, &mut source, &mut destination, &mut random);
            }
            let other_source = other.clone();
            // A second one in another data directory.
            if number % 10 == 1 {
                plant(number / 10 % 5, &mut other.clone(), &mut other, &mut random);
            }
            let [one, two, three] = ["data/0", "data/1", "hints/0"].map(|id| id.parse::<RootId>().unwrap());
            let [of_source, of_destination] = [
                [(one, &source), (two, &other_source), (three, &unchanged)],
                [(one, &destination), (two, &other), (three, &unchanged)],
            ];
            let made = |side: &str, roots| {
                let manifest = listed_manifest(&format!("{side}{number:03}"), CREATED_MS + number as i64, roots);
                let path = home.path().join(format!("{side}{number:03}.manifest"));
                write(&manifest, &path).unwrap();
                path
            };
            pairs.push((format!("pair {number:03}"), made("old", &of_source), made("new", &of_destination)));
        }
        let mut fleet = Self { home, pairs };
        fleet.add_changing();
        fleet.add_empty();
        fleet.list();
        fleet
    }

    /// A pair of trees on disk, one of which changed while it was read.
    fn add_changing(&mut self) {
        let (_tmp, home) = tree();
        let (moving, _) = changed(&home, When::Read, || on_disk(&home.join("a/new"), "new"));
        let place = |name: &str| self.home.path().join(name);
        write(&moving, &place("moving")).unwrap();
        write(&manifest_of(&home, 1), &place("still")).unwrap();
        self.pairs.push(("moving".to_owned(), place("moving"), place("still")));
    }

    /// Two sides with nothing in them are no proof.
    fn add_empty(&mut self) {
        let nothing = Entries::new();
        for side in ["nothing-old", "nothing-new"] {
            write(&listed_manifest(side, CREATED_MS, &[(RootId::DATA_0, &nothing)]), &self.home.path().join(side))
                .unwrap();
        }
        let place = |name: &str| self.home.path().join(name);
        self.pairs.push(("nothing".to_owned(), place("nothing-old"), place("nothing-new")));
    }

    /// One host at two moments: a file that is written once has other bytes; and one that may, and one that was written again.
    fn moments(&self) -> [PathBuf; 2] {
        let table = format!("shop/orders-{:032x}", 1);
        let at = |name: &str, changed: &str| {
            let mut entries = Entries::new();
            entries.insert(path("shop"), Entry::Directory(None));
            entries.insert(path(&table), Entry::Directory(None));
            for (file_name, time, bytes) in [
                ("nb-1-big-Data.db", 5, changed),
                ("nb-1-big-Index.db", 5, "the same"),
                ("nb-1-big-Statistics.db", 5, changed),
                ("nb-2-big-Data.db", if changed == "late" { 6 } else { 5 }, changed),
                ("other", 5, changed),
            ] {
                entries.insert(path(format!("{table}/{file_name}")), file(9, time, bytes));
            }
            let later = i64::from(changed == "late") * 86_400_000;
            let place = self.home.path().join(name);
            write(&listed_manifest("rotten", CREATED_MS + later, &[(RootId::DATA_0, &entries)]), &place).unwrap();
            place
        };
        [at("moment-1", "early"), at("moment-2", "late")]
    }

    fn list(&self) {
        let lines = self.pairs.iter().map(|(name, s, d)| format!("{name}\t{}\t{}\n", s.display(), d.display()));
        fs::write(self.home.path().join("pairs.txt"), lines.collect::<String>()).unwrap();
    }

    fn export(&self) -> PathBuf {
        let output = self.home.path().join("export");
        let status = twintree()
            .args(["export", "--quiet", "--run", RUN, "--cluster", "007", "--pairs"])
            .arg(self.home.path().join("pairs.txt"))
            .arg("-o")
            .arg(&output)
            .args(self.moments())
            .output()
            .unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
        let said = String::from_utf8(status.stdout).unwrap();
        let all = 2 * self.pairs.len() + 2;
        assert!(said.contains(&format!(": {all} of {all} manifests, ")), "{said}");
        output
    }
}

/// Pair, root, path in hex, kind.
type Found = BTreeSet<(String, String, String, String)>;

/// Exit codes by pair, and all differences, as `twintree diff` has them.
fn by_diff(fleet: &Fleet) -> (BTreeMap<String, i32>, Found) {
    let (mut codes, mut found) = (BTreeMap::new(), Found::new());
    for (name, source, destination) in &fleet.pairs {
        let output = twintree()
            .args(["diff", "--quiet", "--keep-going", "--json"])
            .args([source, destination])
            .output()
            .unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        codes.insert(name.clone(), output.status.code().unwrap());
        for difference in report["differences"].as_array().unwrap() {
            let url = difference["fileUrl"].as_str().unwrap().strip_prefix("/api/v1/live-migration/files/").unwrap();
            let mut parts = url.splitn(3, '/');
            let root = format!("{}/{}", parts.next().unwrap(), parts.next().unwrap());
            let exact = difference["pathHex"]
                .as_str()
                .map_or_else(|| hex::encode(parts.next().unwrap_or_default()), str::to_owned);
            let kind = difference["kind"].as_str().unwrap().to_owned();
            assert!(found.insert((name.clone(), root, exact, kind)), "twice: {difference}");
        }
    }
    (codes, found)
}

/// A Python with this package: that of `.ci/run`, or the system's.
fn python_with(package: &str) -> Option<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fleet/bin/python");
    let has = |python: &PathBuf| {
        let import = Command::new(python).args(["-c", &format!("import {package}")]).output();
        import.is_ok_and(|output| output.status.success())
    };
    [ours, "python3".into()].into_iter().find(has)
}

/// What the statements of the page find, by their names.
fn by_engine(engine: &str, python: &Path, export: &Path) -> BTreeMap<String, Vec<Value>> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(python)
        .arg(checkout.join("tests/fleet/run.py"))
        .arg(engine)
        .args([&checkout.join("docs/fleet.md"), export])
        .arg(RUN)
        .output()
        .unwrap();
    let (said, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{errors}");
    eprintln!("{errors}");
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut name = String::new();
    for line in said.lines() {
        match line.strip_prefix("## ") {
            Some(next) => {
                name = next.to_owned();
                found.insert(name.clone(), Vec::new());
            }
            None => found.get_mut(&name).unwrap().push(serde_json::from_str(line).unwrap()),
        }
    }
    found
}

fn text(row: &Value, column: &str) -> String {
    row[column].as_str().unwrap_or_else(|| panic!("{column} of {row}")).to_owned()
}

/// What the engine found must be what `diff` found.
fn assert_same_as_diff(engine: &str, python: &Path, export: &Path, codes: &BTreeMap<String, i32>, expected: &Found) {
    let found = by_engine(engine, python, export);
    let exact = |row: &Value| row["key_bytes"].as_str().map_or_else(|| hex::encode(text(row, "key")), str::to_owned);
    let difference = |row: &Value| {
        let root = format!("{}/{}", text(row, "root_type"), row["root_index"]);
        (text(row, "pair_id"), root, exact(row), text(row, "kind"))
    };
    let differences: Found = found["differences"].iter().map(difference).collect();
    let (more, less): (Vec<_>, Vec<_>) =
        (differences.difference(expected).collect(), expected.difference(&differences).collect());
    assert!(more.is_empty() && less.is_empty(), "{engine} alone: {more:#?}\ndiff alone: {less:#?}");
    assert_eq!(found["differences"].len(), expected.len(), "none is found twice");

    let verdicts = found["verdicts"].iter().map(|row| (text(row, "pair_id"), text(row, "verdict")));
    let code = |verdict: String| match verdict.as_str() {
        "equal" => 0,
        "different" => 1,
        "unverified" | "nothing-compared" => 3,
        other => panic!("{other}"),
    };
    assert_eq!(&verdicts.map(|(pair, verdict)| (pair, code(verdict))).collect::<BTreeMap<_, _>>(), codes);

    let rot = found["rot"].iter().map(|row| (text(row, "host"), text(row, "key"), row["same_time"].as_bool().unwrap()));
    let file = |name: &str| format!("shop/orders-{:032x}/{name}", 1);
    let expected = [("nb-1-big-Data.db", true), ("nb-2-big-Data.db", false)];
    assert_eq!(rot.collect::<Vec<_>>(), expected.map(|(name, same)| ("rotten".to_owned(), file(name), same)));
}

#[test]
fn engines_find_what_diff_finds() {
    let engines: Vec<(&str, PathBuf)> = [("duckdb", "duckdb"), ("spark", "pyspark")]
        .into_iter()
        .filter_map(|(engine, package)| match python_with(package) {
            Some(_) if package == "pyspark" && Command::new("java").arg("-version").output().is_err() => {
                missing(package, "there is no Java");
                None
            }
            Some(python) => Some((engine, python)),
            None => {
                missing(package, &format!("no Python here has the package {package}"));
                None
            }
        })
        .collect();
    if engines.is_empty() {
        return;
    }
    let fleet = Fleet::make();
    let (codes, expected) = by_diff(&fleet);
    let kinds: BTreeSet<&str> = expected.iter().map(|(_, _, _, kind)| kind.as_str()).collect();
    assert_eq!(kinds.len(), 7, "a fault of every kind is planted: {kinds:?}");
    let with_faults = expected.iter().map(|(pair, ..)| pair).collect::<BTreeSet<_>>().len();
    assert!(with_faults > PLANTED, "{with_faults} pairs with faults");
    let export = fleet.export();
    for (engine, python) in engines {
        assert_same_as_diff(engine, &python, &export, &codes, &expected);
    }
}
