//! A client that takes every slot and reads nothing does not keep another one from its share; alone it may have all of them.

use serde_json::Value;
use std::net::Ipv4Addr;
use tokio::net::TcpStream;

use crate::support::greedy::{ELSEWHERE, ask, head};
use crate::support::services::{Pair, md5_request, storage_dirs};
use crate::support::trees::{copy_tree, endless_file, plant};

/// A pair with few slots for file requests, whose source serves no manifests or does, and has a file that takes hours.
async fn pair(settings: &str) -> (Pair, tempfile::TempDir) {
    let trees = tempfile::tempdir().unwrap();
    let (s, d) = (trees.path().join("source"), trees.path().join("destination"));
    plant(&s, 2, 3, 50);
    copy_tree(&s, &d);
    endless_file(&s.join("hints/endless"));
    let (mut left, mut right) = (s.display().to_string(), d.display().to_string());
    let mut setup = storage_dirs(&mut left, &mut right);
    setup.source_extra = settings;
    setup.live_migration = "max_concurrent_file_requests: 4\nfiles_to_exclude: ['glob:${HINTS_DIR}/none']";
    setup.max_retries = 9;
    (Pair::start(setup).await, trees)
}

async fn slow_file(from: Ipv4Addr, pair: &Pair, query: &str) -> (TcpStream, String) {
    let path = format!("files/hints/0/endless{query}");
    ask(from, pair.source_port, &head("GET", &path, pair.source_port, 0), b"").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_holds_every_file_slot_gives_up_what_is_above_its_share() {
    let (pair, _trees) = pair("").await;
    let mut unread = Vec::new();
    for _ in 0..4 {
        let (stream, answer) = slow_file(ELSEWHERE, &pair, "").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "alone it gets all: {answer}");
        unread.push(stream);
    }
    let (_, answer) = slow_file(ELSEWHERE, &pair, "").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Retry-After: 5"), "{answer}");
    let mut held = Vec::new();
    let mut refusals = 0;
    while held.len() < 2 {
        let (stream, answer) = slow_file(Ipv4Addr::LOCALHOST, &pair, "").await;
        match answer.starts_with("HTTP/1.1 200 ") {
            true => held.push(stream),
            false => {
                assert!(answer.contains("Retry-After: 1\r\n"), "it is owed one: {answer}");
                refusals += 1;
            }
        }
        assert!(refusals < 1000, "{} slots of two", held.len());
        // The greedy one does not get back what was taken from it.
        assert!(slow_file(ELSEWHERE, &pair, "").await.1.starts_with("HTTP/1.1 503 "));
    }
    for _ in 0..20 {
        let (_, answer) = slow_file(Ipv4Addr::LOCALHOST, &pair, "").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "both have their share: {answer}");
    }
}

/// The task asks file by file; the other client's digests would take hours.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_gets_done_while_another_client_has_every_slot_and_reads_nothing() {
    let (pair, trees) = pair("twintree: {serve_manifests: false}").await;
    let mut unread = Vec::new();
    for _ in 0..4 {
        // Its digest is not there for hours, so neither is the head of the answer.
        let mut stream = crate::support::greedy::connect(ELSEWHERE, pair.source_port).await.unwrap();
        let request = head("GET", "files/hints/0/endless?digestAlgorithm=MD5", pair.source_port, 0);
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
        unread.push(stream);
    }
    std::fs::create_dir_all(trees.path().join("destination/hints")).unwrap();
    // All are taken once one more is refused.
    for attempt in 0.. {
        if slow_file(ELSEWHERE, &pair, "").await.1.starts_with("HTTP/1.1 503 ") {
            break;
        }
        assert!(attempt < 1000);
    }
    // Only the small files are asked for: what is not there at the destination ends in a difference without a digest.
    let mut request = md5_request();
    request["keepGoing"] = Value::Bool(true);
    let report = pair.verify(&request).await;
    assert_eq!(report["protocol"], "per-file", "{report:#}");
    assert_eq!((&report["filesMatched"], &report["digestVerificationFailures"]), (&6.into(), &0.into()), "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_of_one_client_make_room_for_the_destination() {
    let (pair, trees) = pair("").await;
    std::fs::remove_dir_all(trees.path().join("source/hints")).unwrap();
    endless_file(&trees.path().join("source/commitlog/endless"));
    let body = br#"{"lowestVersion":3,"highestVersion":3,"maxConcurrency":1}"#;
    let request = head("POST", "manifests", pair.source_port, body.len());
    let mut unread = Vec::new();
    for _ in 0..4 {
        let (stream, answer) = ask(ELSEWHERE, pair.source_port, &request, body).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        unread.push(stream);
    }
    let (_, answer) = ask(ELSEWHERE, pair.source_port, &request, body).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    // Their files are being read; those of the task's build are read from now on.
    std::fs::remove_dir_all(trees.path().join("source/commitlog")).unwrap();
    let report = pair.verify(&md5_request()).await;
    assert_eq!((&report["state"], &report["filesMatched"]), (&"COMPLETED".into(), &6.into()), "{report:#}");
    assert_eq!(report["sourceRequests"], 1, "it was not sent away: {report:#}");
    drop(unread);
}
