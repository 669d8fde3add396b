//! How many requests a verification needs: a function of directories that differ, never of files.

use crate::support::services::{Pair, md5_request, storage_dirs};
use crate::support::trees::{copy_tree, endless_file, flip_byte, plant, planted};

const DIRECTORIES: usize = 600;
/// What one request opens at most.
const BATCH: usize = twintree::protocol::BRANCH_BATCH;

async fn pair_of(trees: &tempfile::TempDir) -> Pair {
    let (mut s, mut d) =
        (trees.path().join("source").display().to_string(), trees.path().join("destination").display().to_string());
    Pair::start(storage_dirs(&mut s, &mut d)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_in_600_directories_take_one_request_for_each_256_of_them() {
    for files in [2, 5] {
        let trees = tempfile::tempdir().unwrap();
        let (source, destination) = (trees.path().join("source"), trees.path().join("destination"));
        plant(&source, DIRECTORIES, files, 16);
        copy_tree(&source, &destination);
        planted(&destination).iter().step_by(files).for_each(|file| flip_byte(file, 3));
        let pair = pair_of(&trees).await;
        let report = pair.verify(&md5_request()).await;
        assert_eq!(report["state"], "FAILED");
        assert_eq!(report["digestMismatches"], DIRECTORIES, "{report:#}");
        assert_eq!(report["filesMatched"], DIRECTORIES * (files - 1));
        let expected = 1 + DIRECTORIES.div_ceil(BATCH);
        assert_eq!((&report["sourceRequests"], pair.source.app().requests()), (&expected.into(), expected as u64));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_metadata_fails_fast_and_the_source_stops_hashing() {
    let trees = tempfile::tempdir().unwrap();
    let (source, destination) = (trees.path().join("source"), trees.path().join("destination"));
    plant(&source, DIRECTORIES, 1, 16);
    copy_tree(&source, &destination);
    for file in planted(&destination) {
        std::fs::write(file, "another size").unwrap();
    }
    // Hours of hashing on both sides that nobody needs.
    for storage in [&source, &destination] {
        endless_file(&storage.join("commitlog/CommitLog-7-1.log"));
    }
    let pair = pair_of(&trees).await;
    let id = pair.begin(&md5_request()).await;
    let status = pair.wait(&id).await;
    assert_eq!(status["state"], "FAILED");
    assert_eq!(
        (&status["metadataMismatches"], &status["filesMatched"]),
        (&DIRECTORIES.into(), &0.into()),
        "no content is counted: {status:#}"
    );
    let expected = 1 + DIRECTORIES.div_ceil(BATCH);
    assert_eq!((&status["sourceRequests"], pair.source.app().requests()), (&expected.into(), expected as u64));
    let offers = pair.source.app().offers().all();
    assert_eq!(offers.len(), 1);
    let stopped = offers[0].build.done().await.unwrap_err();
    assert_eq!(stopped, twintree::work::BuildFailure::Cancelled);
}

/// Each answer is dropped before anything of it is read, as where a connection breaks too early to learn the manifest's
/// id. A source works on four builds at a time; it must not be busy with ten that nobody will ever attach to.
#[tokio::test(flavor = "multi_thread")]
async fn builds_nobody_listens_to_make_room_for_the_next() {
    let trees = tempfile::tempdir().unwrap();
    for side in ["source", "destination"] {
        endless_file(&trees.path().join(side).join("commitlog/CommitLog-7-1.log"));
    }
    let pair = pair_of(&trees).await;
    for _ in 0..10 {
        drop(pair.begin_manifest().await);
        // The source notices that a listener is gone when it next has something to say to it.
        let unheard = || pair.source.app().offers().all().iter().all(|offer| offer.listeners() == 0);
        while !unheard() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
    assert_eq!(pair.source.app().offers().all().len(), 1, "each took the place of the one before");
    pair.stop().await;
}
