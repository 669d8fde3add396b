//! The program itself: what it prints where, and how it exits.

use std::fs;

use assert_cmd::Command;
use serde_json::Value;

use crate::support::program::{text, twintree, twintree_after};
use crate::support::trees::{copy_tree, flip_byte};

/// A small tree and its copy.
fn two_trees() -> tempfile::TempDir {
    let tmp = tempfile::tempdir().unwrap();
    let source = tmp.path().join("source");
    fs::create_dir_all(source.join("ks/t-1")).unwrap();
    fs::create_dir_all(source.join("ks/empty")).unwrap();
    fs::write(source.join("ks/t-1/nb-1-big-Data.db"), [7; 5000]).unwrap();
    fs::write(source.join("ks/t-1/nb-1-big-TOC.txt"), b"Data.db\n").unwrap();
    copy_tree(&source, &tmp.path().join("destination"));
    tmp
}

#[test]
fn equal_trees_exit_0_and_leave_standard_error_empty() {
    let tmp = two_trees();
    let (s, d) = (tmp.path().join("source"), tmp.path().join("destination"));
    let (code, out, err) = twintree(&["diff", text(&s), text(&d)]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("COMPLETED: equal; 2 files proven, 5 entries in all\n"), "{out}");
}

#[test]
fn every_pair_of_directory_and_manifest_gives_the_same_result() {
    let tmp = two_trees();
    let (s, d) = (tmp.path().join("source"), tmp.path().join("destination"));
    flip_byte(&d.join("ks/t-1/nb-1-big-Data.db"), 4321);
    let (sm, dm) = (tmp.path().join("s.manifest"), tmp.path().join("d.manifest"));
    for (tree, file) in [(&s, &sm), (&d, &dm)] {
        let (code, out, err) = twintree(&["manifest", text(tree), "-o", text(file)]);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        let (code, out, _) = twintree(&["inspect", text(file), "--json"]);
        let facts: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &facts["files"], &facts["directories"]), (0, &2.into(), &3.into()));
    }
    let results: Vec<Value> = [(&s, &d), (&sm, &d), (&s, &dm), (&sm, &dm)]
        .into_iter()
        .map(|(left, right)| {
            let (code, out, _) = twintree(&["diff", text(left), text(right), "--json"]);
            assert_eq!(code, 1);
            let mut result: Value = serde_json::from_str(&out).unwrap();
            // Names, times and what was read are those of the two sides; the verdict and its reasons are not.
            let sides = ["source", "startedAt", "endedAt", "timings", "read", "bytesHashed", "sourceBytesHashed"];
            sides.iter().for_each(|key| assert!(result.as_object_mut().unwrap().remove(*key).is_some(), "{key}"));
            result
        })
        .collect();
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
    let first = &results[0];
    assert_eq!(
        (&first["state"], &first["digestMismatches"], &first["filesMatched"]),
        (&"FAILED".into(), &1.into(), &1.into())
    );
    assert_eq!(first["differences"][0]["kind"], "content");
}

#[test]
fn metadata_that_differs_ends_the_comparison_unless_it_is_to_keep_going() {
    let tmp = two_trees();
    let (s, d) = (tmp.path().join("source"), tmp.path().join("destination"));
    fs::remove_file(d.join("ks/t-1/nb-1-big-TOC.txt")).unwrap();
    let counters = |extra: &[&str]| {
        let (code, out, _) = twintree(&[&["diff", text(&s), text(&d), "--json"], extra].concat());
        let result: Value = serde_json::from_str(&out).unwrap();
        (code, result["filesNotFoundAtDestination"].clone(), result["filesMatched"].clone())
    };
    assert_eq!(counters(&[]), (1, 1.into(), 0.into()));
    assert_eq!(counters(&["--keep-going"]), (1, 1.into(), 1.into()));
    // What was not compared is said, and how to have it.
    let (_, out, _) = twintree(&["diff", text(&s), text(&d)]);
    let headline = "FAILED: entries that are not proven equal: 1 missing at the destination; content of 1 files was not \
                    compared: add --keep-going\n";
    assert!(out.starts_with(headline), "{out}");
    assert!(out.contains("\nnot equal by keyspace and table:\n  data ks t-1 "), "{out}");
    let sums = out.find("not equal by keyspace").unwrap();
    assert!(sums < out.find("\ndifferences:").unwrap(), "sums stand before single differences: {out}");
    let not_compared = |extra: &[&str]| {
        let (_, out, _) = twintree(&[&["diff", text(&s), text(&d), "--json"], extra].concat());
        serde_json::from_str::<Value>(&out).unwrap()["contentNotCompared"].clone()
    };
    assert_eq!((not_compared(&[]), not_compared(&["--keep-going"])), (1.into(), 0.into()));
}

#[test]
fn what_could_not_be_checked_exits_3_and_a_difference_beside_it_1() {
    let tmp = two_trees();
    let (s, d) = (tmp.path().join("source"), tmp.path().join("destination"));
    let toc = d.join("ks/t-1/nb-1-big-TOC.txt");
    fs::remove_file(&toc).unwrap();
    std::os::unix::fs::symlink("nothing", &toc).unwrap();
    let (code, out, _) = twintree(&["diff", text(&s), text(&d), "--json"]);
    let result: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &result["state"]), (3, &"FAILED".into()));
    let difference = &result["differences"][0];
    assert_eq!((&difference["kind"], &difference["side"]), (&"unverified".into(), &"destination".into()));
    flip_byte(&d.join("ks/t-1/nb-1-big-Data.db"), 0);
    assert_eq!(twintree(&["diff", text(&s), text(&d)]).0, 1);
}

/// No service takes part, so nothing is named by the URL that it would have there.
#[test]
fn local_commands_name_entries_by_root_and_path() {
    let tmp = two_trees();
    let (s, d, file) = (tmp.path().join("source"), tmp.path().join("destination"), tmp.path().join("m"));
    let toc = d.join("ks/t-1/nb-1-big-TOC.txt");
    fs::remove_file(&toc).unwrap();
    std::os::unix::fs::symlink("nothing", &toc).unwrap();
    twintree(&["manifest", text(&d), "-o", text(&file)]);
    for command in [&["diff", text(&s), text(&d)][..], &["inspect", text(&file)]] {
        let (code, out, err) = twintree(command);
        assert_eq!((code, err.as_str()), (3, ""), "{command:?}");
        assert!(out.contains("data/0/ks/t-1/nb-1-big-TOC.txt"), "{out}");
        assert!(!out.contains("/api/"), "{out}");
    }
}

#[test]
fn nothing_to_compare_is_no_success() {
    let tmp = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        fs::create_dir(tmp.path().join(name)).unwrap();
    }
    let (code, out, _) = twintree(&["diff", text(&tmp.path().join("a")), text(&tmp.path().join("b"))]);
    assert_eq!(code, 3);
    assert!(out.contains("there was not a single file to compare"), "{out}");
}

#[test]
fn wrong_usage_exits_2_and_says_what_is_wrong() {
    let tmp = two_trees();
    let s = tmp.path().join("source");
    let said = |args: &[&str], what: &str| {
        let (code, out, err) = twintree(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(err.contains(what), "{args:?}: {err}");
    };
    said(&["diff", text(&s)], "<DESTINATION>");
    said(&["diff", text(&s), "/nowhere"], "/nowhere: No such file or directory");
    said(&["diff", text(&s), "/dev/null"], "/dev/null: not a directory");
    said(&["manifest", text(&s), "-o", "x", "--exclude-dir", "/no/syntax"], "/no/syntax");
    said(&["verify", "--destination", "ftp://x"], "expected something like http://");
    said(&["verify", "--destination", "https://x"], "TLS");
    said(&["verify", "--destination", "x:1", "--algorithm", "SHA1"], "MD5 or XXHash32");
    said(&["tasks"], "--destination");
    said(&["serve", "--config", "/nowhere.yaml"], "/nowhere.yaml");
    said(&["verify", "--destination", "http://x/path"], "a path is not needed");
    for url in ["http://user:secret@x:1", "http://user:secret@x y", "https://user:secret@x", "user:secret@x/path"] {
        for command in ["verify", "tasks"] {
            let (code, out, err) = twintree(&[command, "--destination", url]);
            assert_eq!((code, out.as_str()), (2, ""), "{url}: {err}");
            assert!(err.contains("--destination: ") && !err.contains("secret"), "{url}: {err}");
        }
    }
    said(&["verify", "--destination", "http://user:secret@x:1"], "a user name and a password are not supported");
    said(&["inspect", "/nowhere"], "/nowhere: No such file");
    said(&["diff", text(&s), text(&s), "--threads", "999999"], "a whole number from 1 to 1024");
}

/// However the bytes are read, the manifest holds the same.
#[test]
fn reading_around_the_cache_or_slowly_gives_the_same_manifest() {
    let tmp = two_trees();
    let (tree, file) = (tmp.path().join("source"), tmp.path().join("m"));
    let line = |more: &[&str]| {
        let (code, out, err) = twintree(&[&["manifest", text(&tree), "-o", text(&file)], more].concat());
        assert_eq!((code, err.as_str()), (0, ""), "{more:?}");
        out
    };
    let plain = line(&[]);
    for more in [&["--direct"][..], &["--read-limit", "1GiB/s"], &["--threads", "1"], &["--direct", "--threads", "7"]] {
        assert_eq!(line(more), plain, "{more:?}");
    }
    let (code, _, err) = twintree(&["manifest", text(&tree), "-o", text(&file), "--read-limit", "fast"]);
    assert_eq!(code, 2);
    assert!(err.contains("such as 100MiB/s"), "{err}");
}

#[test]
fn a_file_that_is_no_manifest_is_refused_by_name() {
    let tmp = two_trees();
    let path = tmp.path().join("source/ks/t-1/nb-1-big-Data.db");
    let (code, _, err) = twintree(&["inspect", text(&path)]);
    assert_eq!(code, 3);
    assert!(err.contains("nb-1-big-Data.db: not a manifest"), "{err}");
}

/// Neither waits for what never comes.
#[test]
fn a_pipe_is_no_manifest() {
    let tmp = tempfile::tempdir().unwrap();
    let pipe = tmp.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let (code, _, err) = twintree(&["inspect", text(&pipe)]);
    assert_eq!(code, 3);
    assert!(err.contains("pipe: it is not a regular file"), "{err}");
    assert_eq!(twintree(&["diff", text(&pipe), text(&pipe)]).0, 2);
}

/// A disk that is full, and a limit of the process, which comes as a signal.
#[test]
fn a_manifest_that_cannot_be_written_leaves_nothing_behind() {
    let tmp = two_trees();
    let (s, out) = (tmp.path().join("source"), tmp.path().join("out"));
    fs::create_dir(&out).unwrap();
    for n in 0..2000 {
        fs::write(s.join(format!("ks/t-1/{}-{n}", blake3::hash(&[n as u8]))), "x").unwrap();
    }
    let (code, _, err) = twintree_after("ulimit -f 1", &["manifest", text(&s), "-o", text(&out.join("m"))]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("m: File too large"), "{err}");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
}

#[test]
fn a_manifest_replaces_no_special_file_and_follows_a_link() {
    let tmp = two_trees();
    let s = tmp.path().join("source");
    let pipe = tmp.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for (output, what) in [(text(&pipe), "not a regular file"), ("/nowhere/m", "/nowhere")] {
        let (code, _, err) = twintree(&["manifest", text(&s), "-o", output]);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(what), "{err}");
    }
    assert!(!pipe.symlink_metadata().unwrap().is_file());
    let (target, link) = (tmp.path().join("target"), tmp.path().join("link"));
    fs::write(&target, b"old").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    assert_eq!(twintree(&["manifest", text(&s), "-o", text(&link)]).0, 0);
    assert!(link.is_symlink());
    assert_eq!(twintree(&["inspect", text(&target)]).0, 0);
}

/// Whoever may read the old one may read the new one, and nobody else.
#[test]
fn a_manifest_has_the_permissions_and_the_owner_of_the_one_it_replaces() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let tmp = two_trees();
    let (s, file) = (tmp.path().join("source"), tmp.path().join("m"));
    let mode = || fs::metadata(&file).unwrap().permissions().mode() & 0o7777;
    let written = || assert_eq!(twintree(&["manifest", text(&s), "-o", text(&file)]).0, 0);
    let script = "umask 027 && exec \"$0\" \"$@\"";
    let program = env!("CARGO_BIN_EXE_twintree");
    Command::new("sh").args(["-c", script, program, "manifest", text(&s), "-o", text(&file)]).assert().success();
    assert_eq!(mode(), 0o640, "a new one by the umask");
    for kept in [0o600, 0o644, 0o400, 0o666] {
        fs::set_permissions(&file, fs::Permissions::from_mode(kept)).unwrap();
        written();
        assert_eq!(mode(), kept);
    }
    if std::os::unix::fs::chown(&file, Some(12345), Some(54321)).is_ok() {
        written();
        let metadata = fs::metadata(&file).unwrap();
        assert_eq!((metadata.uid(), metadata.gid(), mode()), (12345, 54321, 0o666));
    }
}

#[test]
fn a_manifest_of_nothing_is_no_success() {
    let tmp = tempfile::tempdir().unwrap();
    let config = tmp.path().join("sidecar.yaml");
    let yaml = format!("cassandra_instances: [{{id: 1, host: h, storage_dir: {:?}}}]", tmp.path().join("typo"));
    fs::write(&config, yaml).unwrap();
    let manifest = tmp.path().join("m");
    let (code, _, err) = twintree(&["manifest", "--config", text(&config), "--instance", "1", "-o", text(&manifest)]);
    assert_eq!(code, 3);
    assert!(err.contains("not there, and in the manifest as such: data/0, commitlog/0"), "{err}");
    assert!(err.contains("not a single file"), "{err}");
}

#[test]
fn excluded_entries_are_left_out_and_different_rules_are_noted() {
    let tmp = two_trees();
    let (s, d) = (tmp.path().join("source"), tmp.path().join("destination"));
    flip_byte(&d.join("ks/t-1/nb-1-big-Data.db"), 0);
    let rule = ["--exclude-file", "glob:**-Data.db"];
    let (code, out, _) = twintree(&[&["diff", text(&s), text(&d)], &rule[..]].concat());
    assert_eq!(code, 0, "{out}");
    let manifest = tmp.path().join("m");
    twintree(&[&["manifest", text(&s), "-o", text(&manifest)], &rule[..]].concat());
    let (code, out, _) = twintree(&["diff", text(&manifest), text(&d)]);
    assert_eq!(code, 1);
    assert!(out.contains("the two sides leave out different files"), "{out}");
    let (code, _, err) = twintree(&[&["diff", text(&manifest), text(&manifest)], &rule[..]].concat());
    assert_eq!(code, 2, "rules that would be ignored: {err}");
}

#[test]
fn the_demo_finds_what_it_planted_and_cleans_up_after_itself() {
    let tmp = tempfile::tempdir().unwrap();
    let output = Command::cargo_bin("twintree").unwrap().arg("demo").env("TMPDIR", tmp.path()).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{out}");
    assert!(out.contains("Everything came out as planted"), "{out}");
    let read: Vec<Vec<&str>> =
        out.lines().filter(|line| line.contains("bytes read by the source")).map(|l| l.split(' ').collect()).collect();
    assert_eq!(read.len(), 2, "{out}");
    // The first copy has other files than its source; the mended one has the same.
    assert_ne!(read[0][0], read[0][6], "{out}");
    assert_eq!(read[1][0], read[1][6], "{out}");
    assert_eq!(fs::read_dir(tmp.path()).unwrap().count(), 0, "nothing is left behind");
}
