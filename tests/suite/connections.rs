//! A service with more connections than it takes: new ones are answered all the same.

use std::net::Ipv4Addr;

use tokio::io::AsyncWriteExt as _;

use crate::support::greedy::{ELSEWHERE, ask, connect};
use crate::support::services::{Pair, md5_request, storage_dirs};
use crate::support::trees::{copy_tree, plant};

/// The most that a service takes where the system allows it.
const MOST: usize = 1024;

async fn pair() -> (Pair, tempfile::TempDir) {
    let trees = tempfile::tempdir().unwrap();
    let (s, d) = (trees.path().join("source"), trees.path().join("destination"));
    plant(&s, 2, 3, 50);
    copy_tree(&s, &d);
    let (mut left, mut right) = (s.display().to_string(), d.display().to_string());
    (Pair::start(storage_dirs(&mut left, &mut right)).await, trees)
}

/// Both ends of all connections are in this process, and the other service's are, too.
fn there_are_descriptors() -> bool {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let enough = limit.is_none_or(|limit| limit > 4 * MOST as u64);
    if !enough {
        crate::support::material::missing("descriptors", "the system does not allow enough open files");
    }
    enough
}

async fn health(from: Ipv4Addr, port: u16) -> String {
    let request = format!("GET /api/v1/__health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    ask(from, port, &request, b"").await.1
}

async fn metric(port: u16, name: &str) -> f64 {
    let text = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {text}"));
    line.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_and_unfinished_heads_make_room() {
    let (pair, _trees) = pair().await;
    if !there_are_descriptors() {
        return;
    }
    let port = pair.source_port;
    let mut idle = Vec::new();
    for at in 0..MOST + 200 {
        let mut stream = connect(ELSEWHERE, port).await.unwrap();
        if at % 2 == 0 {
            stream.write_all(b"GET /api/v1/__health HTTP/1.1\r\nHost:").await.unwrap();
        }
        idle.push(stream);
    }
    assert!(health(Ipv4Addr::LOCALHOST, port).await.starts_with("HTTP/1.1 200 "));
    let report = pair.verify(&md5_request()).await;
    assert_eq!((&report["state"], &report["filesMatched"]), (&"COMPLETED".into(), &6.into()), "{report:#}");
    assert!(metric(port, "twintree_surplus_connections_total ").await >= 200.0);
    assert_eq!(metric(port, "twintree_connections_limit ").await, MOST as f64);
    assert!(metric(port, "twintree_connections ").await <= MOST as f64);
}
