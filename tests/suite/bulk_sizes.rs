//! `twintree bulk` at the sizes it is for, with figures. Not part of an ordinary run: with a release build,
//! `cargo test --release --test suite bulk_sizes -- --ignored --nocapture --test-threads 1`.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::support::process::twintree;

/// Runs a plan; the result, and the most memory that it took, in MB.
fn measured(home: &Path, arguments: &[&str]) -> (Value, f64) {
    let program = env!("CARGO_BIN_EXE_twintree");
    let script = "\"$0\" \"$@\" > result.json; code=$?; [ $code -le 1 ] || exit $code";
    let mut command = std::process::Command::new("/usr/bin/time");
    command.args(["-f", "%M", "-o", "peak", "sh", "-c", script, program, "bulk", "plan.yaml", "--json", "--quiet"]);
    let status = command.args(arguments).current_dir(home).status().unwrap();
    assert!(status.success(), "{status}");
    let result = serde_json::from_slice(&std::fs::read(home.join("result.json")).unwrap()).unwrap();
    let peak = std::fs::read_to_string(home.join("peak")).unwrap();
    (result, peak.lines().last().unwrap().trim().parse::<f64>().unwrap() / 1000.0)
}

fn figures(what: &str, result: &Value, peak: f64) {
    let ms = |key: &str| result[key].as_f64().unwrap();
    let (elapsed, worked) = (ms("elapsedMs"), ms("workedMs"));
    eprintln!("{what}: {}", result["outcomes"]);
    eprintln!("  {elapsed:.0} ms in all, {worked:.0} ms of them comparisons, {peak:.1} MB at most");
}

/// A tree of so many keyspaces with a table of three files each.
fn plant(home: &Path, keyspaces: usize) {
    for keyspace in 0..keyspaces {
        let table = home.join(format!("ks{keyspace:05}/t-0123456789abcdef0123456789abcdef"));
        std::fs::create_dir_all(&table).unwrap();
        for file in 0..3 {
            std::fs::write(table.join(format!("nb-{file}-big-Data.db")), format!("{keyspace} {file}")).unwrap();
        }
    }
}

fn manifest(home: &Path, tree: &str, file: &str) {
    let status = twintree().args(["manifest", "--quiet", tree, "-o", file]).current_dir(home).output().unwrap().status;
    assert!(status.success(), "{status}");
}

#[test]
#[ignore = "a hundred processes and minutes; see the head of the file"]
fn fifty_pairs_of_services_in_processes() {
    let report = tempfile::tempdir().unwrap();
    let directory = report.path().to_str().unwrap();
    let Some((took, result)) = crate::bulk_services::fleet_with_faults(50, &["--report", directory]) else { return };
    eprintln!("50 pairs of services, six at a time: {} in {:.1} s", result["outcomes"], took.as_secs_f64());
}

#[test]
#[ignore = "figures; see the head of the file"]
fn a_thousand_pairs_of_manifests() {
    for files in [30, 1000] {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        plant(&home.join("a"), files);
        manifest(home, "a", "a.manifest");
        std::fs::write(home.join("a/ks00007/t-0123456789abcdef0123456789abcdef/nb-1-big-Data.db"), "other").unwrap();
        manifest(home, "a", "b.manifest");
        let mut plan = String::from("parallel: 1\ncomparisons:\n");
        for pair in 0..1000 {
            let other = if pair % 100 == 7 { "b" } else { "a" };
            let _ = writeln!(plan, "  - {{name: pair{pair}, source: a.manifest, destination: {other}.manifest}}");
        }
        std::fs::write(home.join("plan.yaml"), plan).unwrap();
        for (how, arguments) in [("one at a time", &[][..]), ("two at a time", &["--parallel", "2"])] {
            let (result, peak) = measured(home, arguments);
            assert_eq!((&result["outcomes"]["equal"], &result["outcomes"]["different"]), (&990.into(), &10.into()));
            figures(&format!("1,000 pairs of manifests of {} files, {how}", 3 * files), &result, peak);
        }
        let (result, peak) = measured(home, &["--report", "out", "--metrics", "m.prom"]);
        figures("the same one at a time, with a page for each and metrics", &result, peak);
    }
}

#[test]
#[ignore = "figures; see the head of the file"]
fn ten_thousand_keyspaces_in_one_pair() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    plant(&home.join("a"), 10_000);
    crate::support::trees::copy_tree(&home.join("a"), &home.join("b"));
    let changed = home.join("b/ks00007/t-0123456789abcdef0123456789abcdef/nb-1-big-Data.db");
    crate::support::trees::flip_byte(&changed, 0);
    std::fs::write(home.join("plan.yaml"), "comparisons: [{name: pair, source: a, destination: b}]\n").unwrap();
    let (result, peak) = measured(home, &["--report", "out"]);
    let pair = &result["comparisons"][0];
    assert_eq!((&pair["outcome"], &pair["keyspaces"]["ks00007"]), (&"different".into(), &"different".into()));
    assert_eq!(pair["keyspaces"].as_object().unwrap().len(), 10_000);
    figures("10,000 keyspaces in one pair of directories", &result, peak);
    let state = std::fs::metadata(home.join("plan.yaml.state")).unwrap().len();
    let index = std::fs::metadata(home.join("out/index.html")).unwrap().len();
    eprintln!("  the state file has {state} bytes, the page with the matrix {index}");
}
