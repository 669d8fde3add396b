//! What a task says while its source does not answer, and what it does not say where it ended by its own decision.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use rustix::process::Signal;
use tokio_util::sync::CancellationToken;
use twintree::protocol::{BRANCHES_MEDIA_TYPE, MANIFEST_MEDIA_TYPE, ManifestFrame};

use crate::support::process::{Process, free_port, twintree};
use crate::support::scripted_source::bytes_of;
use crate::support::services::{Pair, Setup, md5_request, storage_dirs};
use crate::support::trees::{copy_tree, plant, planted};

/// A pair whose destination calls `called`, where nobody listens yet, and tries for long.
async fn without_a_source(trees: &Path, called: u16, source_extra: &str) -> Pair {
    let (s, d) = (trees.join("source"), trees.join("destination"));
    plant(&s, 2, 3, 100);
    copy_tree(&s, &d);
    let (mut left, mut right) = (s.display().to_string(), d.display().to_string());
    let setup = storage_dirs(&mut left, &mut right);
    Pair::start(Setup { source_port: Some(called), max_retries: 600, source_extra, ..setup }).await
}

/// Passes connections to `called` on to the source.
async fn raise(called: u16, source: u16) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", called)).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut source = tokio::net::TcpStream::connect(("127.0.0.1", source)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut source).await;
            });
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_down_for_a_while_stands_in_the_status_until_it_answers() {
    for source_extra in ["", "twintree: {serve_manifests: false}"] {
        let trees = tempfile::tempdir().unwrap();
        let called = free_port();
        let pair = without_a_source(trees.path(), called, source_extra).await;
        let id = pair.begin(&md5_request()).await;
        let status = pair.wait_until(&id, |status| status["sourceTrouble"].is_string()).await;
        let trouble = status["sourceTrouble"].as_str().unwrap();
        let expected = format!("source 127.0.0.1:{called} does not answer: connection refused; trying for ");
        assert!(trouble.starts_with(&expected) && trouble.ends_with(" s more"), "{trouble}");
        raise(called, pair.source_port).await;
        let status = pair.wait(&id).await;
        assert_eq!((&status["state"], &status["filesMatched"]), (&"COMPLETED".into(), &6.into()), "{status:#}");
        assert_eq!(status.get("sourceTrouble"), None, "{status:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_stays_away_leaves_no_trouble_behind_but_the_message() {
    let trees = tempfile::tempdir().unwrap();
    let called = free_port();
    let pair = without_a_source(trees.path(), called, "").await;
    let id = pair.begin(&md5_request()).await;
    pair.wait_until(&id, |status| status["sourceTrouble"].is_string()).await;
    let (_, status) = pair.patch(&format!("/files-verification-tasks/{id}")).await;
    assert_eq!((&status["state"], status.get("sourceTrouble")), (&"CANCELLED".into(), None), "{status:#}");
}

/// The configuration of one service that has both instances, with these lines besides.
fn both_sides(directory: &Path, port: u16, more: &str) -> std::path::PathBuf {
    let storage = |name: &str| directory.join(name);
    let yaml = format!(
        "cassandra_instances:\n\
         - {{id: 1, host: 127.0.0.1, storage_dir: {:?}}}\n\
         - {{id: 2, host: localhost, storage_dir: {:?}}}\n\
         sidecar: {{host: 127.0.0.1, port: {port}}}\n{more}\n",
        storage("source"),
        storage("destination"),
    );
    let config = directory.join("sidecar.yaml");
    std::fs::write(&config, yaml).unwrap();
    config
}

#[test]
fn the_terminal_says_once_that_the_source_does_not_answer() {
    let directory = tempfile::tempdir().unwrap();
    let (port, nobody) = (free_port(), free_port());
    plant(&directory.path().join("destination"), 1, 1, 10);
    let more = format!(
        "live_migration: {{migration_map: {{'127.0.0.1:{nobody}': localhost}}}}\n\
         sidecar_client: {{max_retries: 40, retry_delay: 50ms, max_retry_delay: 50ms}}"
    );
    let _service = Process::serve(&both_sides(directory.path(), port, &more), port);
    let mut command = twintree();
    command.args(["verify", "--destination"]).arg(format!("http://localhost:{port}"));
    let mut verify = Process::start(command);
    verify.wait();
    let errors = verify.errors();
    let said = format!("source 127.0.0.1:{nobody} does not answer: connection refused; trying for ");
    assert_eq!(errors.matches(&said).count(), 1, "{errors}");
}

/// Stands before a source. A manifest stream stops short in the middle once branches are asked for, and they are answered
/// only when there was time to ask for the stream again.
struct StoppingFront {
    source: u16,
    metadata: Vec<u8>,
    branches_asked: CancellationToken,
    streams: AtomicU64,
    http: reqwest::Client,
}

async fn stop_short(State(front): State<Arc<StoppingFront>>, request: Request) -> Response {
    if request.uri().path().ends_with("/manifests") {
        front.streams.fetch_add(1, SeqCst);
        let (head, asked) = (Bytes::from(front.metadata.clone()), front.branches_asked.clone());
        let body = Body::from_stream(async_stream::stream! {
            yield Ok(head);
            asked.cancelled().await;
            yield Err(std::io::Error::other("the source need not go on"));
        });
        return Response::builder().header("Content-Type", MANIFEST_MEDIA_TYPE).body(body).unwrap();
    }
    front.branches_asked.cancel();
    // Many times the delay of a retry, which is 1 ms here.
    for _ in 0..50 {
        if front.streams.load(SeqCst) > 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let url = format!("http://127.0.0.1:{}{}", front.source, parts.uri);
    let answer = front.http.request(parts.method, url).headers(parts.headers).body(body).send().await.unwrap();
    let head = Response::builder().status(answer.status()).header("Content-Type", BRANCHES_MEDIA_TYPE);
    head.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}

/// Metadata differs, so the destination stops the source in the middle of hashing, and the stream breaks off.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_metadata_ended_does_not_try_its_stream_again() {
    let directory = tempfile::tempdir().unwrap();
    let (s, d) = (directory.path().join("source"), directory.path().join("destination"));
    plant(&s, 2, 3, 100);
    copy_tree(&s, &d);
    std::fs::remove_file(&planted(&d)[0]).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let called = listener.local_addr().unwrap().port();
    let pair = Pair::calling(called, &s, &d).await;
    let mut frames = pair.true_frames().await;
    let end = frames.iter().position(|frame| matches!(frame, ManifestFrame::MetadataEnd)).unwrap();
    frames.truncate(end + 1);
    let front = Arc::new(StoppingFront {
        source: pair.source_port,
        metadata: bytes_of(&frames),
        branches_asked: CancellationToken::new(),
        streams: AtomicU64::new(0),
        http: reqwest::Client::new(),
    });
    let router = axum::Router::new().fallback(stop_short).with_state(Arc::clone(&front));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let port = free_port();
    let more = format!(
        "live_migration: {{migration_map: {{'127.0.0.1:{called}': localhost}}}}\nsidecar_client: {{retry_delay: 1ms}}"
    );
    let config = both_sides(directory.path(), port, &more);
    let run = move || {
        let mut service = Process::serve(&config, port);
        let mut command = twintree();
        command.args(["verify", "--json", "--destination"]).arg(format!("http://localhost:{port}"));
        let code = command.output().unwrap().status.code();
        service.signal(Signal::TERM);
        assert_eq!((code, service.wait().code()), (Some(1), Some(0)));
        service.output() + &service.errors()
    };
    let log = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(log.contains("a verification ended") && front.branches_asked.is_cancelled(), "{log}");
    assert!(!log.contains("a request is tried again"), "{log}");
    assert_eq!(front.streams.load(SeqCst), 1, "{log}");
}
