//! Both trees with nothing of them in the page cache: `diff`, a manifest and a whole task, against reading alone (`cat`, as many at a
//! time as reads best), and `rsync -c`.
//!
//! `cargo bench --bench cold [-- A] [-- B] [-- C]`; without a name all three. A and B are those of `versus_per_file`; C has
//! 400,000 files of 50 to 1,000 bytes a side. `-- direct` is one side of B around the page cache, against `fio` at the queue depth that reads best. Needs the right to drop the caches, and says so where it has it not. Takes 18 GB of
//! disk. See `docs/performance.md`.

#![allow(clippy::print_stdout, missing_docs, unreachable_pub, dead_code, reason = "a benchmark, not a library")]

mod support;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::figures::{Times, line, paired, title};
use support::services::{Pair, Setup};
use support::trees::{self, Shape};
use support::{directory, installed, rounds, wants};

/// What is asked of one tree: at most so much of the time of what it is compared with.
struct Asked {
    shape: Shape,
    files_per_cat: usize,
    manifest_to_cat: Option<f64>,
    diff_to_cat: f64,
    task_to_cat: Option<f64>,
    diff_to_rsync: f64,
}

fn main() -> io::Result<()> {
    let a = Asked {
        shape: Shape::A,
        files_per_cat: 400,
        manifest_to_cat: None,
        diff_to_cat: 1.0,
        task_to_cat: Some(1.15),
        diff_to_rsync: 0.5,
    };
    let b = Asked { shape: Shape::B, files_per_cat: 4, manifest_to_cat: Some(1.1), diff_to_cat: 1.1, ..a };
    let c = Asked { shape: Shape::small(400_000), diff_to_cat: 0.6, task_to_cat: None, diff_to_rsync: 0.33, ..a };
    for (name, asked) in [("A", a), ("B", b), ("C", c)] {
        if wants(name) {
            through_the_cache(name, &asked)?;
        }
    }
    if wants("direct") { around_the_cache() } else { Ok(()) }
}

/// The queue depths of fio.
const DEPTHS: [u32; 6] = [1, 2, 4, 8, 16, 32];

fn around_the_cache() -> io::Result<()> {
    if !installed("fio") {
        println!("fio is not installed: direct reading is not compared");
        return Ok(());
    }
    let [source, _] = copies("B", Shape::B)?;
    let bytes = trees::files(&source)?.iter().map(|path| Ok(path.metadata()?.len())).sum::<io::Result<u64>>()?;
    let scratch = tempfile::tempdir()?;
    let manifest = scratch.path().join("one.manifest");
    let mut fios: [Times; DEPTHS.len()] = <_>::default();
    let mut ours = Times::default();
    for round in 0..rounds() {
        // Each round begins elsewhere: what a disk gives depends on what was read before.
        for turn in round..=round + DEPTHS.len() {
            let turn = turn % (DEPTHS.len() + 1);
            support::cold::drop_caches();
            match DEPTHS.get(turn) {
                Some(depth) => fios[turn].add(fio(&source, *depth, bytes)?),
                None => {
                    let arguments = ["manifest", "--quiet", "--direct", "-o"].map(Path::new);
                    measure(&mut ours, || twintree(arguments.into_iter().chain([manifest.as_path(), &source])))?;
                }
            }
        }
    }
    title("B, one side, around the page cache");
    for (times, depth) in fios.iter().zip(DEPTHS) {
        line(&format!("fio, {depth} at a time"), times);
    }
    line("twintree manifest --direct", &ours);
    paired("manifest to the depth of fio that is the best", &ours, Times::best(&fios), 1.1);
    paired("manifest to whatever depth was the best in each round", &ours, &Times::best_of(&fios), 1.1);
    Ok(())
}

/// How long fio takes to read so many bytes as the tree has, at the rate of its own report: its start does not count, nor do ends of files
/// that are no whole blocks.
fn fio(tree: &Path, depth: u32, bytes: u64) -> io::Result<Duration> {
    let output = Command::new("fio")
        .args(["--name=read", "--rw=read", "--bs=1M", "--direct=1", "--ioengine=libaio", "--readonly"])
        .args([format!("--opendir={}", tree.display()), format!("--iodepth={depth}")])
        .arg("--output-format=json")
        .output()?;
    // Remarks stand before the report.
    let report = output.stdout.iter().position(|byte| *byte == b'{').map_or(&[][..], |at| &output.stdout[at..]);
    let report: serde_json::Value = serde_json::from_slice(report).map_err(io::Error::other)?;
    let rate = report["jobs"][0]["read"]["bw_bytes"].as_f64().filter(|rate| *rate > 0.0);
    let rate = rate.ok_or_else(|| io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))?;
    Ok(Duration::from_secs_f64(bytes as f64 / rate))
}

fn copies(name: &str, shape: Shape) -> io::Result<[PathBuf; 2]> {
    let sides = ["source", "copy"].map(|side| directory().join(format!("{name}-{side}")));
    std::fs::create_dir_all(directory())?;
    trees::make(&sides[0], shape)?;
    trees::copy(&sides[0], &sides[1])?;
    Ok(sides)
}

fn through_the_cache(name: &str, asked: &Asked) -> io::Result<()> {
    let [source, copy] = copies(name, asked.shape)?;
    let both: [&Path; 2] = [&source, &copy];
    let scratch = tempfile::tempdir()?;
    let pair = Pair::start(&Setup::of(&source, &copy)?, scratch.path())?;
    let manifest = scratch.path().join("one.manifest");
    let [mut one, mut diff, mut task, mut rsync] = <[Times; 4]>::default();
    let [mut cats, mut cats_of_one] = <[[Times; 3]; 2]>::default();
    let mut cold = true;
    for _ in 0..rounds() {
        for (at, at_a_time) in [2, 8, 32].into_iter().enumerate() {
            cold &= measure(&mut cats[at], || cat(&both, at_a_time, asked.files_per_cat))?;
            if asked.manifest_to_cat.is_some() {
                measure(&mut cats_of_one[at], || cat(&both[..1], at_a_time, asked.files_per_cat))?;
            }
        }
        measure(&mut diff, || twintree(["diff", "--quiet"].map(Path::new).iter().copied().chain(both)))?;
        if asked.manifest_to_cat.is_some() {
            let arguments = [Path::new("manifest"), Path::new("--quiet"), both[0], Path::new("-o"), &manifest];
            measure(&mut one, || twintree(arguments))?;
        }
        if asked.task_to_cat.is_some() {
            support::cold::drop_caches();
            let verified = pair.verify("MD5", 10)?;
            assert_eq!(verified.report["state"], "COMPLETED", "{:#}", verified.report);
            task.add(verified.elapsed);
        }
        if installed("rsync") {
            measure(&mut rsync, || rsync_check(&source, &copy))?;
        }
    }
    let limit = Times::best_of(&cats);
    title(&format!("{name}, both sides on one disk, {}", if cold { "nothing in the page cache" } else { "NOT COLD" }));
    for (at, at_a_time) in [2, 8, 32].into_iter().enumerate() {
        line(&format!("cat, {at_a_time} at a time"), &cats[at]);
    }
    line("twintree diff", &diff);
    line("a whole task, both services here", &task);
    line("rsync -rtcn, local", &rsync);
    paired("diff to reading alone", &diff, &limit, asked.diff_to_cat);
    if let Some(most) = asked.task_to_cat {
        paired("task to reading alone", &task, &limit, most);
    }
    paired("diff to rsync -c", &diff, &rsync, asked.diff_to_rsync);
    if let Some(most) = asked.manifest_to_cat {
        let limit = Times::best_of(&cats_of_one);
        line("one side: the best of cat", &limit);
        line("one side: twintree manifest", &one);
        paired("one side: manifest to reading alone", &one, &limit, most);
    }
    Ok(())
}

/// Times some work with nothing in the page cache; whether it could be emptied.
fn measure(times: &mut Times, work: impl FnOnce() -> io::Result<()>) -> io::Result<bool> {
    let cold = support::cold::drop_caches();
    let begun = Instant::now();
    work()?;
    times.add(begun.elapsed());
    Ok(cold)
}

fn twintree<'a>(arguments: impl IntoIterator<Item = &'a Path>) -> io::Result<()> {
    succeeds(Command::new(env!("CARGO_BIN_EXE_twintree")).args(arguments))
}

/// Reads all files of the trees in the order in which they are found.
fn cat(trees: &[&Path], at_a_time: usize, files_each: usize) -> io::Result<()> {
    let script = format!("find \"$@\" -type f -print0 | xargs -0 -P{at_a_time} -n{files_each} cat");
    succeeds(Command::new("sh").args(["-c", &script, "sh"]).args(trees))
}

/// A dry run that compares checksums.
fn rsync_check(source: &Path, copy: &Path) -> io::Result<()> {
    let slash = |path: &Path| format!("{}/", path.display());
    succeeds(Command::new("rsync").arg("-rtcn").args([slash(source), slash(copy)]))
}

fn succeeds(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))),
    }
}
