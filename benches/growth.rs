//! How time and memory grow with the number of files: a manifest of 10 thousand to 1 million small files (5 million with
//! `TWINTREE_BENCH_FILES=5000000`), a task over the largest tree with everything it may cost other requests, the start of
//! a service, and the comparison of two manifest files.
//!
//! `cargo bench --bench growth`. A million files take 4 GB of disk. See `docs/performance.md`.

#![allow(clippy::print_stdout, missing_docs, unreachable_pub, dead_code, reason = "a benchmark, not a library")]

mod support;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::directory;
use support::figures::{Times, bound, fact, line, title};
use support::services::{Pair, Service, Setup, free_port, peak_memory, threads};
use support::trees::{self, Shape};

/// The sizes, up to the one asked for.
fn sizes() -> Vec<usize> {
    let largest = std::env::var("TWINTREE_BENCH_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let mut sizes: Vec<usize> = [10_000, 100_000, 1_000_000, 5_000_000].into_iter().filter(|n| *n < largest).collect();
    sizes.push(largest);
    sizes
}

fn tree(files: usize) -> io::Result<(PathBuf, usize)> {
    let home = directory().join(format!("small-{files}"));
    std::fs::create_dir_all(directory())?;
    let files = trees::make(&home, Shape::small(files))?;
    Ok((home, files))
}

fn main() -> io::Result<()> {
    let scratch = tempfile::tempdir()?;
    title(&format!("manifests of small files, {} threads, as far as memory goes in the page cache", threads()));
    let mut largest = None;
    for size in sizes() {
        let (home, files) = tree(size)?;
        trees::warm(&[&home])?;
        let output = scratch.path().join(format!("{files}.manifest"));
        let (elapsed, peak) = manifest(&home, &output)?;
        println!(
            "  {files:>9} files  {:>9.1} ms  {:>6.2} us a file  {:>6.1} MB at most  {:>5.0} bytes a file",
            elapsed.as_secs_f64() * 1e3,
            elapsed.as_secs_f64() * 1e6 / files as f64,
            peak as f64 / 1e6,
            peak as f64 / files as f64,
        );
        largest = Some((home, files, output));
    }
    let Some((home, files, manifest)) = largest else { return Ok(()) };
    task(&home, files, scratch.path())?;
    start(&home, scratch.path())?;
    difference(&home, &manifest, files, scratch.path())
}

/// Writes a manifest; how long that took, and the most memory it needed.
fn manifest(home: &Path, output: &Path) -> io::Result<(Duration, u64)> {
    let begun = Instant::now();
    let mut program = Command::new(env!("CARGO_BIN_EXE_twintree"));
    let mut process = program
        .args(["manifest", "--quiet"])
        .arg(home)
        .arg("-o")
        .arg(output)
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()?;
    let mut peak = 0;
    loop {
        // The figure only grows, and is gone with the process.
        peak = peak_memory(process.id()).max(peak);
        match process.try_wait()? {
            Some(status) if status.success() => return Ok((begun.elapsed(), peak)),
            Some(status) => return Err(io::Error::other(format!("the manifest of {}: {status}", home.display()))),
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// The same tree is source and destination: what is measured is the same, at half the disk.
fn task(home: &Path, files: usize, scratch: &Path) -> io::Result<()> {
    let scratch = scratch.join("task");
    std::fs::create_dir(&scratch)?;
    let pair = Pair::start(&Setup::of(home, home)?, &scratch)?;
    let mut times = Times::default();
    let mut longest: f64 = 0.0;
    // A source keeps its last manifest: the second one is made beside it.
    for _ in 0..2 {
        trees::warm(&[home])?;
        let (verified, latency) = pair.longest_answer(|| pair.verify("MD5", 10));
        let verified = verified?;
        assert_eq!(verified.report["state"], "COMPLETED", "{:#}", verified.report);
        times.add(verified.elapsed);
        longest = longest.max(latency);
    }
    title(&format!("a task over {files} files"));
    line("task by manifests", &times);
    for (side, peak) in ["source", "destination"].into_iter().zip(pair.peak_memory()) {
        let (what, megabytes) = (format!("MB of memory of the {side} at most"), peak as f64 / 1e6);
        // The bound is one for a million files.
        match files {
            ..=1_000_000 => bound(&what, megabytes, 250.0),
            _ => fact(&what, format!("{megabytes:.1}")),
        }
    }
    bound("ms until another request was answered, at most", longest, 50.0);
    Ok(())
}

/// From the start of the process until it takes connections.
fn start(home: &Path, scratch: &Path) -> io::Result<()> {
    let empty = scratch.join("empty");
    std::fs::create_dir(&empty)?;
    let [mut none, mut all] = <[Times; 2]>::default();
    for _ in 0..9 {
        for (data, times) in [(empty.as_path(), &mut none), (home, &mut all)] {
            let port = free_port()?;
            let config = scratch.join("start.yaml");
            let yaml = format!(
                "cassandra_instances:\n  - {{id: 1, host: 127.0.0.1, storage_dir: {:?}, data_dirs: [{:?}]}}\n\
                 sidecar: {{host: 127.0.0.1, port: {port}}}\n\
                 twintree: {{state_dir: {:?}, digest_cache: trust}}\n",
                scratch.join("none"),
                std::path::absolute(data)?,
                scratch.join("start-state"),
            );
            std::fs::write(&config, yaml)?;
            times.take(|| Service::start(&config, port))?;
        }
    }
    title("the start of a service");
    line("on an empty instance", &none);
    line("on the largest tree", &all);
    Ok(())
}

/// Two manifest files of which ten files differ, each in a table of its own.
fn difference(home: &Path, manifest_file: &Path, files: usize, scratch: &Path) -> io::Result<()> {
    let changed = scratch.join("changed.manifest");
    trees::invert_every(home, files / 10)?;
    manifest(home, &changed)?;
    trees::invert_every(home, files / 10)?;
    let mut times = Times::default();
    let mut output = String::new();
    for _ in 0..9 {
        let mut diff = Command::new(env!("CARGO_BIN_EXE_twintree"));
        diff.args(["diff", "--quiet", "--json"]).arg(manifest_file).arg(&changed);
        let done = times.take(|| diff.output())?;
        output = String::from_utf8_lossy(&done.stdout).into_owned();
    }
    assert!(output.contains("\"digestMismatches\": 10,"), "{output}");
    let both = std::fs::metadata(manifest_file)?.len() + std::fs::metadata(&changed)?.len();
    title(&format!("diff of two manifest files of {files} files that differ in 10"));
    line("twintree diff", &times);
    bound("ms", times.median().unwrap_or(f64::NAN), 30.0);
    fact("bytes of both manifest files", both);
    if let Some(read) = bytes_read(manifest_file, &changed) {
        bound("share of these that was read, in a hundred", read as f64 * 100.0 / both as f64, 5.0);
    }
    Ok(())
}

/// What the library reads of both files for the same comparison, where the system counts it.
fn bytes_read(source: &Path, destination: &Path) -> Option<u64> {
    let counted = || {
        let io = std::fs::read_to_string("/proc/self/io").ok()?;
        io.lines().find_map(|line| line.strip_prefix("rchar: "))?.trim().parse::<u64>().ok()
    };
    let before = counted()?;
    let source = twintree::manifest::ManifestFile::open(source).ok()?;
    let destination = twintree::manifest::ManifestFile::open(destination).ok()?;
    twintree::manifest::findings(&source, &destination, twintree::manifest::Depth::Content).ok()?;
    Some(counted()? - before)
}
