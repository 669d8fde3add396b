//! A twintree destination against a source that knows only the per-file protocol.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::scripted_source::{Answer, Ending, ScriptedSource};
use crate::support::services::{Pair, Setup, md5_request, storage_dirs};
use crate::support::stock_source::{StockSource, Unreliable};
use crate::support::trees::{copy_tree, flip_byte, plant, planted};

const FILES: &str = "/api/v1/live-migration/files";

const DIRECTORIES: [(&str, &str); 5] = [
    ("data/0", "data"),
    ("commitlog/0", "commitlog"),
    ("hints/0", "hints"),
    ("saved_caches/0", "saved_caches"),
    ("cdc_raw/0", "cdc_raw"),
];

fn roots(storage: &Path) -> BTreeMap<String, PathBuf> {
    DIRECTORIES.iter().map(|(id, name)| ((*id).to_owned(), storage.join(name))).collect()
}

/// A stock source and a destination over copies of one small tree.
pub struct Stock {
    pub source: StockSource,
    pub pair: Pair,
    pub trees: tempfile::TempDir,
}

impl Stock {
    pub async fn start(unreliable: Unreliable, change: impl FnOnce(&Path)) -> Self {
        let trees = tempfile::tempdir().unwrap();
        let (s, d) = (trees.path().join("source"), trees.path().join("destination"));
        plant(&s, 6, 5, 300);
        std::fs::write(s.join("data/50%-a+b;c%2Fd%20e.db"), "odd").unwrap();
        copy_tree(&s, &d);
        change(&d);
        let source = StockSource::start(roots(&s), unreliable, 7).await;
        let (mut left, mut right) = (s.display().to_string(), d.display().to_string());
        let setup = storage_dirs(&mut left, &mut right);
        let setup = Setup { source_port: Some(source.port), idle_timeout: "300ms", ..setup };
        let pair = Pair::start(setup).await;
        Self { source, pair, trees }
    }

    pub fn files(&self) -> usize {
        planted(&self.trees.path().join("source")).len() + 1
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_trees_are_proven_file_by_file_over_few_connections() {
    for algorithm in ["md5", "XXHash32"] {
        let stock = Stock::start(Unreliable::default(), |_| ()).await;
        let request = json!({ "maxConcurrency": 3, "digestAlgorithm": algorithm });
        let report = stock.pair.verify(&request).await;
        assert_eq!((&report["state"], &report["protocol"]), (&json!("COMPLETED"), &json!("per-file")), "{report:#}");
        let reason = report["protocolReason"].as_str().unwrap();
        assert!(reason.contains("does not serve manifests (404)"), "{reason}");
        let files = stock.files() as u64;
        assert_eq!(report["filesMatched"], files);
        assert_eq!((&report["filesHashed"], &report["sourceFilesHashed"]), (&json!(files), &json!(files)));
        assert_eq!(report["bytesHashed"], report["sourceBytesHashed"]);
        // The manifest route, the listing before and after, and each file once.
        assert_eq!((stock.source.digests(), stock.source.requests()), (files, files + 3));
        assert_eq!(report["sourceRequests"], files + 3);
        assert!(stock.source.most_under_way() <= 3, "{}", stock.source.most_under_way());
        // They are kept: another one is made only where another has not yet been given back.
        assert!(stock.source.connections() * 2 < stock.source.requests(), "{} connections", stock.source.connections());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_are_found_with_both_digests() {
    let stock = Stock::start(Unreliable::default(), |d| flip_byte(&planted(d)[3], 5)).await;
    let report = stock.pair.verify(&md5_request()).await;
    assert_eq!((&report["state"], &report["digestMismatches"]), (&json!("FAILED"), &json!(1)), "{report:#}");
    assert_eq!(report["filesMatched"], stock.files() - 1);
    let difference = &report["differences"][0];
    let digest = |side: &str| difference[side]["digests"]["MD5"].as_str().unwrap().to_owned();
    assert_eq!(difference["kind"], "content");
    assert_ne!(digest("source"), digest("destination"));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_metadata_ends_the_task_without_one_digest_unless_asked_to_go_on() {
    let change = |d: &Path| std::fs::write(&planted(d)[0], "x").unwrap();
    let stock = Stock::start(Unreliable::default(), change).await;
    let report = stock.pair.verify(&md5_request()).await;
    assert_eq!((&report["metadataMismatches"], &report["filesMatched"]), (&json!(1), &json!(0)), "{report:#}");
    assert_eq!((stock.source.digests(), stock.source.requests()), (0, 2));
    let mut request = md5_request();
    request["keepGoing"] = json!(true);
    let report = stock.pair.verify(&request).await;
    assert_eq!((&report["state"], &report["filesMatched"]), (&json!("FAILED"), &json!(stock.files() - 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_lies_in_its_listing_fails_the_task() {
    let stock = Stock::start(Unreliable::default(), |_| ()).await;
    let truth = stock.source.listing();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut listing = truth.clone();
        change(&mut listing);
        listing.to_string()
    };
    fn files(listing: &mut Value) -> impl Iterator<Item = &mut Value> {
        listing["files"].as_array_mut().unwrap().iter_mut().filter(|entry| entry["fileType"] == "FILE")
    }
    let first = truth["files"][0].clone();
    let text = truth.to_string();
    let lies = [
        "not JSON".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        text[..text.len() - 1].to_owned(),
        text[..text.len() / 2].to_owned(),
        with(&|l| l["files"].as_array_mut().unwrap().push(first.clone())),
        with(&|l| l["files"][0]["fileUrl"] = json!("/etc/passwd")),
        with(&|l| l["files"][0]["fileUrl"] = json!("/api/v1/live-migration/files/data/0/../x")),
        with(&|l| l["files"].as_array_mut().unwrap().iter_mut().for_each(|f| f["size"] = json!(-5))),
        with(&|l| files(l).for_each(|f| f["size"] = json!(i64::MAX))),
        with(&|l| l["files"][0]["size"] = json!(u64::MAX)),
        "[".repeat(1_000_000),
        format!("{{\"files\":[],\"x\":{}", "[".repeat(1_000_000)),
        format!("{{\"files\":[],\"x\":\"{}\"}}", "x".repeat(5_000_000)),
    ];
    for lie in lies {
        let shown = lie.chars().take(120).collect::<String>();
        stock.source.lie_about_the_listing(lie);
        let report = stock.pair.verify(&md5_request()).await;
        assert_eq!((&report["state"], &report["filesMatched"]), (&json!("FAILED"), &json!(0)), "{shown}: {report:#}");
        let message = report["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("source 127.0.0.1:{}", stock.source.port)), "{shown}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_lies_about_digests_proves_nothing() {
    let stock = Stock::start(Unreliable::default(), |_| ()).await;
    for lie in [
        "",
        "{}",
        r#"{"digest":"","digestAlgorithm":"MD5"}"#,
        r#"{"digest":"1B2M2Y8AsgTpgAmY7PhCfg","digestAlgorithm":"MD5"}"#,
        r#"{"digest":"1B2M2Y8AsgTpgAmY7PhCfg==","digestAlgorithm":"XXHash32"}"#,
        r#"{"digest":null,"digestAlgorithm":"MD5"}"#,
    ] {
        stock.source.lie_about_digests(lie);
        let report = stock.pair.verify(&md5_request()).await;
        let expected = (json!("FAILED"), json!(stock.files()), json!(0));
        let found =
            (report["state"].clone(), report["digestVerificationFailures"].clone(), report["filesMatched"].clone());
        assert_eq!(found, expected, "{lie}");
        let difference = &report["differences"][0];
        let expected = ("unverified", "source", "peer-error");
        let text = |key: &str| difference[key].as_str().unwrap();
        assert_eq!((text("kind"), text("side"), text("reason")), expected, "{difference:#}");
    }
}

/// The idle time-out of these pairs is 300 ms. A file that takes longer is waited for as long as the source lives.
#[tokio::test(flavor = "multi_thread")]
async fn a_digest_may_take_any_time_and_both_sides_hash_at_the_same_time() {
    let stock = Stock::start(Unreliable::default(), |_| ()).await;
    stock.source.hold_digests(true);
    let id = stock.pair.begin(&md5_request()).await;
    let files = stock.files();
    // The destination reads everything while the source has answered for nothing.
    let status = stock.pair.wait_until(&id, |status| status["filesHashed"] == files).await;
    assert_eq!((&status["sourceFilesHashed"], &status["state"]), (&json!(0), &json!("IN_PROGRESS")));
    while stock.source.health() < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(stock.source.under_way(), 4, "as many as asked for");
    stock.source.hold_digests(false);
    let status = stock.pair.wait(&id).await;
    assert_eq!((&status["state"], &status["filesMatched"]), (&json!("COMPLETED"), &json!(files)), "{status:#}");
    assert_eq!(stock.source.digests(), files as u64, "none was asked for twice");
    let counted = status["sourceRequests"].as_u64().unwrap();
    assert!(counted >= stock.source.requests(), "looks at its health count as well: {counted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_dies_in_silence_ends_the_task() {
    let stock = Stock::start(Unreliable::default(), |_| ()).await;
    stock.source.hold_digests(true);
    let id = stock.pair.begin(&md5_request()).await;
    stock.pair.wait_until(&id, |status| status["filesHashed"] == stock.files()).await;
    stock.source.fall_silent(true);
    let status = stock.pair.wait(&id).await;
    assert_eq!((&status["state"], &status["filesMatched"]), (&json!("FAILED"), &json!(0)), "{status:#}");
    let message = status["message"].as_str().unwrap();
    let expected = format!("source 127.0.0.1:{} cannot be reached: it did not answer in time", stock.source.port);
    assert!(message.starts_with(&expected), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_hangs_up_on_the_source() {
    let stock = Stock::start(Unreliable::default(), |_| ()).await;
    stock.source.hold_digests(true);
    let id = stock.pair.begin(&md5_request()).await;
    while stock.source.under_way() < 4 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let (_, status) = stock.pair.patch(&format!("/files-verification-tasks/{id}")).await;
    assert_eq!((&status["state"], &status["protocol"]), (&json!("CANCELLED"), &json!("per-file")));
    while stock.source.under_way() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// One file that cannot be read at the source is its own failure, and not the task's.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_the_source_cannot_read_is_unverified_and_the_rest_is_compared() {
    let stock = Stock::start(Unreliable::default(), |_| ()).await;
    let name = "data/vanishes";
    for side in ["source", "destination"] {
        let path = stock.trees.path().join(side).join(name);
        std::fs::write(&path, "x").unwrap();
        std::fs::File::open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    stock.source.hold_digests(true);
    let id = stock.pair.begin(&md5_request()).await;
    stock.pair.wait_until(&id, |status| status["filesHashed"] == stock.files() + 1).await;
    std::fs::remove_file(stock.trees.path().join("source").join(name)).unwrap();
    stock.source.hold_digests(false);
    let status = stock.pair.wait(&id).await;
    assert_eq!((&status["state"], &status["digestVerificationFailures"]), (&json!("FAILED"), &json!(1)), "{status:#}");
    assert_eq!(status["filesMatched"], stock.files());
    let (_, report) = stock.pair.get(&format!("/files-verification-tasks/{id}/report")).await;
    let difference = &report["differences"][0];
    assert!(difference["detail"].as_str().unwrap().contains("answered 404: File not found"), "{difference:#}");
    assert_eq!((&difference["side"], &difference["reason"]), (&json!("source"), &json!("peer-error")));
}

/// A host that lists its files and is no source refuses each of them: that is said once, and no file is asked for in vain
/// thousands of times.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_lists_and_is_no_source_ends_the_task() {
    let trees = tempfile::tempdir().unwrap();
    let storage = trees.path().join("s");
    plant(&storage, 4, 50, 10);
    let listed = StockSource::start(roots(&storage), Unreliable::default(), 1).await.listing().to_string();
    let refusing = ScriptedSource::start().await;
    let refusal = Answer::new(404, "application/json", r#"{"status":"Not Found"}"#);
    refusing.script(move |asked| match asked {
        "GET /api/v1/live-migration/files" => Answer::new(200, "application/json", listed.clone()),
        _ => refusal.clone(),
    });
    let pair = Pair::calling(refusing.port, &storage, &storage).await;
    let report = pair.verify(&md5_request()).await;
    assert_eq!((&report["state"], &report["filesMatched"]), (&json!("FAILED"), &json!(0)), "{report:#}");
    let message = report["message"].as_str().unwrap();
    assert!(message.ends_with(&format!("127.0.0.1:{} answered 404", refusing.port)), "{message}");
    assert!(refusing.asked().len() < 20, "{}", refusing.asked().len());
}

/// The head of a refusal came, and its body never does.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_never_ends_is_not_waited_for() {
    let stalling = ScriptedSource::start().await;
    stalling.script(|asked| match asked {
        "POST /api/v1/live-migration/manifests" => Answer::new(404, "application/json", "{}"),
        _ => Answer { ending: Ending::Stall, ..Answer::new(500, "application/json", "{") },
    });
    let trees = tempfile::tempdir().unwrap();
    plant(trees.path(), 1, 1, 10);
    let (mut s, mut d) = (trees.path().display().to_string(), trees.path().join("d").display().to_string());
    let setup = storage_dirs(&mut s, &mut d);
    let setup = Setup { source_port: Some(stalling.port), idle_timeout: "100ms", ..setup };
    let report = Pair::start(setup).await.verify(&md5_request()).await;
    assert_eq!(report["state"], "FAILED");
    assert!(report["message"].as_str().unwrap().contains("a refusal stopped before its end"), "{report:#}");
}

/// A stock source ends every request after some minutes, whether a large file is hashed by then or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_digest_the_source_never_gets_done_is_fetched_and_hashed_here() {
    for differs in [false, true] {
        let stock = Stock::start(Unreliable::default(), |_| ()).await;
        let large: Vec<u8> = (0..3_000_000_u32).map(|at| ((at * 7) >> 3) as u8).collect();
        for side in ["source", "destination"] {
            let path = stock.trees.path().join(side).join("data/large");
            let mut bytes = large.clone();
            bytes[2_999_999] ^= u8::from(differs && side == "source");
            std::fs::write(&path, bytes).unwrap();
            std::fs::File::open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        // Longer than the idle time-out of these pairs, which is 300 ms.
        stock.source.give_up_digests_after(std::time::Duration::from_millis(500));
        stock.source.break_bodies(2);
        let report = stock.pair.verify(&md5_request()).await;
        let files = stock.files() + 1;
        let (state, matched, mismatches) = if differs { ("FAILED", files - 1, 1) } else { ("COMPLETED", files, 0) };
        assert_eq!(
            (&report["state"], &report["filesMatched"], &report["digestMismatches"]),
            (&json!(state), &json!(matched), &json!(mismatches)),
            "{report:#}"
        );
        let note = format!("{files} files were fetched and hashed here");
        assert!(report["notes"].to_string().contains(&note), "{report:#}");
        assert!(!stock.source.ranges().is_empty(), "what had come was not asked for again");
    }
}

/// The bytes a destination sends, as a stock source gets them: a listing, a digest under the name as it was listed, and the
/// listing once more.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_destination_asks_a_stock_source_is_recorded() {
    let trees = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(trees.path().join("data/ks")).unwrap();
    let file = trees.path().join("data/ks/50%20+~;%2F%.db");
    std::fs::write(&file, "").unwrap();
    std::fs::File::open(&file).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads = std::thread::spawn(move || {
        let listing = format!(
            r#"{{"files":[{{"fileUrl":"{FILES}/data/0/ks","size":-1,"fileType":"DIRECTORY","lastModifiedTime":1}},{{"fileUrl":"{FILES}/data/0/ks/50%20+~;%2F%.db","size":0,"fileType":"FILE","lastModifiedTime":0}}],"totalSize":0}}"#
        );
        let digest = r#"{"digest":"1B2M2Y8AsgTpgAmY7PhCfg==","digestAlgorithm":"MD5"}"#.to_owned();
        let (before, after) = ((200, listing.clone()), (200, listing));
        let answers = [(404, r#"{"status":"Not Found"}"#.to_owned()), before, (200, digest), after];
        let answer = |(code, body): (u16, String)| {
            // Each on its own connection: what is recorded is what is asked, not how it travels.
            let (mut stream, _) = listener.accept().unwrap();
            let head = read_request(&mut stream);
            let length = body.len();
            let head_out = format!("HTTP/1.1 {code} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            stream.write_all(head_out.as_bytes()).unwrap();
            stream.write_all(body.as_bytes()).unwrap();
            head
        };
        answers.map(answer)
    });
    let pair = Pair::calling(port, trees.path(), trees.path()).await;
    let report = pair.verify(&md5_request()).await;
    assert_eq!(report["state"], "COMPLETED", "{report:#}");
    let [_, listing, digest, again] = heads.join().unwrap();
    let headers = format!("accept: */*\r\nhost: 127.0.0.1:{port}\r\n\r\n");
    assert_eq!(listing, format!("GET {FILES} HTTP/1.1\r\n{headers}"));
    assert_eq!(again, listing);
    let name = "50%20+~;%2F%.db";
    // A stock source does not know the header; to ours it says that the escapes in the name are part of it.
    let headers = format!("twintree-path: literal\r\n{headers}");
    assert_eq!(digest, format!("GET {FILES}/data/0/ks/{name}?digestAlgorithm=MD5 HTTP/1.1\r\n{headers}"));
}

/// The head of a request, once its body was read.
fn read_request(stream: &mut std::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    stream.read_exact(&mut vec![0; length]).unwrap();
    head
}

/// A source that is told to looks like a stock one.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_serves_no_manifests_is_verified_file_by_file() {
    let trees = tempfile::tempdir().unwrap();
    let (s, d) = (trees.path().join("source"), trees.path().join("destination"));
    plant(&s, 2, 3, 100);
    copy_tree(&s, &d);
    let (mut left, mut right) = (s.display().to_string(), d.display().to_string());
    let source_extra = "twintree: {serve_manifests: false}";
    let pair = Pair::start(Setup { source_extra, ..storage_dirs(&mut left, &mut right) }).await;
    let report = pair.verify(&md5_request()).await;
    assert_eq!((&report["state"], &report["protocol"]), (&json!("COMPLETED"), &json!("per-file")), "{report:#}");
    assert_eq!(report["filesMatched"], 6);
    assert!(report["read"]["destination"]["from"].is_object(), "{report:#}");
    assert!(report["read"]["source"]["from"].is_null(), "{report:#}");
    pair.stop().await;
}
