//! Directories that changed while a manifest was made, as the command line tells of them.

use std::path::Path;

use serde_json::{Value, json};
use twintree::manifest::write;

use crate::second_looks::{When, changed, file, tree};
use crate::support::process::twintree;

fn inspect(file: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = twintree().arg("inspect").args(arguments).arg(file).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// One with files, and one without any, of which no block stands in the manifest.
#[test]
fn inspect_names_each_directory_that_changed_and_ends_with_3() {
    let (tmp, home) = tree();
    std::fs::create_dir(home.join("empty")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(25));
    let path = tmp.path().join("manifest");
    let (still, _) = changed(&home, When::Read, || ());
    write(&still, &path).unwrap();
    let (code, out) = inspect(&path, &[]);
    assert!(code == Some(0) && !out.contains("changed-while-reading"), "{out}");

    let (moving, _) = changed(&home, When::Read, || {
        file(&home.join("a/new"), "new");
        file(&home.join("empty/new"), "new");
    });
    write(&moving, &path).unwrap();
    let (code, out) = inspect(&path, &[]);
    let detail = "entries came or went, or changed, while it was read";
    assert_eq!(code, Some(3), "{out}");
    for directory in ["a", "empty"] {
        let line = format!("data/0/{directory}: changed-while-reading ({detail})");
        assert!(out.contains(&line), "{line}: {out}");
    }
    let (code, out) = inspect(&path, &["--json"]);
    let found: Value = serde_json::from_str(&out).unwrap();
    let expected = |directory: &str| {
        let url = format!("/api/v1/live-migration/files/data/0/{directory}");
        json!({ "fileUrl": url, "pathHex": null, "reason": "changed-while-reading", "detail": detail })
    };
    assert_eq!((code, &found["unverified"]), (Some(3), &json!([expected("a"), expected("empty")])), "{found:#}");
    assert_eq!(found["contentHash"], Value::Null);
}
