//! What a manifest costs beyond the reading and hashing itself, and what remembering digests saves.
//!
//! `cargo bench --bench reading [-- build] [-- recording] [-- cut-over]`: a manifest of the trees A and B against the same threads reading and
//! hashing the same files, named beforehand; a task over many small files that records all digests against one that records none; and the
//! task over tree B after a hundredth of its bytes was replaced, with the digests of the others recorded while nothing was verified. See
//! `docs/performance.md`.

#![allow(clippy::print_stdout, missing_docs, unreachable_pub, dead_code, reason = "a benchmark, not a library")]

mod support;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use blake3::hazmat::{HasherExt as _, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root};
use rayon::prelude::*;
use twintree::exclude::{RootRules, Rules};
use twintree::manifest::{Identity, Manifest, RootSpec};
use twintree::model::RootId;
use twintree::scan::Context;

use support::figures::{Times, bound, fact, line, ratio, title};
use support::services::{Pair, Setup, Verified, threads};
use support::trees::{self, Shape};
use support::{directory, rounds, wants};

fn main() -> io::Result<()> {
    if wants("build") {
        for (name, shape) in [("A", Shape::A), ("B", Shape::B)] {
            build(name, shape)?;
        }
    }
    if wants("recording") {
        recording()?;
    }
    if wants("cut-over") {
        cut_over()?;
    }
    Ok(())
}

fn tree(name: &str, shape: Shape) -> io::Result<PathBuf> {
    fs::create_dir_all(directory())?;
    let home = directory().join(format!("{name}-source"));
    trees::make(&home, shape)?;
    Ok(home)
}

fn build(name: &str, shape: Shape) -> io::Result<()> {
    let home = tree(name, shape)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads()).build().map_err(io::Error::other)?;
    let [mut manifest, mut hashing, mut reading] = <[Times; 3]>::default();
    for _ in 0..rounds() {
        trees::warm(&[&home])?;
        manifest.take(|| pool.install(|| manifest_of(&home)));
        let files = trees::files(&home)?;
        hashing.take(|| pool.install(|| read_and_hash(&files)))?;
        reading.take(|| pool.install(|| read(&files)))?;
    }
    title(&format!("{name}: {} threads, everything in the page cache", threads()));
    line("manifest: walk, read, hash, subtree hashes", &manifest);
    line("the same files opened, read and hashed, nothing else", &hashing);
    line("the same files opened and read, not hashed", &reading);
    ratio("manifest to reading and hashing", &manifest, &hashing, 1.1);
    Ok(())
}

fn manifest_of(home: &Path) {
    let context = Context::default();
    let identity = Identity::new("bench".to_owned(), "bench".to_owned(), 0, &Rules::none());
    let roots = [RootSpec { id: RootId::DATA_0, home: home.to_owned(), rules: RootRules::none() }];
    let manifest = Manifest::walk(identity, &roots, &context).unwrap_or_else(|error| panic!("{error}"));
    manifest.hash_contents(&context, &|_, _, _, _| ()).unwrap_or_else(|error| panic!("{error}"));
}

/// What no verification can be faster than.
fn read(files: &[PathBuf]) -> io::Result<()> {
    files.par_iter().with_max_len(1).try_for_each(|path| {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut buffer = vec![0; size.min(1 << 20) as usize];
        let mut done = 0;
        while done < size {
            let piece = (size - done).min(buffer.len() as u64) as usize;
            file.read_exact_at(&mut buffer[..piece], done)?;
            done += piece as u64;
        }
        std::hint::black_box(&buffer);
        Ok(())
    })
}

/// Pieces of large files are read side by side, as a manifest does.
const PIECE: u64 = 4 << 20;

fn read_and_hash(files: &[PathBuf]) -> io::Result<()> {
    files.par_iter().with_max_len(32).try_for_each(|path| {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        if size <= PIECE {
            let mut bytes = vec![0; size as usize];
            file.read_exact_at(&mut bytes, 0)?;
            std::hint::black_box(blake3::hash(&bytes));
            return Ok(());
        }
        let left = left_subtree_len(size);
        let (left, right) = rayon::join(|| subtree(&file, 0, left), || subtree(&file, left, size - left));
        std::hint::black_box(merge_subtrees_root(&left?, &right?, Mode::Hash));
        Ok(())
    })
}

fn subtree(file: &File, offset: u64, length: u64) -> io::Result<blake3::hazmat::ChainingValue> {
    if length > PIECE {
        let left = left_subtree_len(length);
        let (left, right) = rayon::join(|| subtree(file, offset, left), || subtree(file, offset + left, length - left));
        return Ok(merge_subtrees_non_root(&left?, &right?, Mode::Hash));
    }
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(offset);
    let mut buffer = vec![0; 1 << 20];
    let mut done = 0;
    while done < length {
        let piece = (length - done).min(buffer.len() as u64) as usize;
        file.read_exact_at(&mut buffer[..piece], offset + done)?;
        hasher.update(&buffer[..piece]);
        done += piece as u64;
    }
    Ok(hasher.finalize_non_root())
}

/// The first task that records digests, of files that no record is of yet.
fn recording() -> io::Result<()> {
    let shape = Shape::small(400_000);
    let source = tree("C", shape)?;
    let copy = directory().join("C-copy");
    trees::copy(&source, &copy)?;
    let scratch = tempfile::tempdir()?;
    let [mut none, mut all] = <[Times; 2]>::default();
    for round in 0..rounds() {
        for (times, name, settings) in [
            (&mut none, "none", "  state_dir: STATE\n"),
            (&mut all, "all", "  state_dir: STATE\n  digest_cache: record\n"),
        ] {
            // A new state each time: what is recorded already costs less.
            let path = scratch.path().join(format!("{name}-{round}"));
            fs::create_dir(&path)?;
            let pair = Pair::start(&Setup { settings, ..Setup::of(&source, &copy)? }, &path)?;
            trees::warm(&[&source, &copy])?;
            times.add(completed(&pair)?.elapsed);
        }
    }
    title("C: 400,000 small files a side, everything in the page cache");
    line("task that records nothing", &none);
    line("task that records all digests", &all);
    if let (Some(all), Some(none)) = (all.median(), none.median()) {
        fact("recording to not recording", format_args!("{:.2}", all / none));
    }
    Ok(())
}

/// A hundredth of the bytes replaced at both ends after the digests were recorded, as by a compaction shortly before a node stops.
fn cut_over() -> io::Result<()> {
    let source = tree("B", Shape::B)?;
    let copy = directory().join("B-copy");
    trees::copy(&source, &copy)?;
    let scratch = tempfile::tempdir()?;
    let pair = |name: &str, settings: &'static str| -> io::Result<Pair> {
        let path = scratch.path().join(name);
        fs::create_dir(&path)?;
        Pair::start(&Setup { settings, ..Setup::of(&source, &copy)? }, &path)
    };
    let full = pair("full", "")?;
    let [mut whole, mut warm] = <[Times; 2]>::default();
    let mut read_share: f64 = 0.0;
    for round in 0..rounds() {
        // A new state each time, or the files replaced before would be recorded too.
        let remembering = pair(
            &format!("warm-{round}"),
            "  state_dir: STATE\n  digest_cache: trust\n  digest_cache_warm_every: 1s\n",
        )?;
        wait_until_warm(&remembering)?;
        replace_sstable(&[&source, &copy])?;
        trees::warm(&[&source, &copy])?;
        let trusting = completed(&remembering)?;
        warm.add(trusting.elapsed);
        for side in ["source", "destination"] {
            let read = &trusting.report["read"][side];
            let (all, trusted) = (read["bytes"].as_f64(), read["from"]["trustedBytes"].as_f64());
            read_share = read_share.max(1.0 - trusted.unwrap_or(0.0) / all.unwrap_or(f64::NAN));
        }
        drop(remembering);
        trees::warm(&[&source, &copy])?;
        whole.add(completed(&full)?.elapsed);
    }
    title("B: one SSTable, a hundredth of the bytes, replaced after the digests were recorded");
    line("task that reads everything", &whole);
    line("task that trusts what was recorded", &warm);
    ratio("trusting to reading everything", &warm, &whole, 0.05);
    bound("share of the bytes that was read, in a hundred", read_share * 100.0, 5.0);
    Ok(())
}

/// A task that finds both trees equal.
fn completed(pair: &Pair) -> io::Result<Verified> {
    let verified = pair.verify("MD5", 10)?;
    assert_eq!(verified.report["state"], "COMPLETED", "{:#}", verified.report);
    Ok(verified)
}

/// Until neither service reads any more: what there is to record is recorded.
fn wait_until_warm(pair: &Pair) -> io::Result<()> {
    let mut before = [0.0; 2];
    loop {
        std::thread::sleep(Duration::from_secs(3));
        let now = pair.hashed_bytes()?;
        if now == before && now.iter().all(|bytes| *bytes > 0.0) {
            return Ok(());
        }
        before = now;
    }
}

/// Replaces the smallest SSTable, which has about a hundredth of the bytes, by one with the same bytes in other files, and
/// with the same new time at all homes.
fn replace_sstable(homes: &[&Path]) -> io::Result<()> {
    let now = std::time::SystemTime::now();
    for home in homes {
        let data = trees::files(home)?.into_iter().filter(|path| path.to_string_lossy().ends_with("-Data.db"));
        let sizes: Vec<(u64, PathBuf)> =
            data.map(|path| Ok((fs::metadata(&path)?.len(), path))).collect::<io::Result<_>>()?;
        let smallest = sizes.into_iter().min().map(|(_, path)| path.to_string_lossy().into_owned()).unwrap_or_default();
        let sstable = smallest.trim_end_matches("Data.db");
        for path in trees::files(home)?.into_iter().filter(|path| path.to_string_lossy().starts_with(sstable)) {
            let new = path.with_extension("new");
            fs::copy(&path, &new)?;
            File::options().write(true).open(&new)?.set_modified(now)?;
            fs::rename(new, path)?;
        }
    }
    Ok(())
}
