//! Exclusion patterns mean what Java's own `PathMatcher` makes of them.

#[path = "suite/support/material.rs"]
mod material;

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use twintree::exclude::Rules;
use twintree::model::{RelPath, RootId};

/// What a row of the table says, and what the rules say, in the table's words.
fn compare(row: &str) -> (String, String) {
    let fields: Vec<String> = row.split('\t').map(unescape).collect();
    let [pattern, path, expected] = <[String; 3]>::try_from(fields).expect("a row has three fields");
    (expected, answer(&pattern, &path))
}

/// The first name of the path serves as the root.
fn answer(pattern: &str, path: &str) -> String {
    let pattern = [pattern.to_owned()];
    let Ok(rules) = Rules::compile(&pattern, &pattern) else { return "error".to_owned() };
    let home = path[1..].find('/').map_or(path.len(), |end| end + 1);
    let rest = RelPath::new(path[home..].trim_start_matches('/').as_bytes()).expect("a path of the table is sound");
    let rules = rules.for_root(RootId::DATA_0, Path::new(&path[..home])).expect("the rules have compiled before");
    if rest.is_root() { rules.excludes_directory(&rest) } else { rules.excludes_file(&rest) }.to_string()
}

fn unescape(field: &str) -> String {
    let mut parts = field.split("\\u");
    let mut units: Vec<u16> = parts.next().unwrap_or_default().encode_utf16().collect();
    for part in parts {
        let (digits, rest) = part.split_at(4);
        units.push(u16::from_str_radix(digits, 16).expect("four hexadecimal digits"));
        units.extend(rest.encode_utf16());
    }
    String::from_utf16(&units).expect("the table holds whole characters")
}

fn differing(table: &str) -> Vec<String> {
    table
        .lines()
        .filter_map(|row| {
            let (java, ours) = compare(row);
            (java != ours).then(|| format!("{row}\t(here: {ours})"))
        })
        .collect()
}

#[test]
fn every_recorded_answer_is_given() {
    let table = include_str!("data/java_path_matcher.tsv");
    assert!(table.lines().count() > 300);
    assert_eq!(differing(table), Vec::<String>::new());
}

/// Needs a Java development kit. `PATH_MATCHER_SEED` repeats a run, and
/// `PATH_MATCHER_ROWS` makes it longer or shorter.
#[test]
fn fresh_answers_of_java_are_given() {
    if !cfg!(target_os = "linux") {
        material::missing("jvm", "on other systems than Linux, Java compares names in a normal form of Unicode");
        return;
    }
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/PathMatcherTable.java");
    let classes = tempfile::tempdir().unwrap();
    let compiled = Command::new("javac").args(["-encoding", "UTF-8", "-d"]).arg(classes.path()).arg(source).output();
    match compiled {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            material::missing("jvm", &format!("no javac ({error}), so only the recorded answers are compared"));
            return;
        }
    }
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().to_string();
    let seed = std::env::var("PATH_MATCHER_SEED").unwrap_or_else(|_| now());
    let rows = std::env::var("PATH_MATCHER_ROWS").unwrap_or_else(|_| "2000".to_owned());
    eprintln!("PATH_MATCHER_SEED={seed}");
    let output = Command::new("java")
        .env("LC_ALL", "C.UTF-8")
        .arg("-cp")
        .arg(classes.path())
        .args(["PathMatcherTable", &seed, &rows])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(table.lines().count().to_string(), rows);
    assert_eq!(differing(&table), Vec::<String>::new(), "with PATH_MATCHER_SEED={seed}");
}
