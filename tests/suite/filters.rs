//! What of two trees is compared: without times, by globs, by a list of names. The result says each of them.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::program::{shell, text, twintree};
use crate::support::trees::{copy_tree, flip_byte, plant};

fn two_trees() -> tempfile::TempDir {
    let tmp = tempfile::tempdir().unwrap();
    plant(&tmp.path().join("source"), 3, 4, 1000);
    fs::write(tmp.path().join("source/data/ks/table-0000/x.tmp"), "x").unwrap();
    fs::create_dir_all(tmp.path().join("source/data/ks/table-0001/snapshots/s")).unwrap();
    fs::write(tmp.path().join("source/data/ks/table-0001/snapshots/s/y.db"), "y").unwrap();
    copy_tree(&tmp.path().join("source"), &tmp.path().join("destination"));
    tmp
}

/// Directories and manifests in all four pairs must agree; gives the exit code and what they agree about.
fn diff(tmp: &Path, args: &[&str]) -> (i32, Value) {
    let mut results = Vec::new();
    let (s, d) = (tmp.join("source"), tmp.join("destination"));
    let (sm, dm) = (tmp.join("s.manifest"), tmp.join("d.manifest"));
    for (tree, file) in [(&s, &sm), (&d, &dm)] {
        twintree(&["manifest", text(tree), "-o", text(file)]);
    }
    for (left, right) in [(&s, &d), (&sm, &d), (&s, &dm), (&sm, &dm)] {
        let (code, out, err) = twintree(&[&["diff", "--json", text(left), text(right)], args].concat());
        let mut result: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{args:?}: {out}{err}"));
        let sides = ["source", "startedAt", "endedAt", "timings", "read", "bytesHashed", "sourceBytesHashed"];
        sides.iter().for_each(|key| drop(result.as_object_mut().unwrap().remove(*key)));
        for key in ["filesTotal", "bytesTotal", "sourceFilesTotal", "sourceBytesTotal"] {
            result.as_object_mut().unwrap().remove(key);
        }
        // A manifest knows digests of files that nobody had to read.
        for difference in result["differences"].as_array_mut().unwrap() {
            for side in ["source", "destination"] {
                difference[side].as_object_mut().map(|evidence| evidence.remove("digests"));
            }
        }
        results.push((code, result));
    }
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{args:?}: {results:#?}");
    results.pop().unwrap()
}

fn age(path: &Path) {
    File::options().write(true).open(path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000)).unwrap();
}

#[test]
fn a_copy_without_times_is_equal_in_content() {
    let tmp = two_trees();
    let file = tmp.path().join("destination/data/ks/table-0002/nb-1-big-Data.db");
    age(&file);
    let (code, result) = diff(tmp.path(), &[]);
    assert_eq!((code, &result["differences"][0]["kind"]), (1, &json!("modification-time")));
    let (code, result) = diff(tmp.path(), &["--ignore-times"]);
    assert_eq!((code, &result["filesMatched"], &result["metadataMatched"]), (0, &json!(14), &json!(21)), "{result:#}");
    assert_eq!(result["headline"], "equal; modification times not compared; 14 files proven, 21 entries in all");
    assert_eq!(result["scope"]["notCompared"], json!(["modification-times"]));
    // Other bytes are found all the same, with the times of both sides.
    flip_byte(&file, 5);
    let (code, result) = diff(tmp.path(), &["--ignore-times"]);
    let difference = &result["differences"][0];
    assert_eq!((code, &difference["kind"], &result["filesMatched"]), (1, &json!("content"), &json!(13)));
    assert_eq!(difference["destination"]["lastModifiedTime"], 1_000_000_000);
    assert_ne!(difference["source"]["lastModifiedTime"], 1_000_000_000);
    File::options().append(true).open(&file).unwrap().set_len(5).unwrap();
    assert_eq!(diff(tmp.path(), &["--ignore-times"]).1["differences"][0]["kind"], "size");
}

#[test]
fn globs_say_what_is_compared() {
    let tmp = two_trees();
    let destination = tmp.path().join("destination/data/ks");
    fs::remove_file(destination.join("table-0000/x.tmp")).unwrap();
    fs::write(destination.join("table-0001/snapshots/s/y.db"), "longer").unwrap();
    for (args, code, files) in [
        (&[][..], 1, 0),
        (&["--exclude", "*.tmp"], 1, 0),
        (&["--exclude", "*.tmp", "--exclude", "snapshots/"], 0, 12),
        (&["--include", "*-Data.db"], 0, 12),
        (&["--include", "/data/ks/table-0002/"], 0, 4),
        (&["--include", "*.db", "--exclude", "/data/*/*/snapshots"], 0, 12),
        (&["--include", "*.db", "--exclude", "/ks/*/snapshots"], 1, 0),
        (&["--include", "*.{db,tmp}", "--exclude", "snapshots"], 1, 0),
        (&["--include", "nothing"], 3, 0),
    ] {
        let (got, result) = diff(tmp.path(), args);
        assert_eq!((got, &result["filesMatched"]), (code, &json!(files)), "{args:?}: {result:#}");
        let texts: Vec<String> = args.chunks(2).map(|pair| pair.join(" ")).collect();
        match texts.as_slice() {
            [] => assert_eq!(result["scope"].get("filters"), None),
            texts => assert_eq!(result["scope"]["filters"], json!(texts)),
        }
    }
    let (_, out, _) = shell(tmp.path(), "$T diff source destination --include '*-Data.db'");
    assert!(out.starts_with("COMPLETED: equal; only by --include *-Data.db; 12 files proven, "), "{out}");
    for glob in ["[", "!x", "/"] {
        let (code, out, err) = shell(tmp.path(), &format!("$T diff source destination --exclude '{glob}'"));
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains(&format!("a glob: \"{glob}\"")), "{err}");
    }
}

/// What is not compared is not read.
#[test]
fn what_a_filter_leaves_out_is_not_read() {
    let tmp = two_trees();
    let (code, result) = {
        let (s, d) = (tmp.path().join("source"), tmp.path().join("destination"));
        let (code, out, _) = twintree(&["diff", "--json", text(&s), text(&d), "--include", "/data/ks/table-0002/"]);
        (code, serde_json::from_str::<Value>(&out).unwrap())
    };
    assert_eq!(code, 0);
    assert_eq!(result["bytesHashed"], 4000, "{result:#}");
    assert_eq!(result["read"]["destination"]["files"], 4);
}

#[test]
fn a_list_of_names_says_what_is_compared() {
    let tmp = two_trees();
    flip_byte(&tmp.path().join("destination/data/ks/table-0001/nb-2-big-Data.db"), 9);
    let list = tmp.path().join("list");
    let names = |text: &str, null: bool| {
        fs::write(&list, text).unwrap();
        let args = ["--files-from", list.to_str().unwrap(), "-0"];
        diff(tmp.path(), if null { &args } else { &args[..2] })
    };
    let (code, result) = names("data/ks/table-0002/nb-1-big-Data.db\n./data/ks/table-0000\n", false);
    assert_eq!((code, &result["filesMatched"]), (0, &json!(6)), "{result:#}");
    let filter = format!("--files-from {} (2 names)", text(&list));
    assert_eq!(result["scope"]["filters"], json!([filter]));
    let (code, result) = names("data/ks/table-0001\0", true);
    assert_eq!((code, &result["digestMismatches"], &result["filesMatched"]), (1, &json!(1), &json!(4)));
    let (code, result) = names("data/ks/table-0002\nno/such\nnor/this\n", false);
    assert_eq!((code, &result["state"]), (3, &json!("FAILED")), "not all that was asked for was checked");
    let headline = result["headline"].as_str().unwrap();
    assert!(headline.starts_with("2 of 3 names stand on neither side; only by --files-from"), "{headline}");
    let (code, result) = names("data/ks/table-0002\r\ndata/ks/table-0000", false);
    assert_eq!(code, 3, "of Windows, and the last line has no end: {result:#}");
    let (code, result) = names("data/ks/table-0001\nno/such\n", false);
    assert_eq!(code, 1, "{result:#}");
    // A link that leads nowhere may have been the directory that holds what is wanted.
    std::os::unix::fs::symlink("nowhere", tmp.path().join("source/gone")).unwrap();
    std::os::unix::fs::symlink("nowhere", tmp.path().join("destination/gone")).unwrap();
    let (code, result) = names("data/ks/table-0002\ngone/x\n", false);
    assert_eq!((code, &result["digestVerificationFailures"]), (3, &json!(1)), "{result:#}");
    assert_eq!(diff(tmp.path(), &["--include", "table-0002/"]).0, 3);
    assert_eq!(diff(tmp.path(), &["--include", "table-0002/", "--exclude", "gone"]).0, 0);
    for side in ["source", "destination"] {
        fs::remove_file(tmp.path().join(side).join("gone")).unwrap();
    }
    let (_, result) = names("data/ks/table-0002\nno/such\nnor/this\n", false);
    assert!(result["notes"].to_string().contains("names that stand on neither side: no/such and 1 more"), "{result:#}");
    let (code, _) = names("", false);
    assert_eq!(code, 3, "nothing is compared");
    let (code, out, _) = shell(tmp.path(), "printf data/ks/table-0002 | $T diff source destination --files-from -");
    assert_eq!(code, 0, "{out}");
    for (line, what) in [
        ("printf ../x | $T diff source destination --files-from -", "--files-from standard input: \"../x\""),
        ("$T diff source - --files-from - < /dev/null", "only one of the two sides and --files-from can be -"),
        ("$T diff source destination --files-from nowhere", "--files-from nowhere: No such file"),
    ] {
        let (code, _, err) = shell(tmp.path(), line);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(what), "{err}");
    }
}
