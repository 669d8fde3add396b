//! Sources that are not there, are something else, or fall silent: each is named with its cause, and proves nothing.

use serde_json::{Value, json};
use twintree::model::Counters;
use twintree::protocol::ManifestFrame;

use crate::support::process::free_port;
use crate::support::scripted_source::{Answer, Ending, ScriptedSource, bytes_of};
use crate::support::services::{Pair, Setup, md5_request, storage_dirs};
use crate::support::trees::{copy_tree, flip_byte, plant, planted};

/// A destination with a small tree, a scripted source, and the real service that could have been the source.
pub struct Faced {
    pub source: ScriptedSource,
    pub pair: Pair,
    pub trees: tempfile::TempDir,
}

impl Faced {
    /// Both trees have the same metadata, and not one file in common: whatever is counted as matched was not.
    pub async fn start() -> Self {
        Self::with_idle_timeout("5s").await
    }

    pub async fn with_idle_timeout(idle_timeout: &str) -> Self {
        let trees = tempfile::tempdir().unwrap();
        let (original, copy) = (trees.path().join("source"), trees.path().join("destination"));
        plant(&original, 2, 3, 100);
        copy_tree(&original, &copy);
        planted(&copy).iter().for_each(|file| flip_byte(file, 50));
        let source = ScriptedSource::start().await;
        let (mut s, mut d) = (original.display().to_string(), copy.display().to_string());
        let setup = Setup { source_port: Some(source.port), idle_timeout, ..storage_dirs(&mut s, &mut d) };
        Self { pair: Pair::start(setup).await, source, trees }
    }

    /// The task fails with this message after the peer's address, and counts nothing as matched.
    pub async fn fails_with(&self, text: &str) -> Value {
        self.fails(&md5_request(), text).await
    }

    /// The same for another request.
    pub async fn fails(&self, request: &Value, text: &str) -> Value {
        let report = self.pair.verify(request).await;
        let message = report["message"].as_str().unwrap_or_default();
        let expected = format!("source 127.0.0.1:{}{text}", self.source.port);
        assert_eq!(report["state"], "FAILED", "{text}: {report:#}");
        assert!(message.starts_with(&expected), "expected {expected:?}, got {message:?}");
        assert_eq!((&report["filesMatched"], &report["digestMismatches"]), (&json!(0), &json!(0)), "{text}");
        report
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_where_nobody_listens_is_named_after_the_last_retry() {
    let trees = tempfile::tempdir().unwrap();
    plant(trees.path(), 1, 1, 10);
    let port = free_port();
    let pair = Pair::calling(port, trees.path(), trees.path()).await;
    let report = pair.verify(&md5_request()).await;
    assert_eq!(report["state"], "FAILED");
    let message = report["message"].as_str().unwrap();
    assert!(
        message.starts_with(&format!("source 127.0.0.1:{port} cannot be reached: connection refused")),
        "{message}"
    );
    assert!(message.ends_with("(gave up after 3 requests)"), "{message}");
    assert_eq!(report["sourceRequests"], 3);
    let counters: Counters = serde_json::from_value(report).unwrap();
    assert_eq!(counters, Counters::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_none_is_recognised_by_its_first_answers() {
    let faced = Faced::start().await;
    let no_source = " answers 404 to manifests and to the listing of its files";
    // Without manifests it is asked for its listing, and without one there is nothing more to ask for.
    for (status, media_type, body, message, requests) in [
        (404, "application/json", r#"{"status":"Not Found"}"#, no_source, 2),
        (404, "application/json", r#"{"status":"Not Found","code":404,"message":"Not Found"}"#, no_source, 2),
        (404, "text/html", "<html><body><h1>Resource not found</h1></body></html>", no_source, 2),
        (200, "application/json", "{}", " answered with the media type \"application/json\": it is not a twintree", 1),
        (403, "application/json", r#"{"status":"Forbidden","code":403,"message":"no"}"#, " answered 403: no", 1),
    ] {
        let before = faced.source.asked().len();
        faced.source.script(move |_| Answer::new(status, media_type, body));
        faced.fails_with(message).await;
        assert_eq!(faced.source.asked().len() - before, requests, "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_internal_error_of_the_source_is_retried_and_told() {
    let faced = Faced::start().await;
    let body = r#"{"status":"Internal Server Error","code":500,"message":"the disk is gone"}"#;
    faced.source.script(move |_| Answer::new(500, "application/json", body));
    faced.fails_with(" answered 500: the disk is gone (gave up after 3 requests)").await;
    assert_eq!(faced.source.asked().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_version_is_refused_on_both_sides() {
    let faced = Faced::start().await;
    let mut frames = faced.pair.true_frames().await;
    let ManifestFrame::Hello(hello) = &mut frames[0] else { panic!("no hello") };
    hello.protocol_version = 4;
    let body = bytes_of(&frames);
    faced.source.script(move |_| Answer::manifest(body.clone(), Ending::Clean));
    faced.fails_with(" speaks protocol version 4, this twintree speaks version 3").await;

    let url = format!("http://127.0.0.1:{}/api/v1/live-migration/manifests", faced.pair.source_port);
    let request = reqwest::Client::new().post(url).header("Host", format!("127.0.0.1:{}", faced.source.port));
    let response =
        request.json(&json!({ "lowestVersion": 4, "highestVersion": 9, "maxConcurrency": 1 })).send().await.unwrap();
    assert_eq!(response.status(), 400);
    let refusal = response.text().await.unwrap();
    let text = "protocol versions 4 to 9 are not spoken here; this twintree speaks version 3";
    let expected = json!({ "status": "Bad Request", "code": 400, "message": text });
    assert_eq!(serde_json::from_str::<Value>(&refusal).unwrap(), expected);
    faced.source.script(move |_| Answer::new(400, "application/json", refusal.clone()));
    faced.fails_with(&format!(" answered 400: {text}")).await;
}

/// After the hello, inside the next frame, after the metadata, and before the end.
fn prefixes(frames: &[ManifestFrame]) -> Vec<Vec<u8>> {
    let metadata = frames.iter().position(|frame| matches!(frame, ManifestFrame::MetadataEnd)).unwrap();
    let hello = bytes_of(&frames[..1]);
    let inside = bytes_of(&frames[..2])[..hello.len() + 3].to_vec();
    vec![hello, inside, bytes_of(&frames[..=metadata]), bytes_of(&frames[..frames.len() - 1])]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_always_breaks_off_at_the_same_place_is_given_up() {
    let faced = Faced::start().await;
    for (at, prefix) in prefixes(&faced.pair.true_frames().await).into_iter().enumerate() {
        for ending in [Ending::Cut, Ending::Clean] {
            let before = faced.source.asked().len();
            let body = prefix.clone();
            faced.source.script(move |_| Answer::manifest(body.clone(), ending));
            let report = faced.fails_with(": the exchange was interrupted: ").await;
            let message = report["message"].as_str().unwrap();
            assert!(message.ends_with("(gave up after 3 requests)"), "prefix {at}, {ending:?}: {message}");
            if ending == Ending::Clean {
                assert!(message.contains("the stream stopped before its end"), "{message}");
            }
            let posts = faced.source.asked()[before..].iter().filter(|asked| asked.starts_with("POST")).count();
            assert_eq!(posts, 3, "prefix {at}, {ending:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_falls_silent_runs_into_the_idle_time_out() {
    let faced = Faced::with_idle_timeout("500ms").await;
    for prefix in prefixes(&faced.pair.true_frames().await) {
        faced.source.script(move |asked| match asked.starts_with("POST") {
            true => Answer::manifest(prefix.clone(), Ending::Stall),
            false => Answer::new(204, "text/plain", ""),
        });
        let text = ": the exchange was interrupted: nothing came within the idle time-out (gave up after 3 requests)";
        faced.fails_with(text).await;
    }
    faced.source.script(|_| Answer { ending: Ending::Silence, ..Answer::new(200, "text/plain", "") });
    faced.fails_with(" cannot be reached: it did not answer in time (gave up after 3 requests)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_the_source_itself_reports_is_passed_on() {
    let faced = Faced::start().await;
    let mut frames = faced.pair.true_frames().await;
    let failure = twintree::protocol::SourceFailure { code: "build-failed".into(), message: "too large".into() };
    *frames.last_mut().unwrap() = ManifestFrame::Error(failure);
    let body = bytes_of(&frames);
    faced.source.script(move |_| Answer::manifest(body.clone(), Ending::Clean));
    faced.fails_with(" failed: too large (build-failed)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_forgot_the_manifest_before_the_branches_is_named_with_the_manifest() {
    let faced = Faced::start().await;
    let frames = faced.pair.true_frames().await;
    let ManifestFrame::Hello(hello) = &frames[0] else { panic!("no hello") };
    let id = uuid::Uuid::from_bytes(hello.manifest_id);
    let body = bytes_of(&frames);
    let text = format!("no manifest with id {id} is kept here");
    let refusal = json!({ "status": "Not Found", "code": 404, "message": text }).to_string();
    faced.source.script(move |asked| match asked.ends_with("/manifests") {
        true => Answer::manifest(body.clone(), Ending::Clean),
        false => Answer::new(404, "application/json", refusal.clone()),
    });
    faced.fails_with(&format!(" answered 404: {text}")).await;
    assert!(faced.source.asked()[1].ends_with(&format!("/manifests/{id}/branches")));
}

/// The truth of the whole instance, where only a part was asked for: nothing is compared, and nothing counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_does_not_restrict_itself_proves_nothing() {
    let faced = Faced::start().await;
    let truth = bytes_of(&faced.pair.true_frames().await);
    faced.source.script(move |_| Answer::manifest(truth.clone(), Ending::Clean));
    for keyspaces in [json!(["ks"]), json!(["ks.table"]), json!(["other"])] {
        let request = json!({ "maxConcurrency": 4, "digestAlgorithm": "MD5", "keyspaces": keyspaces });
        faced.fails(&request, " does not restrict itself to the keyspaces asked for").await;
    }
}
