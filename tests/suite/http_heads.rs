//! Heads of requests and answers as bytes on a socket: names of headers as the Sidecar's client looks them up, none of them twice,
//! and requests that are refused by their head alone.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::raw_http::{exchange, send};
use crate::support::services::{Pair, md5_request, storage_dirs};
use crate::support::trees::{copy_tree, flip_byte, plant, planted};

const API: &str = "/api/v1/live-migration";

/// A pair whose trees differ in one file; the destination calls the source through `called`.
async fn pair(called: Option<u16>) -> (Pair, tempfile::TempDir) {
    let trees = tempfile::tempdir().unwrap();
    let (s, d) = (trees.path().join("source"), trees.path().join("destination"));
    plant(&s, 2, 3, 50);
    copy_tree(&s, &d);
    flip_byte(&planted(&d)[1], 7);
    let (mut left, mut right) = (s.display().to_string(), d.display().to_string());
    let mut setup = storage_dirs(&mut left, &mut right);
    let staging = |roots: &str, side| format!("{roots}\nstaging_dir: {:?}", trees.path().join(side));
    let (s, d) = (staging(setup.source_roots, "ss"), staging(setup.destination_roots, "ds"));
    (setup.source_roots, setup.destination_roots, setup.source_port) = (&s, &d, called);
    (Pair::start(setup).await, trees)
}

/// The code of an answer, once its head is as a stock client needs it.
fn checked(head: &str, of: &str) -> u16 {
    let mut lines = head.split("\r\n");
    let code = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).and_then(|line| line[..3].parse().ok());
    let code = code.unwrap_or_else(|| panic!("{of}: {head}"));
    let spelling = regex::Regex::new("^[A-Z][a-z0-9]*(-[A-Z][a-z0-9]*)*$").unwrap();
    let mut names = BTreeSet::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{of}: {line:?}"));
        assert!(spelling.is_match(name), "{of}: {line}");
        assert!(names.insert(name), "{of}: {name} twice in\n{head}");
        assert_eq!(value, value.trim(), "{of}");
    }
    assert!(names.contains("Date"), "{of}: {head}");
    assert!(!names.contains("Content-Length") || !names.contains("Transfer-Encoding"), "{of}: {head}");
    code
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_every_route_spells_its_headers_as_the_sidecar_does_and_none_twice() {
    let (pair, _trees) = pair(None).await;
    let id = pair.begin(&md5_request()).await;
    pair.wait(&id).await;
    let ports = [pair.source_port, pair.destination_port];
    let walk = move || {
        let ask = |port: u16, host: &str, method: &str, path: &str, more: &str, body: &str| {
            let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
            let head =
                format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}{length}\r\n{body}");
            let (head, _) = send(port, head.as_bytes());
            checked(&head, &format!("{method} {path} {more}"))
        };
        let address = format!("127.0.0.1:{}", ports[0]);
        let document: Value = exchange(&address, &address, "GET", "/spec/openapi.json", None).json();
        let described: Vec<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
        let mut codes = BTreeSet::new();
        for path in &described {
            let concrete = path
                .replace("{dirType}/{dirIndex}/{path}", "data/0/ks0/table-0/none")
                .replace("{task_id}", &id)
                .replace("{manifest_id}", &id);
            for method in ["GET", "HEAD", "PUT", "PATCH", "OPTIONS", "POST"] {
                for (port, host) in
                    ports.iter().flat_map(|port| [(*port, format!("127.0.0.1:{port}")), (*port, "x".into())])
                {
                    for body in
                        ["", "{", r#"{"maxConcurrency":4,"digestAlgorithm":"MD5"}"#, r#"{"maxConcurrency":400}"#]
                    {
                        // What marks a migration complete comes last.
                        if (method, path.as_str()) != ("POST", &format!("{API}/status")) {
                            codes.insert(ask(port, &host, method, &concrete, "", body));
                        }
                    }
                    let length = "Content-Length: 99999999\r\n";
                    assert!(
                        [404, 405, 413].contains(&ask(port, &host, method, &concrete, length, "")),
                        "{method} {path}"
                    );
                }
            }
        }
        let [source, destination] = ports;
        let (source_host, destination_host) = (format!("127.0.0.1:{source}"), format!("127.0.0.1:{destination}"));
        let file = format!("{API}/files/data/0/{}", first_file(&source_host));
        let manifest = r#"{"lowestVersion":3,"highestVersion":3,"maxConcurrency":4}"#;
        for (path, more, code) in [
            (file.clone(), "", 200),
            (file.clone(), "Range: bytes=0-4\r\n", 206),
            (file.clone(), "If-None-Match: *\r\n", 304),
            (file.clone(), "If-Match: \"other\"\r\n", 412),
            (file.clone(), "Range: bytes=500-\r\n", 416),
            (format!("{file}?digestAlgorithm=MD5"), "", 200),
            (format!("{file}?digestAlgorithm=x"), "", 400),
            (format!("{API}/files/data/9/x"), "", 404),
            (format!("{API}/files/data/x/x"), "", 400),
            ("/none".to_owned(), "", 404),
            (format!("{API}/files"), "", 200),
        ] {
            assert_eq!(ask(source, &source_host, "GET", &path, more, ""), code, "{path} {more}");
        }
        assert_eq!(ask(source, &source_host, "POST", &format!("{API}/manifests"), "", manifest), 200);
        let report = format!("{API}/files-verification-tasks/{id}/report");
        for query in ["", "?format=csv", "?format=html", "?limit=x"] {
            let code = ask(destination, &destination_host, "GET", &format!("{report}{query}"), "", "");
            assert_eq!(code, if query == "?limit=x" { 400 } else { 200 });
        }
        for (method, code) in [("POST", 200), ("POST", 400), ("DELETE", 403)] {
            assert_eq!(ask(source, &source_host, method, &format!("{API}/status"), "", ""), code, "{method}");
        }
        assert_eq!(ask(source, &source_host, "GET", &file, "", ""), 400, "complete");
        for code in [200, 202, 400, 404, 405] {
            assert!(codes.contains(&code), "{codes:?}");
        }
    };
    tokio::task::spawn_blocking(walk).await.unwrap();
}

/// Any file of the listing, below data/0.
fn first_file(address: &str) -> String {
    let listing = exchange(address, address, "GET", &format!("{API}/files"), None).json();
    let file = listing["files"].as_array().unwrap().iter().find(|entry| entry["fileType"] == "FILE").unwrap().clone();
    file["fileUrl"].as_str().unwrap().rsplit_once("/data/0/").unwrap().1.to_owned()
}

/// A front before the source that keeps what the source says.
async fn recording_front(said: Arc<Mutex<Vec<u8>>>) -> (u16, tokio::sync::watch::Sender<u16>) {
    let front = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = front.local_addr().unwrap().port();
    let (to, behind) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        while let Ok((client, _)) = front.accept().await {
            let port = *behind.borrow();
            let server = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let said = Arc::clone(&said);
            let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                (client.into_split(), server.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
                    said.lock().unwrap().extend_from_slice(&buffer[..length]);
                    let _ = to_client.write_all(&buffer[..length]).await;
                }
            });
        }
    });
    (port, to)
}

/// The routes whose requests only a destination can make: what the source says to one in a task.
#[tokio::test(flavor = "multi_thread")]
async fn the_answers_of_a_whole_exchange_are_spelled_so_too() {
    let said = Arc::new(Mutex::new(Vec::new()));
    let (port, behind) = recording_front(Arc::clone(&said)).await;
    let (pair, _trees) = pair(Some(port)).await;
    behind.send(pair.source_port).unwrap();
    let report = pair.verify(&md5_request()).await;
    assert_eq!(report["digestMismatches"], 1, "{report:#}");
    let said = String::from_utf8_lossy(&said.lock().unwrap()).into_owned();
    let heads: Vec<&str> =
        said.match_indices("HTTP/1.1 ").map(|(at, _)| said[at..].split("\r\n\r\n").next().unwrap()).collect();
    heads.iter().for_each(|head| assert_eq!(checked(head, "an exchange"), 200));
    for media_type in ["vnd.twintree.manifest", "vnd.twintree.branches"] {
        assert!(
            heads.iter().any(|head| head.contains(&format!("\r\nContent-Type: application/{media_type}"))),
            "{heads:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_exactly_one_host() {
    let (pair, _trees) = pair(None).await;
    let port = pair.source_port;
    let asking = move || {
        let host = format!("Host: 127.0.0.1:{port}\r\n");
        for (version, hosts, code) in [
            ("1.1", String::new(), 400),
            ("1.1", format!("{host}{host}"), 400),
            ("1.1", format!("{host}hOsT: other\r\n"), 400),
            ("1.1", host.clone(), 200),
            ("1.0", host.clone(), 200),
            ("1.0", format!("{host}{host}"), 400),
        ] {
            let request = format!("GET /api/v1/__health HTTP/{version}\r\n{hosts}Connection: close\r\n\r\n");
            let (head, body) = send(port, request.as_bytes());
            assert_eq!(head.split(' ').nth(1), Some(code.to_string().as_str()), "{request}\n{head}");
            if code == 400 {
                let message = "a request has exactly one Host header";
                let body: Value = serde_json::from_str(&body).unwrap();
                assert_eq!(body, json!({ "status": "Bad Request", "code": 400, "message": message }));
            }
        }
    };
    tokio::task::spawn_blocking(asking).await.unwrap();
}

/// Not one byte of the body is sent, so that an answer shows that none was waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_limit_is_refused_by_its_announced_length() {
    let (pair, _trees) = pair(None).await;
    let (source, destination) = (pair.source_port, pair.destination_port);
    let asking = move || {
        let task = format!("{API}/files-verification-tasks/x");
        for (port, method, path, limit) in [
            (destination, "POST", format!("{API}/files-verification-tasks"), 64 << 10),
            (destination, "PATCH", task, 64 << 10),
            (source, "GET", format!("{API}/files"), 64 << 10),
            (source, "POST", format!("{API}/manifests"), 256 << 10),
            (source, "POST", format!("{API}/manifests/x/branches"), 64_usize << 20),
        ] {
            for length in [limit as u64 + 1, 1 << 50] {
                let head =
                    format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {length}\r\n\r\n");
                let (head, body) = send(port, head.as_bytes());
                assert!(head.starts_with("HTTP/1.1 413 Payload Too Large\r\n"), "{path} {length}: {head}");
                assert!(head.contains("\r\nConnection: close"), "{head}");
                assert!(body.contains(&format!("the request body is larger than {limit} bytes")), "{body}");
            }
        }
        // A length within the limit is waited for: there is no answer without the body.
        let mut stream = TcpStream::connect(("127.0.0.1", destination)).unwrap();
        let path = format!("{API}/files-verification-tasks");
        let (head, body) = ("Content-Length: 65536\r\n\r\n", vec![b' '; 65536]);
        std::io::Write::write_all(
            &mut stream,
            format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{destination}\r\nConnection: close\r\n{head}").as_bytes(),
        )
        .unwrap();
        std::io::Write::write_all(&mut stream, &body).unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    };
    tokio::task::spawn_blocking(asking).await.unwrap();
}
