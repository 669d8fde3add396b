//! A whole task over HTTP by manifests, against the per-file protocol of the same program on both ends, and, where they are
//! installed, against `rsync -c` through its daemon and `b3sum` over both trees.
//!
//! `cargo bench --bench versus_per_file [-- A] [-- B] [-- round-trip]`; without a name all three. Tree A has 40,000 small
//! files, tree B 360 large ones, the last part A with a round trip of 10 ms. B takes 19 GB of disk and, so that all that
//! is compared lies in the page cache, 13 GB of memory. See `docs/performance.md`.

#![allow(clippy::print_stdout, missing_docs, unreachable_pub, dead_code, reason = "a benchmark, not a library")]

mod support;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::figures::{Times, bound, fact, line, ratio, title};
use support::forwarder::Forwarder;
use support::services::{Pair, Setup, Verified, free_port, threads};
use support::trees::{self, Shape};
use support::{directory, installed, rounds, wants};

/// The settings of a pair that goes file by file.
const PER_FILE: &str = "  serve_manifests: false\n";

const ROUND_TRIP: Duration = Duration::from_millis(10);

fn main() -> io::Result<()> {
    for (name, shape) in [("A", Shape::A), ("B", Shape::B)] {
        if wants(name) {
            loopback(name, shape)?;
        }
    }
    if wants("round-trip") {
        round_trip()?;
    }
    Ok(())
}

/// Both copies of a tree, in the page cache.
fn copies(name: &str, shape: Shape) -> io::Result<(PathBuf, PathBuf, usize)> {
    let (source, destination) = (directory().join(format!("{name}-source")), directory().join(format!("{name}-copy")));
    std::fs::create_dir_all(directory())?;
    let files = trees::make(&source, shape)?;
    trees::copy(&source, &destination)?;
    Ok((source, destination, files))
}

fn loopback(name: &str, shape: Shape) -> io::Result<()> {
    let (source, destination, files) = copies(name, shape)?;
    let changed = directory().join(format!("{name}-changed"));
    trees::changed_copy(&source, &changed, 100)?;
    let scratch = tempfile::tempdir()?;
    let (manifests, per_file, different) =
        (scratch.path().join("m"), scratch.path().join("p"), scratch.path().join("d"));
    for path in [&manifests, &per_file, &different] {
        std::fs::create_dir(path)?;
    }
    let by_manifests = Pair::start(&Setup::of(&source, &destination)?, &manifests)?;
    let by_files = Pair::start(&Setup { settings: PER_FILE, ..Setup::of(&source, &destination)? }, &per_file)?;
    let with_changes = Pair::start(&Setup::of(&source, &changed)?, &different)?;
    let rsync = Rsync::start(&source, scratch.path())?;
    let port = rsync.as_ref().map(|rsync| rsync.port);

    let [mut task, mut md5, mut xxhash, mut changes, mut daemon, mut sums] = <[Times; 6]>::default();
    let mut last = None;
    let round = |last: &mut Option<Verified>, task: &mut Times| -> io::Result<()> {
        trees::warm(&[&source, &destination])?;
        let verified = equal(by_manifests.verify("MD5", 10)?, "manifest", files);
        task.add(verified.elapsed);
        *last = Some(verified);
        Ok(())
    };
    // Once unmeasured, for whatever is made at the first time.
    round(&mut last, &mut Times::default())?;
    for _ in 0..rounds() {
        round(&mut last, &mut task)?;
        trees::warm(&[&source, &destination])?;
        md5.add(equal(by_files.verify("MD5", 10)?, "per-file", files).elapsed);
        xxhash.add(equal(by_files.verify("XXHash32", 10)?, "per-file", files).elapsed);
        if let Some(port) = port {
            daemon.take(|| rsync_check(port, &destination))?;
        }
        if installed("b3sum") {
            sums.take(|| b3sum(&[&source, &destination]))?;
        }
        trees::warm(&[&source, &changed])?;
        changes.add(with_changes.verify("MD5", 10)?.elapsed);
    }
    title(&format!("{name}: {files} files, equal, {} threads a side, everything in the page cache", threads()));
    line("task by manifests", &task);
    line("task file by file, MD5, 10 at once", &md5);
    line("task file by file, XXHash32, 10 at once", &xxhash);
    line("rsync -c through its daemon", &daemon);
    line("b3sum over both trees", &sums);
    line("task by manifests, one file in a hundred different", &changes);
    let [to_md5, to_xxhash, to_rsync, to_b3sum] =
        if name == "A" { [0.15, 1.0, 0.85, 1.0] } else { [0.16, 0.9, 1.0, 1.1] };
    ratio("manifests to file by file, MD5", &task, &md5, to_md5);
    ratio("manifests to file by file, XXHash32", &task, &xxhash, to_xxhash);
    ratio("manifests to rsync -c", &task, &daemon, to_rsync);
    ratio("manifests to b3sum", &task, &sums, to_b3sum);
    ratio("one in a hundred different to equal", &changes, &task, 1.3);
    if let Some(verified) = last {
        bound("requests to the source", verified.report["sourceRequests"].as_f64().unwrap_or(f64::NAN), 1.0);
        let directories = shape.keyspaces * (1 + shape.tables) + 1;
        let bytes = by_manifests.manifest_stream_bytes()?;
        fact("bytes of the manifest stream", bytes);
        bound("of these for each directory", bytes as f64 / directories as f64, 150.0);
    }
    Ok(())
}

/// Tree A where every packet takes 5 ms each way.
fn round_trip() -> io::Result<()> {
    let (source, destination, files) = copies("A", Shape::A)?;
    let scratch = tempfile::tempdir()?;
    let far = |settings: &'static str, name: &str| -> io::Result<(Pair, Forwarder)> {
        let source_port = free_port()?;
        let forwarder = Forwarder::start(source_port, ROUND_TRIP)?;
        let setup = Setup { settings, called: Some(forwarder.port), source_port, ..Setup::of(&source, &destination)? };
        let path = scratch.path().join(name);
        std::fs::create_dir(&path)?;
        Ok((Pair::start(&setup, &path)?, forwarder))
    };
    let (by_manifests, _forwarder) = far("", "m")?;
    let (by_files, _other_forwarder) = far(PER_FILE, "p")?;
    let rsync = Rsync::start(&source, scratch.path())?;
    let rsync_forwarder = rsync.as_ref().map(|rsync| Forwarder::start(rsync.port, ROUND_TRIP)).transpose()?;
    let [mut task, mut per_file, mut daemon] = <[Times; 3]>::default();
    for _ in 0..rounds().min(3) {
        trees::warm(&[&source, &destination])?;
        task.add(equal(by_manifests.verify("MD5", 10)?, "manifest", files).elapsed);
        per_file.add(equal(by_files.verify("MD5", 10)?, "per-file", files).elapsed);
        if let Some(forwarder) = &rsync_forwarder {
            trees::warm(&[&source, &destination])?;
            daemon.take(|| rsync_check(forwarder.port, &destination))?;
        }
    }
    title(&format!("A: {files} files, equal, a round trip of {} ms", ROUND_TRIP.as_millis()));
    line("task by manifests", &task);
    line("task file by file, MD5, 10 at once", &per_file);
    line("rsync -c through its daemon", &daemon);
    ratio("manifests to file by file", &task, &per_file, 0.03);
    ratio("manifests to rsync -c", &task, &daemon, 0.6);
    Ok(())
}

/// What is timed must have been the whole work.
fn equal(verified: Verified, protocol: &str, files: usize) -> Verified {
    let report = &verified.report;
    assert_eq!(report["state"], "COMPLETED", "{report:#}");
    assert_eq!(report["protocol"], protocol, "{report:#}");
    assert_eq!(report["filesMatched"].as_u64(), Some(files as u64), "{report:#}");
    verified
}

/// An rsync daemon that serves one tree.
struct Rsync {
    process: Child,
    port: u16,
}

impl Rsync {
    fn start(tree: &Path, scratch: &Path) -> io::Result<Option<Self>> {
        if !installed("rsync") {
            return Ok(None);
        }
        let port = free_port()?;
        let config = scratch.join("rsyncd.conf");
        let tree = std::path::absolute(tree)?;
        std::fs::write(
            &config,
            format!("use chroot = no\nport = {port}\naddress = 127.0.0.1\n[tree]\npath = {}\n", tree.display()),
        )?;
        let mut daemon = Command::new("rsync");
        daemon.args(["--daemon", "--no-detach", "--config"]).arg(config);
        let process = daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Some(Self { process, port }))
    }
}

impl Drop for Rsync {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A dry run that compares checksums; it must find nothing to do.
fn rsync_check(port: u16, destination: &Path) -> io::Result<()> {
    let mut rsync = Command::new("rsync");
    rsync.args(["-rtcn", "--out-format=%n", &format!("rsync://127.0.0.1:{port}/tree/")]);
    let output = rsync.arg(format!("{}/", destination.display())).output()?;
    match output.status.success() && !String::from_utf8_lossy(&output.stdout).contains(".db") {
        true => Ok(()),
        false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}

/// One call for each tree, with as many threads as a service has.
fn b3sum(trees: &[&Path]) -> io::Result<()> {
    for tree in trees {
        let command = format!(
            "find '{}' -type f -print0 | xargs -0 -n 100000 b3sum --num-threads {} > /dev/null",
            tree.display(),
            threads()
        );
        if !Command::new("sh").args(["-c", &command]).status()?.success() {
            return Err(io::Error::other("b3sum failed"));
        }
    }
    Ok(())
}
