//! What others can make a service hold is counted against one budget, refused beyond it, and given back.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use twintree::manifest::encode_block;
use twintree::model::{Blake3Digest, Content, FileEntry, Listed, Name};
use twintree::protocol::{BranchDirectory, BranchRequest, MAX_BRANCH_REQUEST_BYTES, ManifestFrame};
use twintree::work::{Holder, MemoryBudget};

use crate::support::greedy::{ELSEWHERE, ask, connect, head, read_head};
use crate::support::random::Random;
use crate::support::services::{Pair, Setup, md5_request, storage_dirs};
use crate::support::trees::{copy_tree, flip_byte, plant, planted};

/// A pair with the smallest budget there can be; one file differs.
async fn pair() -> (Pair, tempfile::TempDir) {
    let trees = tempfile::tempdir().unwrap();
    let (s, d) = (trees.path().join("source"), trees.path().join("destination"));
    plant(&s, 3, 4, 50);
    copy_tree(&s, &d);
    flip_byte(&planted(&d)[1], 7);
    let (mut left, mut right) = (s.display().to_string(), d.display().to_string());
    let extra = "twintree: {memory_limit: 256MiB}";
    (Pair::start(Setup { extra, ..storage_dirs(&mut left, &mut right) }).await, trees)
}

/// The id of a manifest that is kept at the source.
async fn kept_manifest(pair: &Pair) -> uuid::Uuid {
    match &pair.true_frames().await[0] {
        ManifestFrame::Hello(hello) => uuid::Uuid::from_bytes(hello.manifest_id),
        other => panic!("{other:?}"),
    }
}

/// Looks at the budget until it is as it should be.
async fn until(budget: &MemoryBudget, seen: impl Fn(u64) -> bool) {
    for _ in 0..3000 {
        if seen(budget.held()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} bytes are held", budget.held());
}

fn is_busy(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: 5\r\n")
}

/// The task that counts: one file differs, whatever else goes on.
async fn one_file_differs(pair: &Pair) {
    let report = pair.verify(&md5_request()).await;
    assert_eq!(
        (&report["filesMatched"], &report["digestMismatches"]),
        (&Value::from(11), &Value::from(1)),
        "{report:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_refused_before_a_byte_of_its_body_is_there() {
    let (pair, _trees) = pair().await;
    let budget = pair.source.app().memory().clone();
    let before = budget.held();
    let mut held = Vec::new();
    let unknown = format!("manifests/{}/branches", uuid::Uuid::nil());
    for (port, path, code) in [
        (pair.source_port, unknown.as_str(), 404),
        (pair.source_port, "manifests/none/branches", 404),
        (pair.destination_port, &unknown, 404),
        (pair.source_port, "files-verification-tasks", 404),
        (pair.destination_port, "manifests", 404),
    ] {
        let length = if path.ends_with("branches") { MAX_BRANCH_REQUEST_BYTES } else { 1000 };
        let (stream, answer) = ask(ELSEWHERE, port, &head("POST", path, port, length), b"").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{path}: {answer}");
        held.push(stream);
    }
    assert_eq!(budget.held(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_counted_as_they_come_and_what_does_not_fit_is_refused() {
    let (pair, _trees) = pair().await;
    let path = format!("manifests/{}/branches", kept_manifest(&pair).await);
    let budget = pair.source.app().memory().clone();
    let before = budget.held();
    let length = 22 << 20;
    let request = head("POST", &path, pair.source_port, length);
    // An announcement costs nothing.
    let mut silent = Vec::new();
    for _ in 0..30 {
        let mut stream = connect(ELSEWHERE, pair.source_port).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        silent.push(stream);
    }
    until(&budget, |held| held > before).await;
    assert!(budget.held() < before + (30 << 20), "{}", budget.held());
    // What comes does.
    let body = vec![0; length - 1];
    let sending = silent.into_iter().map(|mut stream| {
        let body = body.clone();
        tokio::spawn(async move {
            let sent = stream.write_all(&body).await.is_ok();
            (stream, sent)
        })
    });
    let mut refused = 0;
    let mut waiting: Vec<TcpStream> = Vec::new();
    for sent in sending.collect::<Vec<_>>() {
        let (mut stream, sent) = sent.await.unwrap();
        // One that is not refused waits for the last byte.
        match tokio::time::timeout(Duration::from_millis(200), read_head(&mut stream)).await {
            Err(_) => waiting.push(stream),
            Ok(answer) => {
                assert!(is_busy(&answer) || !sent, "{answer}");
                refused += 1;
            }
        }
    }
    assert!(refused >= 25 && !waiting.is_empty(), "{refused} were refused");
    let held = budget.held();
    assert!(held > before + (20 << 20) && held - before <= (budget.limit() - before) / 2, "{held} of {before}");
    one_file_differs(&pair).await;
    let mut last = waiting.pop().unwrap();
    drop(waiting);
    last.write_all(&[0]).await.unwrap();
    assert!(read_head(&mut last).await.starts_with("HTTP/1.1 400 "), "it is heard to its end");
    drop(last);
    until(&budget, |held| held == before).await;
}

/// Files that the source has, with other digests; and as many more, with names that take little and problems that say nothing.
fn hostile_leaves(more: usize) -> Vec<u8> {
    let file = |name: String, content| FileEntry {
        name: Name::new(name.as_bytes()).unwrap(),
        listed: Listed::File { size: 50, modified_ms: 0, content },
    };
    let other = Content::Digest(Blake3Digest([1; 32]));
    let mut files: Vec<FileEntry> = (0..4).map(|at| file(format!("nb-{at}-big-Data.db"), other.clone())).collect();
    files.extend((0..more).map(|at| file(format!("{at:05x}"), Content::NotRead)));
    files.sort_by(|a, b| a.name.cmp(&b.name));
    encode_block(&files)
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_of_a_million_files_are_compared_where_they_stand() {
    let (pair, _trees) = pair().await;
    let id = kept_manifest(&pair).await;
    let leaves = hostile_leaves(1_000_000);
    let directories = (0..5).map(|directory| BranchDirectory { root: 0, directory, leaves: None });
    let mut request = BranchRequest { directories: directories.collect(), algorithm: Some("MD5".into()), last: false };
    request.directories[4].leaves = Some(leaves.into());
    let body = request.encode();
    let budget = pair.source.app().memory().clone();
    let before = budget.held();
    let path = format!("manifests/{id}/branches");
    let (mut stream, answer) =
        ask(ELSEWHERE, pair.source_port, &head("POST", &path, pair.source_port, body.len()), &body).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // The body is gone once it was compared.
    until(&budget, |held| held < before + (2 << 20)).await;
    let _ = tokio::time::timeout(Duration::from_secs(1), stream.read_to_end(&mut Vec::new())).await;
    drop(stream);
    until(&budget, |held| held == before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_many_files_counts_with_the_block_that_is_sent() {
    let (pair, trees) = pair().await;
    let large = trees.path().join("source/data/a");
    std::fs::create_dir(&large).unwrap();
    for number in 0..20_000 {
        std::fs::write(large.join(format!("{number:0250}")), b"").unwrap();
    }
    let id = kept_manifest(&pair).await;
    let directories = (0..).map(|directory| BranchDirectory { root: 0, directory, leaves: None });
    let asked = BranchRequest { directories: directories.take(2).collect(), algorithm: None, last: false };
    let (path, body) = (format!("manifests/{id}/branches"), asked.encode());
    let request = head("POST", &path, pair.source_port, body.len());
    let budget = pair.source.app().memory();
    // The names alone are 5 MB.
    let taken = budget.take(Holder::Service, budget.limit() - budget.held() - (4 << 20)).unwrap();
    let (_, answer) = ask(ELSEWHERE, pair.source_port, &request, &body).await;
    assert!(is_busy(&answer), "{answer}");
    drop(taken);
    let (_, answer) = ask(ELSEWHERE, pair.source_port, &request, &body).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// Directories beyond what the system's buffers take of a stream, and as many differences.
const MANY: usize = 12_000;

/// Nothing that could be packed.
fn long_name(random: &mut Random) -> std::ffi::OsString {
    let bytes = random.bytes(240).into_iter().map(|byte| if matches!(byte, 0 | b'/') { 255 } else { byte });
    std::os::unix::ffi::OsStringExt::from_vec(bytes.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_reports_that_nobody_reads_are_counted_and_refused_beyond_the_budget() {
    let (pair, trees) = pair().await;
    let (mut random, hints) = (Random::new(7), trees.path().join("source/hints"));
    for _ in 0..MANY {
        std::fs::create_dir_all(hints.join(long_name(&mut random))).unwrap();
    }
    let manifest = kept_manifest(&pair).await;
    let missing = pair.verify(&md5_request()).await;
    assert_eq!(missing["differencesTotal"], MANY);
    let task = format!("files-verification-tasks/{}/report", missing["id"].as_str().unwrap());
    let resume = format!(r#"{{"lowestVersion":3,"highestVersion":3,"maxConcurrency":4,"resume":"{manifest}"}}"#);
    for (app, port, method, path, body) in [
        (pair.source.app(), pair.source_port, "POST", "manifests", resume.as_str()),
        (pair.destination.app(), pair.destination_port, "GET", &task, ""),
        (pair.destination.app(), pair.destination_port, "GET", &format!("{task}?format=html"), ""),
    ] {
        let budget = app.memory().clone();
        let before = budget.held();
        let request = head(method, path, port, body.len());
        let (mut unread, mut refused) = (Vec::new(), 0);
        // At once: whoever reads nothing is cut off after half a minute.
        for (stream, answer) in join_all((0..60).map(|_| ask(ELSEWHERE, port, &request, body.as_bytes()))).await {
            match is_busy(&answer) {
                true => refused += 1,
                false => assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}"),
            }
            unread.push(stream);
        }
        let held = budget.held() - before;
        assert!(refused > 5 && held > 60 << 20, "{path}: {refused} were refused, {held} bytes are held");
        assert!(held <= (budget.limit() - before) / 2, "{path}: {held}");
        let (_, answer) = ask(std::net::Ipv4Addr::LOCALHOST, port, &request, body.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: another client has room: {answer}");
        drop(unread);
        until(&budget, |held| held == before).await;
    }
    std::fs::remove_dir_all(hints).unwrap();
    one_file_differs(&pair).await;
}

/// A client that gives a manifest up and goes on with an answer from it would keep a tree in memory each time.
#[tokio::test(flavor = "multi_thread")]
async fn who_still_follows_a_manifest_that_was_dropped_is_cut_off_and_its_tree_is_gone() {
    let (pair, _trees) = pair().await;
    let id = kept_manifest(&pair).await;
    let tree = std::sync::Arc::downgrade(&pair.source.app().offers().all()[0]);
    let path = format!("manifests/{id}/branches");
    // Its body never ends, so that nothing but the cut can end it.
    let mut following = connect(ELSEWHERE, pair.source_port).await.unwrap();
    following.write_all(head("POST", &path, pair.source_port, 1000).as_bytes()).await.unwrap();
    while tree.upgrade().unwrap().listeners() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let dropped = head("DELETE", &format!("manifests/{id}"), pair.source_port, 0);
    let (_, answer) = ask(ELSEWHERE, pair.source_port, &dropped, b"").await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    assert_eq!(read_head(&mut following).await, "", "its connection is cut");
    while tree.strong_count() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Each finished manifest that is followed is a tree in memory: a client has a few, and others have theirs.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_follows_a_few_manifests_at_a_time() {
    let (pair, _trees) = pair().await;
    let mut following = Vec::new();
    for _ in 0..4 {
        let id = kept_manifest_of(ELSEWHERE, &pair).await;
        let path = format!("manifests/{id}/branches");
        let mut stream = connect(ELSEWHERE, pair.source_port).await.unwrap();
        stream.write_all(head("POST", &path, pair.source_port, 1000).as_bytes()).await.unwrap();
        let followed = || pair.source.app().offers().all().iter().filter(|offer| offer.listeners() > 0).count();
        while followed() <= following.len() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        following.push(stream);
    }
    let body = br#"{"lowestVersion":3,"highestVersion":3,"maxConcurrency":1}"#;
    let request = head("POST", "manifests", pair.source_port, body.len());
    let (_, answer) = ask(ELSEWHERE, pair.source_port, &request, body).await;
    assert!(is_busy(&answer), "{answer}");
    one_file_differs(&pair).await;
}

/// The id of a manifest that this client asked for and took to its end.
async fn kept_manifest_of(client: std::net::Ipv4Addr, pair: &Pair) -> uuid::Uuid {
    let before: Vec<uuid::Uuid> = pair.source.app().offers().all().iter().map(|offer| offer.id).collect();
    let body = br#"{"lowestVersion":3,"highestVersion":3,"maxConcurrency":1}"#;
    let request = head("POST", "manifests", pair.source_port, body.len());
    let (stream, answer) = ask(client, pair.source_port, &request, body).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(stream);
    loop {
        let offers = pair.source.app().offers().all();
        let own = offers.iter().find(|offer| !before.contains(&offer.id) && offer.listeners() == 0);
        match own.filter(|offer| matches!(offer.build.phase(), twintree::work::Phase::Done)) {
            Some(own) => return own.id,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}
