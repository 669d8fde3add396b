//! `/metrics`: every line is of the format, counters move by what happened, and no client can make up a label.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use crate::support::material::missing;
use crate::support::raw_http::{RawAnswer, exchange, exchange_with};
use crate::support::services::{Pair, md5_request, storage_dirs};
use crate::support::trees::{copy_tree, flip_byte, plant, planted};

const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What `/metrics` says to a client that accepts this.
async fn metrics(port: u16, accept: &'static str) -> RawAnswer {
    let address = format!("127.0.0.1:{port}");
    let accept = format!("Accept: {accept}");
    let ask = move || exchange_with(&address, "anybody", "GET", "/metrics", Some(&accept), None);
    tokio::task::spawn_blocking(ask).await.unwrap()
}

/// The samples by name and labels. Every line must be a comment of the format or a sample.
async fn scrape(port: u16) -> BTreeMap<String, f64> {
    let answer = metrics(port, "application/openmetrics-text").await;
    assert_eq!(answer.header("content-type"), Some(OPEN));
    let (text, end) = answer.body.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(end, "# EOF");
    samples(text)
}

fn samples(text: &str) -> BTreeMap<String, f64> {
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

/// Runs a program that reads `text`; `None` where it is not installed.
fn judge(mut command: Command, text: &str) -> Option<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()?;
    // A judge that refuses may stop reading; what it says counts.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    child.wait_with_output().ok()
}

/// A source after a task, with samples of every kind.
async fn busy_pair() -> (Pair, tempfile::TempDir) {
    let trees = tempfile::tempdir().unwrap();
    let (s, d) = (trees.path().join("source"), trees.path().join("destination"));
    plant(&s, 2, 2, 100);
    copy_tree(&s, &d);
    flip_byte(&planted(&d)[1], 7);
    let (mut left, mut right) = (s.display().to_string(), d.display().to_string());
    let pair = Pair::start(storage_dirs(&mut left, &mut right)).await;
    pair.verify(&md5_request()).await;
    (pair, trees)
}

/// Needs the program `promtool` (Debian: prometheus).
#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_no_fault_in_the_classic_format() {
    let (pair, _trees) = busy_pair().await;
    for port in [pair.source_port, pair.destination_port] {
        let answer = metrics(port, "*/*").await;
        assert_eq!(answer.header("content-type"), Some(CLASSIC));
        assert!(samples(&answer.body).len() >= 8, "{}", answer.body);
        let mut promtool = Command::new("promtool");
        promtool.args(["check", "metrics"]);
        let Some(output) = judge(promtool, &answer.body) else {
            missing("promtool", "the program is not installed");
            return;
        };
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success() && said.is_empty(), "{}\n{}", String::from_utf8_lossy(&said), answer.body);
    }
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]);
    let open = metrics(pair.source_port, "application/openmetrics-text").await.body;
    assert!(judge(promtool, &open).is_some_and(|output| !output.status.success()), "the judge does refuse something");
}

/// Needs Python's `prometheus_client` (PyPI: prometheus-client).
#[tokio::test(flavor = "multi_thread")]
async fn the_parser_of_pythons_client_takes_openmetrics() {
    const PARSE: &str = "import sys\nfrom prometheus_client.openmetrics.parser import text_string_to_metric_families as parse\n\
                         print(sum(len(family.samples) for family in parse(sys.stdin.read())))";
    let python = |code: &str| {
        let mut python = Command::new("python3");
        python.args(["-c", code]);
        python
    };
    if !judge(python("import prometheus_client"), "").is_some_and(|output| output.status.success()) {
        missing("prometheus_client", "Python cannot import it");
        return;
    }
    let (pair, _trees) = busy_pair().await;
    for port in [pair.source_port, pair.destination_port] {
        let answer = metrics(port, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await;
        assert_eq!(answer.header("content-type"), Some(OPEN));
        let count = samples(answer.body.strip_suffix("# EOF\n").unwrap()).len();
        let output = judge(python(PARSE), &answer.body).unwrap();
        assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), answer.body);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), count.to_string());
    }
    let classic = metrics(pair.source_port, "text/plain").await.body;
    assert!(!judge(python(PARSE), &classic).unwrap().status.success(), "the judge does refuse something");
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
