//! A made-up peer of a later version: it sends fields, columns and frames that no version has yet, and speaks more versions.
//! Today's program works with it.

use serde_json::json;
use twintree::model::{Problem, Reason};
use twintree::protocol::{BranchFrame, ManifestFrame};

use crate::faults::Faced;
use crate::support::scripted_source::{Answer, Ending};
use crate::support::services::{Pair, Setup, md5_request, storage_dirs};
use crate::support::trees::{copy_tree, plant};
use crate::wire_bytes::as_sent_later;

fn later(frames: &[ManifestFrame]) -> Vec<u8> {
    frames.iter().flat_map(as_sent_later).collect()
}

/// A destination, a scripted source in the place of the true one, and two equal trees.
pub async fn equal_trees() -> Faced {
    let trees = tempfile::tempdir().unwrap();
    let (original, copy) = (trees.path().join("source"), trees.path().join("destination"));
    plant(&original, 2, 3, 100);
    copy_tree(&original, &copy);
    let source = crate::support::scripted_source::ScriptedSource::start().await;
    let (mut s, mut d) = (original.display().to_string(), copy.display().to_string());
    let setup = Setup { source_port: Some(source.port), ..storage_dirs(&mut s, &mut d) };
    Faced { pair: Pair::start(setup).await, source, trees }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_source_is_understood_and_its_equal_tree_proven() {
    let faced = equal_trees().await;
    let body = later(&faced.pair.true_frames().await);
    faced.source.script(move |_| Answer::manifest(body.clone(), Ending::Clean));
    let report = faced.pair.verify(&md5_request()).await;
    assert_eq!((&report["state"], &report["filesMatched"]), (&json!("COMPLETED"), &json!(6)), "{report:#}");
}

/// The other trees of these tests have no file in common, so branches are opened.
#[tokio::test(flavor = "multi_thread")]
async fn branches_of_a_later_source_are_understood() {
    let faced = Faced::start().await;
    let manifest = later(&faced.pair.true_frames().await);
    let blocks = (0..2).map(|position| {
        let files = crate::lies::entries(&faced, &format!("table-000{position}"));
        BranchFrame::of_files(position, &files)
    });
    let frames: Vec<BranchFrame> = blocks.flatten().chain([BranchFrame::FilesEnd, BranchFrame::End]).collect();
    let branches: Vec<u8> = frames.iter().flat_map(as_sent_later).collect();
    faced.source.script(move |asked| match asked.ends_with("/branches") {
        true => Answer::new(200, twintree::protocol::BRANCHES_MEDIA_TYPE, branches.clone()),
        false => Answer::manifest(manifest.clone(), Ending::Clean),
    });
    let report = faced.pair.verify(&md5_request()).await;
    assert_eq!((&report["state"], &report["digestMismatches"]), (&json!("FAILED"), &json!(6)), "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_destination_is_answered_in_the_version_that_both_speak() {
    let faced = equal_trees().await;
    let url = format!("http://127.0.0.1:{}/api/v1/live-migration/manifests", faced.pair.source_port);
    let request = reqwest::Client::new().post(url).header("Host", format!("127.0.0.1:{}", faced.source.port));
    let body = json!({ "lowestVersion": 2, "highestVersion": 99, "maxConcurrency": 1, "later": { "more": [1] } });
    let response = request.json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut decoder = twintree::protocol::FrameDecoder::default();
    decoder.push(&response.bytes().await.unwrap());
    let Some(ManifestFrame::Hello(hello)) = decoder.decode().unwrap() else { panic!("no hello") };
    assert_eq!(hello.protocol_version, 3);
}

/// A directory may turn out to be unsound only when its files are read: the files match, and the directory is no proof.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_with_a_late_problem_is_unverified_whatever_its_files_say() {
    let faced = equal_trees().await;
    let mut frames = faced.pair.true_frames().await;
    let problem = Problem::new(Reason::ChangedWhileReading, "it changed while its files were read");
    for frame in &mut frames {
        match frame {
            ManifestFrame::Content(finished) => {
                // In pre-order: the root, the keyspace, two tables. What is above the last one is unproven with it.
                for one in finished.iter_mut().filter(|one| one.directory.0 != 2) {
                    one.hash = twintree::manifest::SubtreeHash::Unproven;
                    one.problem = (one.directory.0 == 3).then(|| problem.clone());
                }
            }
            ManifestFrame::End(end) => end.content = None,
            _ => {}
        }
    }
    let manifest: Vec<u8> = crate::support::scripted_source::bytes_of(&frames);
    let files = BranchFrame::of_files(0, &crate::lies::entries(&faced, "table-0001")).into_iter();
    let branches = Answer::branches(&files.chain([BranchFrame::FilesEnd, BranchFrame::End]).collect::<Vec<_>>());
    faced.source.script(move |asked| match asked.ends_with("/branches") {
        true => branches.clone(),
        false => Answer::manifest(manifest.clone(), Ending::Clean),
    });
    let report = faced.pair.verify(&md5_request()).await;
    assert_eq!((&report["state"], &report["filesMatched"]), (&json!("FAILED"), &json!(6)), "{report:#}");
    assert_eq!(report["digestVerificationFailures"], 1, "{report:#}");
    let difference = &report["differences"][0];
    assert_eq!((&difference["kind"], &difference["side"]), (&json!("unverified"), &json!("source")));
    assert!(difference["fileUrl"].as_str().unwrap().ends_with("/ks/table-0001"), "{difference:#}");
}

/// What was proven when a directory's last file was read is withdrawn, once, when the directory turns out to have changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_content_hash_can_be_withdrawn_and_only_once() {
    let withdrawn = |number: u32, problem: Option<Problem>| twintree::protocol::FinishedDirectory {
        root: 0,
        directory: twintree::manifest::DirectoryIndex(number),
        hash: twintree::manifest::SubtreeHash::Unproven,
        problem,
    };
    let changed = || Some(Problem::new(Reason::ChangedWhileReading, "it changed each time it was listed"));
    let once = vec![withdrawn(3, changed()), withdrawn(1, None), withdrawn(0, None)];
    let twice = [once.clone(), vec![withdrawn(3, changed())]].concat();
    let again = [once.clone(), vec![withdrawn(1, None)]].concat();
    for (records, refused) in [(once, false), (twice, true), (again, true)] {
        let faced = equal_trees().await;
        let mut frames = faced.pair.true_frames().await;
        let place = frames.iter().position(|frame| matches!(frame, ManifestFrame::Provenance(_))).unwrap();
        frames.insert(place, ManifestFrame::Content(records));
        if let Some(ManifestFrame::End(end)) = frames.last_mut() {
            end.content = None;
        }
        let manifest: Vec<u8> = crate::support::scripted_source::bytes_of(&frames);
        let files = BranchFrame::of_files(0, &crate::lies::entries(&faced, "table-0001")).into_iter();
        let branches = Answer::branches(&files.chain([BranchFrame::FilesEnd, BranchFrame::End]).collect::<Vec<_>>());
        faced.source.script(move |asked| match asked.ends_with("/branches") {
            true => branches.clone(),
            false => Answer::manifest(manifest.clone(), Ending::Clean),
        });
        let report = faced.pair.verify(&md5_request()).await;
        assert_eq!(report["state"], "FAILED", "{report:#}");
        match refused {
            true => assert!(report["message"].as_str().unwrap().contains("a second one of the same"), "{report:#}"),
            false => {
                assert_eq!((&report["filesMatched"], &report["digestVerificationFailures"]), (&json!(6), &json!(1)));
                assert_eq!(report["differences"][0]["reason"], "changed-while-reading", "{report:#}");
            }
        }
    }
}

/// Without a problem that says why, a content hash that is left out hides what nobody compared.
#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_unproven_for_no_reason_is_refused() {
    let faced = equal_trees().await;
    let mut frames = faced.pair.true_frames().await;
    for frame in &mut frames {
        match frame {
            // The root and the keyspace hold no files: their hashes follow from those below.
            ManifestFrame::Content(finished) => {
                for one in finished.iter_mut().filter(|one| one.directory.0 < 2) {
                    one.hash = twintree::manifest::SubtreeHash::Unproven;
                }
            }
            ManifestFrame::End(end) => end.content = None,
            _ => {}
        }
    }
    let manifest: Vec<u8> = crate::support::scripted_source::bytes_of(&frames);
    faced.source.script(move |_| Answer::manifest(manifest.clone(), Ending::Clean));
    let report = faced.pair.verify(&md5_request()).await;
    assert_eq!(report["state"], "FAILED", "{report:#}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("its Content hash is not that"), "{message}");
}
