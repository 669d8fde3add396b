//! What many manifests cost once they are there: `twintree roots` and `twintree export` over a pair of manifests of 5 million files each
//! (`TWINTREE_BENCH_FILES`), and the SQL of `docs/fleet.md` over that export by the engines that are installed beside the build
//! (`.ci/run` puts them there).
//!
//! `cargo bench --bench fleet`. See `docs/fleet.md`.

#![allow(clippy::print_stdout, missing_docs, unreachable_pub, dead_code, reason = "a benchmark, not a library")]

mod support;

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::figures::{bound, fact, title};
use support::services::peak_memory;
use support::trees;
use twintree::exclude::Rules;
use twintree::manifest::{Identity, Manifest, write};
use twintree::model::{Blake3Digest, Content, FileEntry, Listed, Name, RelPath, RootId};
use twintree::scan::{Context, WalkedDirectory};

/// Files of a table; tables of a keyspace.
const FILES: usize = 200;
const TABLES: usize = 50;

/// How many files differ, each in a table of its own.
const DIFFERENCES: usize = 100;

const COMPONENTS: [&str; 8] = [
    "CompressionInfo.db",
    "Data.db",
    "Digest.crc32",
    "Filter.db",
    "Index.db",
    "Statistics.db",
    "Summary.db",
    "TOC.txt",
];

fn main() -> io::Result<()> {
    let files = std::env::var("TWINTREE_BENCH_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(5_000_000);
    let home =
        tempfile::tempdir_in(std::env::var_os("TWINTREE_BENCH_DIR").unwrap_or_else(|| std::env::temp_dir().into()))?;
    let [source, destination] = ["source", "destination"].map(|side| home.path().join(format!("{side}.manifest")));
    make(&source, "old", files, false)?;
    make(&destination, "new", files, true)?;
    let pairs = home.path().join("pairs.txt");
    std::fs::write(&pairs, format!("pair\t{}\t{}\n", source.display(), destination.display()))?;

    title(&format!("two manifests of {files} files in {} tables", files / FILES));
    fact("MB of a manifest", megabytes(std::fs::metadata(&source)?.len()));
    let (elapsed, peak) =
        measured(Command::new(env!("CARGO_BIN_EXE_twintree")).arg("roots").args([&source, &destination]))?;
    fact("twintree roots over both, ms", format!("{:.0}", elapsed.as_secs_f64() * 1e3));
    fact("MB of memory at most", megabytes(peak));

    let output = home.path().join("export");
    let mut export = Command::new(env!("CARGO_BIN_EXE_twintree"));
    export.args(["export", "--run", "bench", "--cluster", "bench", "--pairs"]).arg(&pairs).arg("-o").arg(&output);
    let (elapsed, peak) = measured(&mut export)?;
    fact("twintree export of both, s", format!("{:.1}", elapsed.as_secs_f64()));
    fact("files a second", format!("{:.0}", 2.0 * files as f64 / elapsed.as_secs_f64()));
    bound("MB of memory at most", peak as f64 / 1e6, 300.0);
    for table in ["files", "directories"] {
        let bytes: u64 =
            trees::files(&output.join(table))?.iter().filter_map(|path| path.metadata().ok()).map(|m| m.len()).sum();
        fact(&format!("MB of {table}, both sides"), megabytes(bytes));
        fact("bytes a file", format!("{:.1}", bytes as f64 / (2 * files) as f64));
    }
    engines(&output)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

/// A manifest as a scan of such a tree would make it, without the tree.
fn make(place: &Path, host: &str, files: usize, changed: bool) -> io::Result<()> {
    let tables = files / FILES;
    let every = (tables / DIFFERENCES).max(1);
    let path = |text: String| RelPath::new(text.as_bytes()).map_err(io::Error::other);
    let mut directories = vec![WalkedDirectory::empty_root()];
    for table in 0..tables {
        let keyspace = format!("ks{:04}", table / TABLES);
        if table % TABLES == 0 {
            directories.push(WalkedDirectory { path: path(keyspace.clone())?, ..WalkedDirectory::empty_root() });
        }
        let id = blake3::hash(&table.to_le_bytes()).to_hex();
        let name = format!("{keyspace}/table{:02}-{}", table % TABLES, &id[..32]);
        let mut listed = (0..FILES)
            .map(|number| file(table, number, changed && table % every == 0))
            .collect::<io::Result<Vec<_>>>()?;
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        directories.push(WalkedDirectory { path: path(name)?, files: listed, ..WalkedDirectory::empty_root() });
    }
    let identity = Identity::new(host.to_owned(), "bench".to_owned(), 1_796_000_000_000, &Rules::none());
    let manifest = Manifest::of_listed(identity, [(RootId::DATA_0, directories)]).map_err(io::Error::other)?;
    manifest.hash_contents(&Context::default(), &|_, _, _, _| ()).map_err(io::Error::other)?;
    write(&manifest, place).map_err(io::Error::other)
}

/// The first file of a table that is changed has another digest.
fn file(table: usize, number: usize, changed: bool) -> io::Result<FileEntry> {
    let (sstable, component) = (1 + number / COMPONENTS.len(), COMPONENTS[number % COMPONENTS.len()]);
    let name = Name::new(format!("nb-{sstable}-big-{component}").as_bytes()).map_err(io::Error::other)?;
    let seed = [table, number, usize::from(changed && number == 0)].map(usize::to_le_bytes).concat();
    let digest = Blake3Digest::from(blake3::hash(&seed));
    let size = u64::from(digest.0[0]) << 10 | u64::from(digest.0[1]);
    // Size and time are those of the first version in both.
    let (size, time) = if number == 0 { (4096, 0) } else { (size, (size % 1000).cast_signed()) };
    let modified_ms = 1_795_000_000_000 + (table as i64) * 60_000 + time;
    Ok(FileEntry { name, listed: Listed::File { size, modified_ms, content: Content::Digest(digest) } })
}

/// How long a command took, and the most memory it needed.
fn measured(command: &mut Command) -> io::Result<(Duration, u64)> {
    let begun = Instant::now();
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn()?;
    let mut peak = 0;
    loop {
        // The figure only grows, and is gone with the process.
        peak = peak_memory(process.id()).max(peak);
        match process.try_wait()? {
            Some(status) if status.success() => return Ok((begun.elapsed(), peak)),
            Some(status) => return Err(io::Error::other(format!("{command:?}: {status}"))),
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// The statements of the page, which print how long each of them takes.
fn engines(export: &Path) -> io::Result<()> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = checkout.join("target/fleet/bin/python");
    if !python.exists() {
        return Ok(());
    }
    for engine in ["duckdb", "spark"] {
        title(&format!("the SQL of docs/fleet.md by {engine}"));
        let mut command = Command::new(&python);
        command
            .arg(checkout.join("tests/fleet/run.py"))
            .arg(engine)
            .arg(checkout.join("docs/fleet.md"))
            .arg(export)
            .args(["bench", "differences", "verdicts"]);
        let output = command.stderr(Stdio::inherit()).output()?;
        let rows = String::from_utf8_lossy(&output.stdout).matches("\"kind\": \"content\"").count();
        assert_eq!((output.status.success(), rows), (true, DIFFERENCES), "{engine}");
    }
    Ok(())
}
