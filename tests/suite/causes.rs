//! Causes that are plain stand first among the notes: exchanged data directories, roots that are not there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::program::{text, twintree};
use crate::support::services::{Pair, Setup, md5_request, storage_dirs};
use crate::support::stock_source::{StockSource, Unreliable};
use crate::support::trees::copy_tree;

/// Two data directories, both with a directory for each table, and their copy.
fn trees() -> tempfile::TempDir {
    let tmp = tempfile::tempdir().unwrap();
    let source = tmp.path().join("s");
    for (root, bytes) in [("a", 10), ("b", 20)] {
        for table in ["t1", "t2"] {
            let directory = source.join(root).join("ks").join(table);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("nb-1-big-Data.db"), vec![7; bytes]).unwrap();
        }
    }
    copy_tree(&source, &tmp.path().join("d"));
    tmp
}

async fn verify(source: (&Path, [&str; 2]), destination: (&Path, [&str; 2]), source_port: Option<u16>) -> Value {
    let roots = |(home, [a, b]): (&Path, [&str; 2])| format!("data_dirs: [{:?}, {:?}]", home.join(a), home.join(b));
    let (s, d) = (roots(source), roots(destination));
    let (mut unused, mut also_unused) = (String::new(), String::new());
    let setup = storage_dirs(&mut unused, &mut also_unused);
    let pair = Pair::start(Setup { source_roots: &s, destination_roots: &d, source_port, ..setup }).await;
    pair.verify(&md5_request()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanged_data_directories_are_named_first() {
    let tmp = trees();
    let (s, d) = (tmp.path().join("s"), tmp.path().join("d"));
    let roots = [("data/0", "a"), ("data/1", "b")].map(|(id, name)| (id.to_owned(), s.join(name)));
    let stock = StockSource::start(BTreeMap::from(roots), Unreliable::default(), 1).await;
    for port in [None, Some(stock.port)] {
        let report = verify((&s, ["a", "b"]), (&d, ["b", "a"]), port).await;
        let first = report["notes"][0].as_str().unwrap();
        assert!(first.starts_with("data/0 and data/1 seem to be exchanged: "), "{report:#}");
        let right = verify((&s, ["a", "b"]), (&d, ["a", "b"]), port).await;
        assert!(!right["notes"].to_string().contains("exchanged"), "{right:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_whose_directory_is_not_there_is_named_first() {
    let tmp = trees();
    let (s, d) = (tmp.path().join("s"), tmp.path().join("d"));
    let at_destination = verify((&s, ["a", "b"]), (&d, ["a", "nowhere"]), None).await;
    assert_eq!(
        at_destination["notes"][0],
        "data/1 is not there at the destination (the source has 2 files in it): is its disk mounted?"
    );
    let roots = BTreeMap::from([("data/0".to_owned(), s.join("a"))]);
    let stock = StockSource::start(roots, Unreliable::default(), 1).await;
    let listed = verify((&s, ["a", "b"]), (&d, ["a", "b"]), Some(stock.port)).await;
    assert_eq!(
        listed["notes"][0],
        "the source lists nothing of data/1 (the destination has 2 files in it): is its disk mounted?"
    );
}

#[test]
fn diff_names_an_empty_side_before_the_differences() {
    let tmp = trees();
    let empty = tmp.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let (code, out, _) = twintree(&["diff", text(&tmp.path().join("s/a")), text(&empty)]);
    assert_eq!(code, 1);
    let cause = out.find("data/0 is empty at the destination (the source has 2 files in it)").expect(&out);
    assert!(cause < out.find("differences:").expect(&out), "{out}");
}
