//! Tasks that are restricted to some keyspaces or tables: nothing else is listed, read or reported, whichever protocol.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::oracle::Oracle;
use crate::support::outside_oracle;
use crate::support::services::{Pair, Setup, storage_dirs};
use crate::support::stock_source::{StockSource, Unreliable};
use crate::support::trees::copy_tree;

const ID: &str = "0123456789abcdef0123456789abcdef";

/// Three keyspaces with two tables each, a stray file in each place, and a commit log.
fn write(storage: &Path) {
    for keyspace in ["ks1", "ks2", "ks10"] {
        for table in ["a", "ab"] {
            let directory = storage.join(format!("data/{keyspace}/{table}-{ID}"));
            std::fs::create_dir_all(directory.join("backups")).unwrap();
            std::fs::write(directory.join("nb-1-big-Data.db"), format!("{keyspace} {table}")).unwrap();
            std::fs::write(directory.join("backups/old.db"), "old").unwrap();
        }
        std::fs::write(storage.join(format!("data/{keyspace}/stray")), "stray").unwrap();
    }
    std::fs::write(storage.join("data/stray"), "stray").unwrap();
    std::fs::create_dir_all(storage.join("commitlog")).unwrap();
    std::fs::write(storage.join("commitlog/c.log"), "log").unwrap();
}

/// What is left of a tree where only these are selected, written as the oracle has no such option.
fn reduce(storage: &Path, keep: &[&str]) {
    let _ = std::fs::remove_dir_all(storage.join("commitlog"));
    let _ = std::fs::remove_file(storage.join("data/stray"));
    for keyspace in std::fs::read_dir(storage.join("data")).unwrap().map(Result::unwrap) {
        let name = keyspace.file_name().into_string().unwrap();
        if keep.contains(&name.as_str()) {
            continue;
        }
        let tables: Vec<&str> = keep.iter().filter_map(|kept| kept.strip_prefix(&format!("{name}."))).collect();
        if tables.is_empty() {
            std::fs::remove_dir_all(keyspace.path()).unwrap();
            continue;
        }
        for entry in std::fs::read_dir(keyspace.path()).unwrap().map(Result::unwrap) {
            let table = entry.file_name().into_string().unwrap();
            if !tables.iter().any(|kept| table == format!("{kept}-{ID}")) {
                let _ = std::fs::remove_file(entry.path());
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

async fn verify(source: &Path, destination: &Path, stock: bool, request: &Value) -> Value {
    let roots = [("data/0", "data"), ("commitlog/0", "commitlog")];
    let roots: BTreeMap<_, _> = roots.map(|(id, name)| (id.to_owned(), source.join(name))).into_iter().collect();
    let stock_source = StockSource::start(roots, Unreliable::default(), 1).await;
    let (mut s, mut d) = (source.display().to_string(), destination.display().to_string());
    let source_port = stock.then_some(stock_source.port);
    let live_migration = "dirs_to_exclude: []";
    let pair = Pair::start(Setup { source_port, live_migration, ..storage_dirs(&mut s, &mut d) }).await;
    pair.verify(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_selected_is_compared_by_both_protocols() {
    let oracle = outside_oracle();
    for keep in [&["ks1"][..], &["ks1.a", "ks10"], &["ks2.ab", "ks2.a"]] {
        for (number, fault) in ["", "ks1/a", "ks1/ab", "ks2/stray", "ks10/ab"].into_iter().enumerate() {
            let trees = tempfile::tempdir().unwrap();
            let (s, d) = (trees.path().join("s"), trees.path().join("d"));
            write(&s);
            copy_tree(&s, &d);
            // A difference outside of every selection, and one that may be inside.
            std::fs::write(d.join("data/stray"), "other").unwrap();
            std::fs::write(d.join("commitlog/more.log"), "more").unwrap();
            match fault.split_once('/') {
                Some((keyspace, "stray")) => {
                    std::fs::write(d.join(format!("data/{keyspace}/stray")), "other!").unwrap()
                }
                Some((keyspace, table)) => {
                    let directory = d.join(format!("data/{keyspace}/{table}-{ID}"));
                    std::fs::remove_file(directory.join("backups/old.db")).unwrap();
                }
                None => {}
            }
            let keep_going = number % 2 == 0;
            let request =
                json!({ "maxConcurrency": 4, "digestAlgorithm": "MD5", "keyspaces": keep, "keepGoing": keep_going });
            let reports = [verify(&s, &d, false, &request).await, verify(&s, &d, true, &request).await];
            let protocols: Vec<&str> = reports.iter().map(|report| report["protocol"].as_str().unwrap()).collect();
            assert_eq!(protocols, ["manifest", "per-file"]);
            for report in &reports {
                let names: Vec<&str> = report["scope"]["selection"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|name| name.as_str().unwrap())
                    .collect();
                let headline = report["headline"].as_str().unwrap();
                assert!(!names.is_empty() && headline.contains(&format!(" within {}", names.join(", "))), "{headline}");
            }
            [&s, &d].into_iter().for_each(|storage| reduce(storage, keep));
            let Some(oracle) = &oracle else { continue };
            let mut arguments = vec!["--root".to_owned(), "data/0".to_owned()];
            arguments.extend([&s, &d].map(|storage| storage.join("data").display().to_string()));
            arguments.extend(keep_going.then(|| "--keep-going".to_owned()));
            let expected = Oracle::start(oracle).ask(&arguments);
            for report in reports {
                let found = serde_json::from_value(report.clone()).unwrap();
                assert_eq!(
                    (expected.counters, expected.state.as_str()),
                    (found, report["state"].as_str().unwrap()),
                    "{keep:?} {fault}: {report:#}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_nobody_has_is_said_and_nothing_is_no_proof() {
    let trees = tempfile::tempdir().unwrap();
    write(trees.path());
    for stock in [false, true] {
        let ask = |keyspaces: Value| json!({ "maxConcurrency": 4, "digestAlgorithm": "MD5", "keyspaces": keyspaces });
        let report = verify(trees.path(), trees.path(), stock, &ask(json!(["ks1.a", "ks1.b", "kz"]))).await;
        assert_eq!((&report["state"], &report["filesMatched"]), (&json!("COMPLETED"), &json!(2)), "{report:#}");
        let notes = report["notes"].to_string();
        assert!(notes.contains("stand on neither side: ks1.b, kz"), "{notes}");
        let report = verify(trees.path(), trees.path(), stock, &ask(json!(["kz"]))).await;
        assert_eq!(report["filesMatched"], 0);
        assert!(report["notes"].to_string().contains("there was not a single file to compare"), "{report:#}");
        // Only the root and what is selected was found, so nothing else was even listed.
        assert_eq!(report["filesTotal"], 0);
    }
}

/// The program's own option, offline: two trees that differ in one keyspace only, and manifests that say what they hold.
#[test]
fn the_command_line_restricts_diff_and_manifest() {
    let trees = tempfile::tempdir().unwrap();
    let (s, d) = (trees.path().join("s"), trees.path().join("d"));
    write(&s);
    copy_tree(&s, &d);
    std::fs::write(d.join(format!("data/ks2/a-{ID}/more.db")), "more").unwrap();
    let run = |arguments: &[&str]| {
        let output = crate::support::process::twintree().args(arguments).current_dir(trees.path()).output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (output.status.code().unwrap(), said)
    };
    for (keyspaces, code) in [
        (&["--keyspace=ks1"][..], 0),
        (&["--keyspace=ks1.a", "--keyspace=ks2.ab"], 0),
        (&["--keyspace=ks2"], 1),
        (&["--keyspace=ks2.a"], 1),
        (&["--keyspace=none"], 3),
        (&["--keyspace=a/b"], 2),
        (&[], 1),
    ] {
        let (found, said) = run(&[&["diff", "s/data", "d/data"], keyspaces].concat());
        assert_eq!(found, code, "{keyspaces:?}: {said}");
    }
    assert_eq!(run(&["manifest", "s/data", "-o", "all.manifest"]).0, 0);
    assert_eq!(run(&["manifest", "s/data", "-o", "ks1.manifest", "--keyspace", "ks1"]).0, 0);
    assert!(run(&["inspect", "ks1.manifest"]).1.contains("holds only   ks1"));
    let (code, said) = run(&["diff", "all.manifest", "ks1.manifest"]);
    assert_eq!(code, 1, "{said}");
    let note = "source excludes nothing, destination excludes nothing and is restricted to ks1";
    assert!(said.contains(note), "{said}");
}
