//! Names as they cross the wire to a source that knows only the per-file protocol: each stands there as it was listed, or the
//! entry is unverified and not asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use twintree::model::{DigestAlgorithm, FileUrl, RelPath, RootId};
use twintree::net::{Endpoint, Patience, RetryPolicy};
use twintree::peer::{Allowance, DigestFailure, Peer, PeerSettings};

use crate::support::chaos_proxy::{ChaosProxy, Mode};
use crate::support::disk::set_time;
use crate::support::one_root::{TIME, file};
use crate::support::raw_http::exchange;
use crate::support::services::{Pair, Setup, storage_dirs};
use crate::support::stock_source::{StockSource, Unreliable};

const FILES: &str = "/api/v1/live-migration/files";

/// Every kind of name that two Sidecars verify.
const VERIFIED: [&str; 10] = [
    "ks/tbl-1/nb-1-big-Data.db",
    "ks/tbl-1/nb-1-big-SAI+aa+idx+TermsData.db",
    "ks/tbl-1/.idx/nb-1-big-SAI+aa+ColumnComplete.db",
    "ks/;:@&=,$!()'*",
    "ks/a%2Fb",
    "ks/a%2fb%20c%",
    "ks/%2541",
    "ks/%C3%A9",
    "ks/~-._",
    "ks/[x]",
];

/// Names that would be read as other ones, each with what the report says of it.
const REFUSED: [(&str, &str); 9] = [
    ("ks/a b", "a space in it"),
    ("ks/a\tb", "the character \\t in it"),
    ("ks/a#b", "the character # in it"),
    ("ks/a?b", "the character ? in it"),
    ("ks/a\\b", "the character \\ in it"),
    ("ks/d e/x", "a space in it"),
    ("ks/x%41", "would read %41 in it as A"),
    ("ks/x%2d", "would read %2d in it as -"),
    ("ks/é", "the character é in it"),
];

/// A stock source behind a proxy that records what is asked, and a destination over another tree.
struct Stock {
    trees: tempfile::TempDir,
    source: StockSource,
    proxy: ChaosProxy,
    pair: Pair,
}

impl Stock {
    /// `slash` is appended to the data directory as both sides configure it.
    async fn start(write: impl Fn(&Path), slash: &str) -> Self {
        let trees = tempfile::tempdir().unwrap();
        let [s, d] = ["source", "destination"].map(|side| {
            write(&trees.path().join(side).join("data"));
            PathBuf::from(format!("{}{slash}", trees.path().join(side).join("data").display()))
        });
        let roots = BTreeMap::from([("data/0".to_owned(), s.clone())]);
        let source = StockSource::start(roots, Unreliable::default(), 1).await;
        let proxy = ChaosProxy::start().await;
        proxy.set(Mode::Forward(source.port));
        let lines = |side: &str, data: &Path| {
            format!("storage_dir: {:?}\ndata_dirs: [{data:?}]", trees.path().join(side).display().to_string())
        };
        let (s, d) = (lines("source", &s), lines("destination", &d));
        let (mut left, mut right) = (String::new(), String::new());
        let setup = storage_dirs(&mut left, &mut right);
        let setup = Setup { source_roots: &s, destination_roots: &d, source_port: Some(proxy.port), ..setup };
        let pair = Pair::start(setup).await;
        Self { trees, source, proxy, pair }
    }

    fn at(&self, side: &str, path: &str) -> PathBuf {
        self.trees.path().join(side).join("data").join(path)
    }

    async fn verify(&self) -> Value {
        self.pair.verify(&json!({ "maxConcurrency": 3, "digestAlgorithm": "MD5" })).await
    }

    /// The names that digests were asked for, as they stood in the request lines.
    fn asked(&self) -> Vec<String> {
        let lines = self.proxy.request_lines();
        let name = |line: &String| {
            let rest = line.strip_prefix(&format!("GET {FILES}/data/0/"))?;
            Some(rest.strip_suffix("?digestAlgorithm=MD5 HTTP/1.1")?.to_owned())
        };
        lines.iter().filter_map(name).collect()
    }
}

fn sorted(names: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    names.sort();
    names
}

fn write_all(root: &Path, names: &[&str]) {
    names.iter().for_each(|name| file(root, name));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_that_two_sidecars_verify_is_asked_for_as_it_stands() {
    let stock = Stock::start(|root| write_all(root, &VERIFIED), "").await;
    let report = stock.verify().await;
    assert_eq!(
        (&report["state"], &report["filesMatched"]),
        (&json!("COMPLETED"), &json!(VERIFIED.len())),
        "{report:#}"
    );
    assert_eq!(stock.asked(), sorted(&VERIFIED));
    // The manifest route and the listing, before and after, besides.
    assert_eq!(stock.proxy.request_lines().len(), VERIFIED.len() + 3);
}

/// Our own source without manifests is asked in the same way.
#[tokio::test(flavor = "multi_thread")]
async fn every_such_name_is_verified_against_our_own_source_without_manifests() {
    let trees = tempfile::tempdir().unwrap();
    // The decoded reading of two of them exists as well, with other bytes: the literal one is meant.
    let names = [
        "ks/tbl-1/nb-1-big-SAI+aa+idx+TermsData.db",
        "ks/;:@&=,$!()'*",
        "ks/50%",
        "ks/~-._",
        "ks/a%2Fb",
        "ks/a/b",
        "ks/c%26d",
        "ks/c&d",
    ];
    let (s, d) = (trees.path().join("source"), trees.path().join("destination"));
    [&s, &d].into_iter().for_each(|side| write_all(&side.join("data"), &names));
    let (mut left, mut right) = (s.display().to_string(), d.display().to_string());
    let source_extra = "twintree: {serve_manifests: false}";
    let pair = Pair::start(Setup { source_extra, ..storage_dirs(&mut left, &mut right) }).await;
    let report = pair.verify(&json!({ "maxConcurrency": 3, "digestAlgorithm": "XXHash32" })).await;
    assert_eq!((&report["state"], &report["filesMatched"]), (&json!("COMPLETED"), &json!(names.len())), "{report:#}");
}

/// A file that vanished after it was listed may have a name that, percent-decoded, is another file's.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_has_no_digest_of_another_one() {
    let trees = tempfile::tempdir().unwrap();
    let (s, d) = (trees.path().join("source"), trees.path().join("destination"));
    [&s, &d].into_iter().for_each(|side| write_all(&side.join("data"), &["ks/a/b"]));
    let (mut left, mut right) = (s.display().to_string(), d.display().to_string());
    let pair = Pair::start(storage_dirs(&mut left, &mut right)).await;
    let peer = Peer::new(Endpoint::http("127.0.0.1", pair.source_port), settings(Duration::from_secs(5))).unwrap();
    let url = |name: &str| FileUrl::new(RootId::DATA_0, RelPath::new(name.as_bytes()).unwrap());
    assert!(peer.digest(&url("ks/a/b"), 5, DigestAlgorithm::Md5).await.is_ok());
    let gone = peer.digest(&url("ks/a%2Fb"), 5, DigestAlgorithm::Md5).await;
    assert!(matches!(&gone, Err(DigestFailure::File(error)) if error.to_string().contains("404")), "{gone:?}");
    // A client that percent-encodes, and says nothing of how it means the path, means that file.
    let address = format!("127.0.0.1:{}", pair.source_port);
    let path = format!("{FILES}/data/0/ks/a%2Fb?digestAlgorithm=MD5");
    let asked = tokio::task::spawn_blocking(move || exchange(&address, &address, "GET", &path, None));
    assert_eq!(asked.await.unwrap().code(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_would_be_read_as_another_one_is_unverified_and_not_asked_for() {
    let names = REFUSED.map(|(name, _)| name);
    let write = |root: &Path| {
        write_all(root, &names);
        file(root, "same");
    };
    let stock = Stock::start(write, "").await;
    let report = stock.verify().await;
    let failures = json!(REFUSED.len());
    assert_eq!((&report["state"], &report["digestVerificationFailures"]), (&json!("FAILED"), &failures), "{report:#}");
    assert_eq!((&report["filesMatched"], &report["metadataMismatches"]), (&json!(1), &json!(0)));
    // With the two directories.
    assert_eq!(report["metadataMatched"], json!(REFUSED.len() + 1 + 2), "their metadata was compared");
    assert_eq!(stock.asked(), ["same"]);
    for (name, detail) in REFUSED {
        let url = format!("{FILES}/data/0/{name}");
        let found: Vec<&Value> =
            report["differences"].as_array().unwrap().iter().filter(|found| found["fileUrl"] == url).collect();
        let [found] = found[..] else { panic!("{name:?}: {report:#}") };
        let text = |key: &str| found[key].as_str().unwrap();
        assert_eq!((text("kind"), text("side"), text("reason")), ("unverified", "source", "peer-error"), "{found:#}");
        assert!(text("detail").starts_with("the per-file protocol cannot carry its name: "), "{found:#}");
        assert!(text("detail").contains(detail), "{found:#}");
    }
}

/// What the source lists with `?` may be a file of another name, which this side lacks or has.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_a_question_mark_is_never_called_different() {
    let stock = Stock::start(|root| write_all(root, &["a?b", "c?d", "same"]), "").await;
    std::fs::write(stock.at("source", "a?b"), b"longer").unwrap();
    file(&stock.at("source", ""), "e?f");
    let report = stock.verify().await;
    let counters = ["metadataMismatches", "digestVerificationFailures", "filesNotFoundAtDestination", "filesMatched"];
    let found = counters.map(|counter| report[counter].as_u64().unwrap());
    // The one that this side lacks under any name is missing, and ends the task before any digest.
    assert_eq!(found, [0, 1, 1, 0], "{report:#}");
    let kinds: Vec<_> = report["differences"].as_array().unwrap().iter().map(|d| (&d["fileUrl"], &d["kind"])).collect();
    let url = |name: &str| json!(format!("{FILES}/data/0/{name}"));
    assert_eq!(kinds, [(&url("a?b"), &json!("unverified")), (&url("e?f"), &json!("missing-at-destination"))]);
    std::fs::remove_file(stock.at("source", "e?f")).unwrap();
    let report = stock.verify().await;
    let found = counters.map(|counter| report[counter].as_u64().unwrap());
    assert_eq!((found, stock.asked()), ([0, 2, 0, 1], vec!["same".to_owned()]), "{report:#}");
    let detail = report["differences"][0]["detail"].as_str().unwrap();
    assert_eq!(detail, "the per-file protocol cannot carry its name: the ? in it may stand for another character");
}

/// One byte that is not UTF-8 stands in a listing as three, so that a path may become longer than one can be.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_a_listing_makes_too_long_is_unverified_and_everything_else_is_compared() {
    use std::os::unix::ffi::OsStrExt as _;
    let deep = vec!["d".repeat(240); 16].join("/");
    let odd = std::ffi::OsString::from(std::ffi::OsStr::from_bytes(&[0xff; 200]));
    let write = |root: &Path| write_all(root, &[&format!("{deep}/x"), "same"]);
    let stock = Stock::start(write, "").await;
    // Too long for one call.
    std::fs::write(stock.at("source", &deep).join(&odd), b"bytes").unwrap();
    let report = stock.verify().await;
    let counters = ["filesMatched", "digestVerificationFailures", "filesNotFoundAtDestination"];
    let found = counters.map(|counter| report[counter].as_u64().unwrap());
    assert_eq!((found, &report["state"]), ([2, 1, 0], &json!("FAILED")), "{report:#}");
    let difference = &report["differences"][0];
    assert_eq!((&difference["kind"], &difference["side"]), (&json!("unverified"), &json!("source")));
    assert_eq!(difference["fileUrl"], format!("{FILES}/data/0/{deep}"));
    let detail = difference["detail"].as_str().unwrap();
    assert!(detail.contains("it is not UTF-8, or holds U+FFFD"), "{detail}");
    // This side's own is unverified by itself, and missing nowhere.
    std::fs::write(stock.at("destination", &deep).join(&odd), b"bytes").unwrap();
    let report = stock.verify().await;
    let found = counters.map(|counter| report[counter].as_u64().unwrap());
    assert_eq!((found, &report["filesNotFoundAtSource"]), ([2, 2, 0], &json!(0)), "{report:#}");
}

/// The source would answer with the digest of the other file, whose bytes this side has under the name asked for.
#[tokio::test(flavor = "multi_thread")]
async fn another_files_digest_proves_nothing() {
    for (name, read_as) in [("x%41", "xA"), ("a\\b", "a/b"), ("a\tb", "ab"), ("%2e%2e%2fx", "..%2fx"), ("x%7e", "x~")] {
        let stock = Stock::start(|root| write_all(root, &[name, read_as]), "").await;
        // What the source has under the name itself is of the same size and time, and other.
        std::fs::write(stock.at("source", name), b"other").unwrap();
        set_time(&stock.at("source", name), TIME);
        let report = stock.verify().await;
        assert_eq!(report["state"], "FAILED", "{name:?}: {report:#}");
        assert_eq!(
            (&report["filesMatched"], &report["digestVerificationFailures"]),
            (&json!(1), &json!(1)),
            "{name:?}"
        );
        assert_eq!(report["differences"][0]["fileUrl"], format!("{FILES}/data/0/{name}"));
        assert_eq!(stock.asked(), [read_as]);
    }
}

/// Bytes are fetched under the same name as digests are.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_fetched_under_the_name_as_it_stands() {
    let name = "ks/SAI+a;b%2Fc%20d.db";
    let stock = Stock::start(|root| write_all(root, &[name]), "").await;
    let address = Endpoint::http("127.0.0.1", stock.proxy.port);
    let peer = Peer::new(address, settings(Duration::from_millis(50))).unwrap();
    stock.source.give_up_digests_after(Duration::from_millis(200));
    let url = FileUrl::new(RootId::DATA_0, RelPath::new(name.as_bytes()).unwrap());
    let digest = peer.digest(&url, 5, DigestAlgorithm::Md5).await.unwrap();
    assert_eq!(digest.to_string(), crate::support::stock_source::digest("MD5", b"bytes"));
    assert!(stock.proxy.request_lines().contains(&format!("GET {FILES}/data/0/{name} HTTP/1.1")));
}

/// A directory that is configured with a slash at its end is listed by a stock source as `data/0/`.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_with_the_root_itself_verifies() {
    for slash in ["/", "//"] {
        let stock = Stock::start(|root| write_all(root, &["ks/x", "y"]), slash).await;
        let listing = stock.source.listing();
        assert_eq!(listing["files"][0]["fileUrl"], format!("{FILES}/data/0/"), "{listing:#}");
        let report = stock.verify().await;
        assert_eq!((&report["state"], &report["filesMatched"]), (&json!("COMPLETED"), &json!(2)), "{report:#}");
        // Two files and one directory: the root is none of them.
        assert_eq!(report["metadataMatched"], 3);
    }
}

fn settings(idle_timeout: Duration) -> PeerSettings {
    PeerSettings {
        policy: RetryPolicy::default(),
        connect_timeout: Duration::from_secs(5),
        idle_timeout,
        patience: Patience::USUAL,
        allowance: Allowance::new(256 << 20),
        max_idle_connections: 4,
    }
}

/// Answers every request with the digest of nothing, and keeps the first lines of all of them.
async fn recorder() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, lines) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
    let recorded = Arc::clone(&lines);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let recorded = Arc::clone(&recorded);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut head = String::new();
                while let Ok(1..) = stream.read_line(&mut head).await {
                    if head.ends_with("\r\n\r\n") {
                        recorded.lock().unwrap().push(head.split("\r\n").next().unwrap().to_owned());
                        head.clear();
                        let body = r#"{"digest":"1B2M2Y8AsgTpgAmY7PhCfg==","digestAlgorithm":"MD5"}"#;
                        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                }
            });
        }
    });
    (port, lines)
}

#[test]
fn a_name_crosses_the_wire_as_it_is_or_not_at_all() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (port, lines) = runtime.block_on(recorder());
    let address = Endpoint::http("127.0.0.1", port);
    let peer = runtime.block_on(async { Peer::new(address, settings(Duration::from_secs(5))).unwrap() });
    let sent = std::cell::Cell::new(0);
    let every_ascii = (1..128_u8).filter(|byte| *byte != b'/').map(|byte| format!("x{}y", char::from(byte)));
    let check = |name: &str| {
        let Ok(path) = RelPath::new(name.as_bytes()) else { return };
        let url = FileUrl::new(RootId::DATA_0, path);
        match runtime.block_on(peer.digest(&url, 0, DigestAlgorithm::Md5)) {
            Ok(_) => {
                let expected = format!("GET {FILES}/data/0/{name}?digestAlgorithm=MD5 HTTP/1.1");
                assert_eq!(lines.lock().unwrap().pop().as_deref(), Some(expected.as_str()));
                sent.set(sent.get() + 1);
            }
            Err(DigestFailure::Name(_)) => {}
            Err(failure) => panic!("{name:?}: {failure:?}"),
        }
        assert!(lines.lock().unwrap().is_empty(), "{name:?}: asked for and not answered");
    };
    every_ascii.for_each(|name| check(&name));
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    runner
        .run(&"([ -~]|%[0-9a-fA-F]{2}|\\PC|[\t\r\n]|[a-z+;]){1,8}", |name| {
            check(&name);
            Ok(())
        })
        .unwrap();
    assert!(sent.get() > 100, "{} names were asked for", sent.get());
}
