//! What was counted of a directory that then proves to have changed is counted no more: while the task runs, and where it breaks off.

use serde_json::{Value, json};
use twintree::manifest::{DirectoryIndex, SubtreeHash};
use twintree::model::{Problem, Reason};
use twintree::protocol::{FinishedDirectory, ManifestFrame, SourceFailure};

use crate::faults::Faced;
use crate::newer_peer::equal_trees;
use crate::support::scripted_source::{Answer, Ending, bytes_of};
use crate::support::services::md5_request;

/// Everything up to the end of the content, which proves six files.
async fn all_proven(faced: &Faced) -> Vec<ManifestFrame> {
    let mut frames = faced.pair.true_frames().await;
    let place = frames.iter().position(|frame| matches!(frame, ManifestFrame::Provenance(_))).unwrap();
    frames.truncate(place);
    frames
}

/// The second of the two tables, with three of the files, and what stands above it.
fn withdrawn() -> ManifestFrame {
    let record = |number: u32, problem: Option<Problem>| FinishedDirectory {
        root: 0,
        directory: DirectoryIndex(number),
        hash: SubtreeHash::Unproven,
        problem,
    };
    let changed = Problem::new(Reason::ChangedWhileReading, "it changed each time it was listed");
    ManifestFrame::Content(vec![record(3, Some(changed)), record(1, None), record(0, None)])
}

/// The status, once this side has read everything and so many files are proven.
async fn proven(faced: &Faced, id: &str, files: u64) -> Value {
    faced
        .pair
        .wait_until(id, |status| (&status["filesHashed"], &status["filesMatched"]) == (&json!(6), &json!(files)))
        .await
}

async fn cancelled(faced: &Faced, id: &str) -> Value {
    faced.pair.patch(&format!("/files-verification-tasks/{id}")).await;
    faced.pair.wait(id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_source_withdraws_is_proven_no_more() {
    let faced = equal_trees().await;
    let proof = bytes_of(&all_proven(&faced).await);
    let body = proof.clone();
    faced.source.script(move |_| Answer::manifest(body.clone(), Ending::Stall));
    let id = faced.pair.begin(&md5_request()).await;
    proven(&faced, &id, 6).await;
    assert_eq!(cancelled(&faced, &id).await["filesMatched"], 6);

    let body = [proof.clone(), bytes_of(&[withdrawn()])].concat();
    faced.source.script(move |_| Answer::manifest(body.clone(), Ending::Stall));
    let id = faced.pair.begin(&md5_request()).await;
    proven(&faced, &id, 3).await;
    assert_eq!(cancelled(&faced, &id).await["filesMatched"], 3);

    let failure = SourceFailure { code: "build-failed".to_owned(), message: "no more".to_owned() };
    let body = [proof, bytes_of(&[withdrawn(), ManifestFrame::Error(failure)])].concat();
    faced.source.script(move |_| Answer::manifest(body.clone(), Ending::Clean));
    let report = faced.pair.verify(&md5_request()).await;
    assert_eq!((&report["state"], report["filesMatched"].as_u64() <= Some(3)), (&json!("FAILED"), true), "{report:#}");
}
