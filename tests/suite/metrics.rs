//! `/metrics`: every line is of the format, counters move by what happened, and no client can make up a label.

use std::collections::BTreeMap;

use crate::support::raw_http::exchange;
use crate::support::services::{Pair, md5_request, storage_dirs};
use crate::support::trees::{copy_tree, flip_byte, plant, planted};

/// The samples by name and labels. Every line must be a comment of the format or a sample.
async fn scrape(port: u16) -> BTreeMap<String, f64> {
    let address = format!("127.0.0.1:{port}");
    let answer = tokio::task::spawn_blocking(move || exchange(&address, "anybody", "GET", "/metrics", None));
    let answer = answer.await.unwrap();
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let (text, end) = answer.body.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(end, "# EOF");
    let mut samples = BTreeMap::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            assert!(["HELP ", "TYPE ", "UNIT "].iter().any(|kind| comment.starts_with(kind)), "{line}");
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("twintree_"), "{line}");
        assert!(samples.insert(name.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
    }
    samples
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_moves_the_counters_by_what_it_did() {
    let trees = tempfile::tempdir().unwrap();
    let (s, d) = (trees.path().join("source"), trees.path().join("destination"));
    plant(&s, 3, 4, 100);
    copy_tree(&s, &d);
    flip_byte(&planted(&d)[2], 7);
    let (mut left, mut right) = (s.display().to_string(), d.display().to_string());
    let pair = Pair::start(storage_dirs(&mut left, &mut right)).await;
    let report = pair.verify(&md5_request()).await;
    let (source, mut destination) = (scrape(pair.source_port).await, scrape(pair.destination_port).await);
    // The task is counted a moment after it has ended.
    for _ in 0..1000 {
        if destination["twintree_tasks_under_way"] == 0.0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        destination = scrape(pair.destination_port).await;
    }
    assert_eq!(destination["twintree_tasks_started_total"], 1.0);
    assert_eq!(destination["twintree_tasks_ended_total{state=\"FAILED\"}"], 1.0);
    assert_eq!(destination["twintree_differences_total{kind=\"content\"}"], 1.0);
    assert_eq!(destination["twintree_source_requests_total"], report["sourceRequests"].as_f64().unwrap());
    // Everything once, and on both sides the file that differs a second time.
    let bytes = report["bytesHashed"].as_f64().unwrap() + 100.0;
    for side in [&source, &destination] {
        assert_eq!(side["twintree_hashed_bytes_total"], bytes, "{side:#?}");
        assert!(side.contains_key("twintree_hashing_bytes_per_second"));
    }
    let manifests = "twintree_requests_total{method=\"POST\",route=\"/api/v1/live-migration/manifests\",code=\"200\"}";
    assert_eq!(source[manifests], 1.0, "{source:#?}");
    assert_eq!(source["twintree_manifests"], 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_makes_up_a_label() {
    let trees = tempfile::tempdir().unwrap();
    let (mut left, mut right) = (trees.path().display().to_string(), trees.path().join("d").display().to_string());
    let pair = Pair::start(storage_dirs(&mut left, &mut right)).await;
    let port = pair.source_port;
    let ask = move || {
        for number in 0..50 {
            let (address, path) = (format!("127.0.0.1:{port}"), format!("/{number}/\"}}%0A"));
            exchange(&address, &address, &format!("METHOD{number}"), &path, None);
            let file = format!("/api/v1/live-migration/files/data/0/{number}");
            exchange(&address, &address, "GET", &file, None);
        }
    };
    tokio::task::spawn_blocking(ask).await.unwrap();
    let samples = scrape(port).await;
    let requests: Vec<_> = samples.iter().filter(|(name, _)| name.starts_with("twintree_requests_total")).collect();
    assert_eq!(requests.len(), 2, "{requests:#?}");
    let file = "twintree_requests_total{method=\"GET\",route=\"/api/v1/live-migration/files/{*path}\",code=\"404\"}";
    assert_eq!(samples[file], 50.0);
    assert_eq!(samples["twintree_requests_total{method=\"other\",route=\"none\",code=\"404\"}"], 50.0);
}
