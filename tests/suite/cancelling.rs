//! Cancelling: the task ends at once, and so does the work on both sides.

use serde_json::json;
use twintree::work::BuildFailure;

use crate::faults::Faced;
use crate::support::scripted_source::{Answer, Ending, bytes_of};
use crate::support::services::{Pair, md5_request, storage_dirs};
use crate::support::trees::endless_file;

/// Both sides have one file that takes hours to hash.
async fn endless_pair(trees: &tempfile::TempDir) -> Pair {
    let (source, destination) = (trees.path().join("source"), trees.path().join("destination"));
    for storage in [&source, &destination] {
        endless_file(&storage.join("data/ks/table/nb-1-big-Data.db"));
    }
    let (mut s, mut d) = (source.display().to_string(), destination.display().to_string());
    Pair::start(storage_dirs(&mut s, &mut d)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_moves_while_both_sides_hash_and_cancelling_stops_both() {
    let trees = tempfile::tempdir().unwrap();
    let pair = endless_pair(&trees).await;
    let id = pair.begin(&md5_request()).await;
    for side in ["bytesHashed", "sourceBytesHashed"] {
        let earlier = pair.wait_until(&id, |status| status[side].as_u64() > Some(0)).await;
        let later = pair.wait_until(&id, |status| status[side].as_u64() > earlier[side].as_u64()).await;
        assert_eq!(later["state"], "IN_PROGRESS");
        assert!(later[side].as_u64() < Some(1 << 40), "{later:#}");
        assert_eq!(
            (&later["filesMatched"], &later["endedAt"], &later["message"]),
            (&json!(0), &json!(null), &json!(null))
        );
    }
    let total = json!(1u64 << 40);
    let both = pair.get(&format!("/files-verification-tasks/{id}")).await.1;
    assert_eq!((&both["bytesTotal"], &both["sourceBytesTotal"]), (&total, &total));
    let offer = pair.source.app().offers().all().pop().unwrap();
    let path = format!("/files-verification-tasks/{id}");
    let (code, cancelled) = pair.patch(&path).await;
    assert_eq!((code, &cancelled["state"]), (200, &json!("CANCELLED")), "{cancelled:#}");
    assert_eq!((&cancelled["message"], &cancelled["filesMatched"]), (&json!("cancelled on request"), &json!(0)));
    assert!(cancelled["endedAt"].as_i64() >= cancelled["startedAt"].as_i64());
    assert_eq!(offer.build.done().await.unwrap_err(), BuildFailure::Cancelled);
    assert!(pair.source.app().offers().all().is_empty());
    assert_eq!(pair.patch(&path).await, (200, cancelled.clone()), "it has ended, and stays as it is");
    assert_eq!(pair.get(&path).await, (200, cancelled));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_hangs_does_not_hold_up_cancelling() {
    let faced = Faced::with_idle_timeout("1h").await;
    let hello = bytes_of(&faced.pair.true_frames().await[..1]);
    faced.source.script(move |asked| match asked.starts_with("POST") {
        true => Answer::manifest(hello.clone(), Ending::Stall),
        false => Answer { ending: Ending::Silence, ..Answer::new(204, "text/plain", "") },
    });
    let id = faced.pair.begin(&md5_request()).await;
    faced.pair.wait_until(&id, |status| status["sourceRequests"] == 1).await;
    // The answer to a cancellation waits a few seconds for the end, and tells the state it then finds.
    let (code, status) = faced.pair.patch(&format!("/files-verification-tasks/{id}")).await;
    assert_eq!((code, &status["state"]), (200, &json!("CANCELLED")), "{status:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stops_ends_its_streams_and_its_builds() {
    let trees = tempfile::tempdir().unwrap();
    let pair = endless_pair(&trees).await;
    let id = pair.begin(&md5_request()).await;
    pair.wait_until(&id, |status| status["sourceBytesHashed"].as_u64() > Some(0)).await;
    let offer = pair.source.app().offers().all().pop().unwrap();
    let source_port = pair.source_port;
    let Pair { source, destination, .. } = pair;
    source.stop().await;
    let task = destination.app().tasks().task(1, &id).unwrap();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(30), task.settled()).await;
    assert!(ended.is_ok(), "the stream of a stopped source goes on");
    let message = task.status().message.unwrap();
    assert!(message.starts_with(&format!("source 127.0.0.1:{source_port} ")), "{message}");
    // This test comes to hold the last reference: nothing of the service is left that could go on with the build.
    for _ in 0..3000 {
        if std::sync::Arc::strong_count(&offer) == 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("something of the stopped service is left");
}
