//! The program itself: what it prints where, and how it exits.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

use crate::support::trees::{copy_tree, flip_byte};

fn twintree(args: &[&str]) -> (i32, String, String) {
    let output = Command::cargo_bin("twintree").unwrap().args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

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
            serde_json::from_str(&out).unwrap()
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
}

#[test]
fn a_file_that_is_no_manifest_is_refused_by_name() {
    let tmp = two_trees();
    let path = tmp.path().join("source/ks/t-1/nb-1-big-Data.db");
    let (code, _, err) = twintree(&["inspect", text(&path)]);
    assert_eq!(code, 3);
    assert!(err.contains("nb-1-big-Data.db: not a manifest"), "{err}");
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
    assert_eq!(fs::read_dir(tmp.path()).unwrap().count(), 0, "nothing is left behind");
}
