//! Tasks with more differences than one page, or memory, should hold.

use std::fs::{self, File};
use std::path::Path;

use serde_json::{Value, json};

use crate::support::services::{Pair, Setup, md5_request, storage_dirs};

/// Files that only the source has: in tables whose names and files sort otherwise by bytes than by name.
fn plant(source: &Path, destination: &Path, directories: usize, files: usize) {
    fs::create_dir_all(destination.join("data")).unwrap();
    for directory in 0..directories {
        let table = source.join(format!("data/ks/t{}{directory:04}", if directory % 2 == 0 { "" } else { ".x" }));
        fs::create_dir_all(table.join("deeper")).unwrap();
        (0..files).for_each(|file| drop(File::create(table.join(format!("nb-{file:05}"))).unwrap()));
        File::create(table.join("deeper/file")).unwrap();
    }
}

async fn pages(pair: &Pair, id: &str, size: u64) -> (u64, Vec<Value>) {
    let (mut all, mut total) = (Vec::new(), 1);
    while (all.len() as u64) < total {
        let path = format!("/files-verification-tasks/{id}/report?offset={}&limit={size}", all.len());
        let (code, report) = pair.get(&path).await;
        assert_eq!((code, &report["offset"]), (200, &json!(all.len())));
        let page = report["differences"].as_array().unwrap();
        total = report["differencesTotal"].as_u64().unwrap();
        assert_eq!(page.len() as u64, size.min(total - all.len() as u64), "every page but the last is full");
        all.extend(page.iter().cloned());
    }
    (total, all)
}

/// Where a difference stands in a report: a directory right before everything below it.
fn place(difference: &Value) -> Vec<&str> {
    difference["fileUrl"].as_str().unwrap().split('/').collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_whole_and_in_order_with_and_without_a_history_and_after_a_restart() {
    for with_history in [true, false] {
        let trees = tempfile::tempdir().unwrap();
        let (source, destination) = (trees.path().join("source"), trees.path().join("destination"));
        plant(&source, &destination, 4, 400);
        // The keyspace, and in each table: itself, its files, a directory, a file in that.
        let expected = 1 + 4 * (1 + 400 + 2);
        let (mut s, mut d) = (source.display().to_string(), destination.display().to_string());
        let state = format!("twintree: {{state_dir: {:?}}}", trees.path().join("state"));
        let extra = if with_history { state.as_str() } else { "" };
        let mut pair = Pair::start(Setup { destination_extra: extra, ..storage_dirs(&mut s, &mut d) }).await;
        let status = pair.verify(&md5_request()).await;
        let id = status["id"].as_str().unwrap().to_owned();
        assert_eq!(status["filesNotFoundAtDestination"], expected);
        let (total, all) = pages(&pair, &id, 300).await;
        assert_eq!((total, all.len()), (expected, expected as usize));
        assert!(all.is_sorted_by(|a, b| place(a) < place(b)), "in order, and none twice");
        let (_, rollups) = pair.get(&format!("/files-verification-tasks/{id}/report?limit=0")).await;
        let counted =
            rollups["rollups"].as_array().unwrap().iter().flat_map(|rollup| rollup["differences"].as_object());
        let counted: u64 = counted.flat_map(|kinds| kinds.values()).filter_map(Value::as_u64).sum();
        assert_eq!(counted, expected);
        if with_history {
            pair = pair.restart_destination().await;
            assert_eq!(pages(&pair, &id, 777).await, (total, all));
        }
        pair.stop().await;
    }
}

/// By hand: `TWINTREE_TASKS=40 cargo test --release --test suite differences_cost_no_memory -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes 200,000 files and compares them again and again"]
async fn differences_cost_no_memory_once_a_task_has_ended() {
    let tasks: usize = std::env::var("TWINTREE_TASKS").ok().and_then(|tasks| tasks.parse().ok()).unwrap_or(5);
    let trees = tempfile::tempdir().unwrap();
    let (source, destination) = (trees.path().join("source"), trees.path().join("destination"));
    plant(&source, &destination, 100, 2000);
    let (mut s, mut d) = (source.display().to_string(), destination.display().to_string());
    let extra = format!("twintree: {{state_dir: {:?}}}", trees.path().join("state"));
    let pair = Pair::start(Setup { destination_extra: &extra, ..storage_dirs(&mut s, &mut d) }).await;
    for number in 1..=tasks {
        let report = pair.verify(&md5_request()).await;
        assert_eq!(report["differencesTotal"], 1 + 100 * 2003);
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned();
        let state: u64 =
            fs::read_dir(trees.path().join("state/tasks")).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
        eprintln!("{number} tasks of 200,301 differences: {resident} (both services), {state} bytes on disk");
    }
}
