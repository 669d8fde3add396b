//! Connections that break and come back: the exchange goes on where it was, and nothing is read twice.

use std::path::Path;

use twintree::protocol::ManifestFrame;

use crate::support::chaos_proxy::{ChaosProxy, Mode, Then};
use crate::support::scripted_source::{Answer, Ending, ScriptedSource, bytes_of};
use crate::support::services::{Pair, Setup, md5_request, storage_dirs};
use crate::support::trees::{copy_tree, flip_byte, plant, planted};

const FILES: usize = 600;

async fn through_a_proxy(source: &Path, destination: &Path) -> (Pair, ChaosProxy) {
    let proxy = ChaosProxy::start().await;
    let pair = Pair::calling(proxy.port, source, destination).await;
    proxy.set(Mode::Forward(pair.source_port));
    (pair, proxy)
}

/// Two equal trees of 200 tables.
fn equal_trees() -> tempfile::TempDir {
    let trees = tempfile::tempdir().unwrap();
    plant(&trees.path().join("source"), 200, 3, 8 << 10);
    copy_tree(&trees.path().join("source"), &trees.path().join("destination"));
    trees
}

/// The head of an answer comes before its first frame.
const HEAD: usize = 400;

/// How many bytes the hello is, and how many everything is up to the end of the metadata. What follows are 200 hashes
/// and more, which do not shrink: at least 6400 bytes, though their number of frames is another one each time.
async fn sizes(pair: &Pair) -> (usize, usize) {
    let mut frames = pair.true_frames().await;
    frames.retain(|frame| !matches!(frame, ManifestFrame::Progress(_)));
    let metadata = frames.iter().position(|frame| matches!(frame, ManifestFrame::MetadataEnd)).unwrap();
    (bytes_of(&frames[..1]).len(), bytes_of(&frames[..=metadata]).len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_once_goes_on_with_the_same_build_and_reads_no_file_twice() {
    let trees = equal_trees();
    let (source, destination) = (trees.path().join("source"), trees.path().join("destination"));
    let (pair, _) = through_a_proxy(&source, &destination).await;
    let (hello, metadata) = sizes(&pair).await;
    assert!(metadata > hello + 2 * HEAD, "{metadata}");
    for cut_after in [hello + HEAD, (hello + HEAD).midpoint(metadata), metadata + HEAD, metadata + HEAD + 4000] {
        let (pair, proxy) = through_a_proxy(&source, &destination).await;
        let to = pair.source_port;
        proxy.set(Mode::CutAfter { bytes: cut_after, to, then: Then::Forward(to) });
        let report = pair.verify(&md5_request()).await;
        assert_eq!(report["state"], "COMPLETED", "cut after {cut_after}: {report:#}");
        assert_eq!((proxy.cuts(), pair.source.app().requests()), (1, 2), "cut after {cut_after}");
        assert_eq!((&report["sourceRequests"], &report["filesMatched"]), (&2.into(), &FILES.into()));
        let offers = pair.source.app().offers().all();
        assert_eq!(offers.len(), 1, "the second request attached to the first one's build");
        assert_eq!(offers[0].build.progress().files_opened, FILES as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn matches_that_a_resumed_stream_repeats_are_counted_once() {
    let trees = tempfile::tempdir().unwrap();
    plant(trees.path(), 2, 3, 100);
    let scripted = ScriptedSource::start().await;
    let storage = trees.path().display().to_string();
    let (mut s, mut d) = (storage.clone(), storage);
    // Long enough for the counters to be shown between two attempts.
    let setup = Setup { source_port: Some(scripted.port), idle_timeout: "600ms", ..storage_dirs(&mut s, &mut d) };
    let pair = Pair::start(setup).await;
    let mut frames = pair.true_frames().await;
    frames.pop();
    let body = bytes_of(&frames);
    scripted.script(move |asked| match asked.starts_with("POST") {
        true => Answer::manifest(body.clone(), Ending::Stall),
        false => Answer::new(204, "text/plain", ""),
    });
    let report = pair.verify(&md5_request()).await;
    assert_eq!((&report["state"], &report["sourceRequests"]), (&"FAILED".into(), &4.into()), "{report:#}");
    assert_eq!(report["filesMatched"], 6, "each of them is proven, though the stream never came to its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_cut_off_for_good_fails_the_task() {
    let trees = equal_trees();
    let (pair, proxy) = through_a_proxy(&trees.path().join("source"), &trees.path().join("destination")).await;
    let (hello, _) = sizes(&pair).await;
    proxy.set(Mode::CutAfter { bytes: hello + HEAD, to: pair.source_port, then: Then::Refuse });
    let report = pair.verify(&md5_request()).await;
    assert_eq!(report["state"], "FAILED");
    let message = report["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("source 127.0.0.1:{} ", proxy.port)), "{message}");
    assert!(message.ends_with("(gave up after 3 requests)"), "{message}");
    assert_eq!(report["filesMatched"], 0, "no metadata had come, so nothing was proven");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_restarts_in_mid_stream_is_verified_under_its_new_manifest() {
    let trees = equal_trees();
    let (source, destination) = (trees.path().join("source"), trees.path().join("destination"));
    flip_byte(&planted(&destination)[7], 4000);
    let (pair, proxy) = through_a_proxy(&source, &destination).await;
    // The same tree behind another process's manifests: to the destination, the source after a restart.
    let restarted = Pair::calling(proxy.port, &source, &destination).await;
    let (_, metadata) = sizes(&pair).await;
    let then = Then::Forward(restarted.source_port);
    proxy.set(Mode::CutAfter { bytes: metadata + HEAD + 2000, to: pair.source_port, then });
    let report = pair.verify(&md5_request()).await;
    assert_eq!(report["state"], "FAILED", "{report:#}");
    assert_eq!((&report["digestMismatches"], &report["filesMatched"]), (&1.into(), &(FILES - 1).into()), "{report:#}");
    assert_eq!(proxy.cuts(), 1);
    assert_eq!(restarted.source.app().requests(), 2, "the manifest, and the branch it differs in");
    let note =
        "the connection to the source broke, and it began its manifest again (1 times): what it had read by then";
    assert!(report["notes"].to_string().contains(note), "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_tree_changed_while_it_was_away_is_not_mixed_with_what_it_said_before() {
    let trees = equal_trees();
    let (source, destination) = (trees.path().join("source"), trees.path().join("destination"));
    let other = trees.path().join("other");
    plant(&other, 201, 3, 8 << 10);
    let (pair, proxy) = through_a_proxy(&source, &destination).await;
    let restarted = Pair::calling(proxy.port, &other, &destination).await;
    let (_, metadata) = sizes(&pair).await;
    proxy.set(Mode::CutAfter {
        bytes: metadata + HEAD + 2000,
        to: pair.source_port,
        then: Then::Forward(restarted.source_port),
    });
    let report = pair.verify(&md5_request()).await;
    let expected = format!("source 127.0.0.1:{}: the source's tree changed while it was verified", proxy.port);
    assert!(report["message"].as_str().unwrap().starts_with(&expected), "{report:#}");
}
