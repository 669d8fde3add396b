//! Files whose size reads 0 and that hold something, as those of /proc do: reached by a link, from the command line.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::support::disk::{Time, set_time};
use crate::support::material::missing;
use crate::support::process::twintree;

/// A file of /proc that always holds the same, and one that is another one each time it is read.
const STILL: &str = "/proc/sys/kernel/ostype";
const MOVING: &str = "/proc/sys/kernel/random/uuid";

/// The exit code, and what was printed.
fn run(arguments: &[&str], paths: &[&Path]) -> (Option<i32>, String) {
    let output = twintree().args(arguments).args(paths).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout) + &text(output.stderr))
}

/// A directory with `f`, a link to this file.
fn linked(home: &Path, name: &str, to: &str) -> PathBuf {
    let directory = home.join(name);
    fs::create_dir(&directory).unwrap();
    symlink(to, directory.join("f")).unwrap();
    directory
}

#[test]
fn a_file_without_a_size_is_read_to_its_end_and_is_no_empty_one() {
    let Ok(open) = File::open(STILL) else { return missing("proc", "there is no /proc/sys here") };
    // As long as it is open its time stays.
    let metadata = open.metadata().unwrap();
    assert_eq!((metadata.len(), fs::read(STILL).unwrap().is_empty()), (0, false));
    let tmp = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| linked(tmp.path(), name, STILL));
    let empty = tmp.path().join("empty");
    fs::create_dir(&empty).unwrap();
    fs::write(empty.join("f"), b"").unwrap();
    set_time(&empty.join("f"), Time { seconds: metadata.mtime(), nanoseconds: metadata.mtime_nsec() as u32 });

    let (code, out) = run(&["diff"], &[&one, &other]);
    assert!(code == Some(0) && out.contains("COMPLETED: equal"), "{out}");
    let manifest = tmp.path().join("manifest");
    assert_eq!(run(&["manifest", "-o"], &[&manifest, &one]).0, Some(0));
    assert_eq!(run(&["inspect"], &[&manifest]).0, Some(0));
    assert_eq!(run(&["diff"], &[&manifest, &other]).0, Some(0));
    for side in [&one, &manifest] {
        for pair in [[side.as_path(), &empty], [&empty, side]] {
            let (code, out) = run(&["diff", "--json", "--quiet"], &pair);
            let report: serde_json::Value = serde_json::from_str(&out).unwrap();
            assert_eq!(
                (code, &report["digestMismatches"], &report["metadataMismatches"]),
                (Some(1), &1.into(), &0.into())
            );
        }
    }
}

#[test]
fn a_file_without_a_size_that_never_reads_the_same_is_unverified() {
    let Ok(_open) = File::open(MOVING) else { return missing("proc", "there is no /proc/sys here") };
    let tmp = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| linked(tmp.path(), name, MOVING));
    let (code, out) = run(&["diff"], &[&one, &other]);
    assert!(code == Some(3) && out.contains("changed-while-reading"), "{out}");
}
