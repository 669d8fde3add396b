//! No run ends COMPLETED unless every directory and file that was there from before the first look until after the last has been
//! listed and read. One side never stands still, and differs from the other at every moment; whatever a run finds of that, it is
//! not equality. A seed that is printed begins the same moves again.
//!
//! `TWINTREE_MOVING_SCANS=10000 cargo test --release --test suite moving_trees` runs as many scans as one likes.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use twintree::manifest::{Depth, diff};
use twintree::model::Verdict;

use crate::support::manifests::manifest_of;
use crate::support::material::missing;
use crate::support::mutator::{MOTIONS, Moving, Twins};
use crate::support::random::Random;
use crate::support::services::{Pair, Setup, storage_dirs};
use crate::support::stock_source::{StockSource, Unreliable};

/// How many scans a test makes where nobody asks for more.
const SCANS: u64 = 12;

fn scans() -> u64 {
    std::env::var("TWINTREE_MOVING_SCANS").ok().and_then(|scans| scans.parse().ok()).unwrap_or(SCANS)
}

/// A tree for this seed, with the side that moves; which motion and which side, the seed decides.
fn twins(home: &Path, seed: u64) -> (Twins, bool) {
    let mut random = Random::new(seed);
    let motion = *random.pick(&MOTIONS);
    let source_moves = random.percent(50);
    let (source, destination) = (home.join("source/data"), home.join("destination/data"));
    let twins = match source_moves {
        true => Twins::new(source, destination, motion),
        false => Twins::new(destination, source, motion),
    };
    (twins, source_moves)
}

#[test]
fn moving_trees_are_never_equal_by_diff() {
    let mut moves = 0;
    for seed in 0..scans() {
        let home = tempfile::tempdir().unwrap();
        let (twins, source_moves) = twins(home.path(), seed);
        let moving: Moving = twins.start(seed);
        let (of_moving, of_still) = (manifest_of(&twins.moving, 2), manifest_of(&twins.still, 1));
        moves += moving.moves();
        drop(moving);
        let (source, destination) = if source_moves { (&of_moving, &of_still) } else { (&of_still, &of_moving) };
        let outcome = diff(source, destination, Depth::Content).unwrap();
        let verdict = outcome.verdict();
        assert!(matches!(verdict, Verdict::Different | Verdict::Unverified), "seed {seed}: {verdict:?}");
        // It moves no more, and then the difference is found.
        let (of_moving, of_still) = (manifest_of(&twins.moving, 2), manifest_of(&twins.still, 2));
        let outcome = diff(&of_moving, &of_still, Depth::Content).unwrap();
        assert_eq!(outcome.verdict(), Verdict::Different, "seed {seed} at rest: {:?}", outcome.differences);
    }
    assert!(moves > scans(), "they hardly moved: {moves}");
}

/// A pair of services for the trees of [`twins`] below `home`. `twintree` is that section of both configurations, with which the
/// source's goes on.
async fn pair(home: &Path, twintree: &str, source_only: &str) -> Pair {
    let [mut s, mut d] = ["source", "destination"].map(|side| home.join(side).display().to_string());
    let of = |side: &str, more: &str| {
        format!("twintree: {{state_dir: {:?}, {twintree}{more}}}", home.join(format!("state-{side}")))
    };
    let (source, destination) = (of("source", source_only), of("destination", ""));
    let setup = Setup { source_extra: &source, destination_extra: &destination, ..storage_dirs(&mut s, &mut d) };
    Pair::start(setup).await
}

/// The services stay; what they serve is another tree with every seed.
async fn never_completed(twintree: &str, source_only: &str) {
    let home = tempfile::tempdir().unwrap();
    let pair = pair(home.path(), twintree, source_only).await;
    for seed in 0..scans() {
        for side in ["source", "destination"] {
            let _ = std::fs::remove_dir_all(home.path().join(side));
        }
        let (twins, _) = twins(home.path(), seed);
        let moving = twins.start(seed);
        let report = pair.verify(&keep_going()).await;
        drop(moving);
        assert_eq!(report["state"], "FAILED", "seed {seed}: {report:#}");
    }
    pair.stop().await;
}

fn keep_going() -> Value {
    json!({ "maxConcurrency": 4, "digestAlgorithm": "MD5", "keepGoing": true })
}

#[tokio::test(flavor = "multi_thread")]
async fn moving_trees_are_never_completed_by_manifests() {
    never_completed("direct_io: false", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moving_trees_are_never_completed_by_direct_reads() {
    never_completed("direct_io: true", "").await;
}

/// The source is ours and offers no manifests.
#[tokio::test(flavor = "multi_thread")]
async fn moving_trees_are_never_completed_file_by_file() {
    never_completed("direct_io: false", ", serve_manifests: false").await;
}

/// The trees rest until their digests can be recorded, beside the build, for a temporary directory may lie in memory; then the same
/// trees move on from scan to scan.
#[tokio::test(flavor = "multi_thread")]
async fn moving_trees_are_never_completed_where_recorded_digests_are_trusted() {
    const SCANS_OF_A_TREE: u64 = 6;
    let mut trusted = 0;
    for tree in 0..scans().div_ceil(SCANS_OF_A_TREE) {
        let home = tempfile::tempdir_in("target").or_else(|_| tempfile::tempdir()).unwrap();
        let (twins, _) = twins(home.path(), tree);
        let pair = pair(home.path(), "digest_cache: trust", "").await;
        tokio::time::sleep(Duration::from_millis(2_200)).await;
        assert_eq!(pair.verify(&keep_going()).await["state"], "FAILED", "tree {tree} at rest");
        for seed in 0..SCANS_OF_A_TREE {
            let moving = twins.start(seed);
            let report = pair.verify(&keep_going()).await;
            drop(moving);
            assert_eq!(report["state"], "FAILED", "tree {tree}, seed {seed}: {report:#}");
            trusted += ["source", "destination"]
                .map(|side| report["read"][side]["from"]["trustedFiles"].as_u64().unwrap_or_default())
                .iter()
                .sum::<u64>();
        }
        pair.stop().await;
    }
    if trusted == 0 {
        missing("leases", "nothing was trusted: digests cannot be recorded where the build lies");
    }
}

/// A stock source stands still: what it cannot show of itself, nobody can. This side moves.
#[tokio::test(flavor = "multi_thread")]
async fn a_moving_destination_is_never_completed_file_by_file() {
    for seed in 0..scans() {
        let home = tempfile::tempdir().unwrap();
        let motion = *Random::new(seed).pick(&MOTIONS);
        let (source, destination) = (home.path().join("source"), home.path().join("destination"));
        let twins = Twins::new(destination.join("data"), source.join("data"), motion);
        let stock = BTreeMap::from([("data/0".to_owned(), twins.still.clone())]);
        let stock = StockSource::start(stock, Unreliable::default(), seed).await;
        let pair = Pair::calling(stock.port, &source, &destination).await;
        let moving = twins.start(seed);
        let report = pair.verify(&keep_going()).await;
        drop(moving);
        assert_eq!(report["state"], "FAILED", "seed {seed}: {report:#}");
        pair.stop().await;
    }
}
