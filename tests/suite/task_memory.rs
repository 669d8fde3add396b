//! What is remembered of tasks is counted before it is read, and a list of them never stands in memory as one text.

use serde_json::{Value, json};
use twintree::work::{Holder, MemoryPermit};

use crate::support::greedy::{ELSEWHERE, ask, head};
use crate::support::services::{Pair, Setup, md5_request, storage_dirs};
use crate::support::trees::{copy_tree, plant};

async fn pair() -> (Pair, tempfile::TempDir) {
    let trees = tempfile::tempdir().unwrap();
    let (s, d) = (trees.path().join("source"), trees.path().join("destination"));
    plant(&s, 1, 2, 50);
    copy_tree(&s, &d);
    let (mut left, mut right) = (s.display().to_string(), d.display().to_string());
    let state = format!("twintree: {{memory_limit: 256MiB, state_dir: {:?}}}", trees.path().join("state"));
    (Pair::start(Setup { destination_extra: &state, ..storage_dirs(&mut left, &mut right) }).await, trees)
}

/// Takes all of the destination's budget but so many bytes.
fn leave(pair: &Pair, bytes: u64) -> MemoryPermit {
    let budget = pair.destination.app().memory();
    budget.take(Holder::Service, budget.limit() - budget.held() - bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_refused_before_a_record_is_read_that_does_not_fit() {
    let (pair, trees) = pair().await;
    let id = pair.verify(&md5_request()).await["id"].as_str().unwrap().to_owned();
    let path = format!("files-verification-tasks/{id}/report");
    let request = head("GET", &path, pair.destination_port, 0);
    // Whoever reads it finds that it is damaged.
    let record = trees.path().join(format!("state/tasks/{id}.task"));
    std::fs::File::options().write(true).open(record).unwrap().set_len(60 << 20).unwrap();
    let (_, answer) = ask(ELSEWHERE, pair.destination_port, &request, b"").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_tasks_takes_no_more_memory_than_a_piece_of_it() {
    const TASKS: usize = 30;
    let (pair, _trees) = pair().await;
    let mut request = md5_request();
    request["keyspaces"] = (0..6000).map(|name| json!(format!("k{name:05}"))).collect();
    let mut begun = Vec::new();
    for _ in 0..TASKS {
        begun.push(pair.begin(&request).await);
        pair.wait(&begun[begun.len() - 1]).await;
    }
    let list = "/files-verification-tasks?history=true";
    let ids = |listed: &Value| -> Vec<String> {
        listed.as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()).collect()
    };
    let _taken = leave(&pair, 2200 << 10);
    let (code, listed) = pair.get(list).await;
    assert_eq!(code, 200, "{listed}");
    assert!(listed.to_string().len() > 1200 << 10, "{}", listed.to_string().len());
    // Those that began within the same millisecond stand in no order.
    let (mut listed, mut begun) = (ids(&listed), begun);
    assert_eq!(listed.len(), TASKS);
    listed.sort();
    begun.sort();
    assert_eq!(listed, begun);
}
