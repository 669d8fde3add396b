//! The real SSTables of several Cassandra releases, verified over HTTP.

use serde_json::json;

use crate::support::outside_sstables;
use crate::support::services::{Pair, md5_request, storage_dirs};
use crate::support::trees::{copy_tree, flip_byte};

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_proven_equal_with_one_request() {
    let Some(original) = outside_sstables() else { return };
    let copy = tempfile::tempdir().unwrap();
    copy_tree(&original, copy.path());
    let (mut s, mut d) = (original.display().to_string(), copy.path().display().to_string());
    let pair = Pair::start(storage_dirs(&mut s, &mut d)).await;

    let report = pair.verify(&md5_request()).await;
    assert_eq!(report["state"], "COMPLETED", "{report:#}");
    assert_eq!((&report["metadataMatched"], &report["filesMatched"]), (&json!(120), &json!(104)));
    assert_eq!(report["differences"], json!([]));
    assert_eq!(report["sourceRequests"], 1);
    assert_eq!(pair.source.app().requests(), 1, "counted where the requests arrive");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_changed_byte_is_named_with_both_digests_in_two_requests() {
    let Some(original) = outside_sstables() else { return };
    let copy = tempfile::tempdir().unwrap();
    copy_tree(&original, copy.path());
    let name = "data/analytics/events-7a1d2f40a1c111eeb5f0c7d2f1e90a11/oa-13-big-Data.db";
    flip_byte(&copy.path().join(name), 777);
    let (mut s, mut d) = (original.display().to_string(), copy.path().display().to_string());
    let pair = Pair::start(storage_dirs(&mut s, &mut d)).await;

    for (algorithm, requests) in [("MD5", 2), ("XXHash32", 4)] {
        let report = pair.verify(&json!({ "maxConcurrency": 4, "digestAlgorithm": algorithm })).await;
        assert_eq!(report["state"], "FAILED", "{report:#}");
        assert_eq!((&report["digestMismatches"], &report["filesMatched"]), (&json!(1), &json!(103)));
        assert_eq!(report["sourceRequests"], 2);
        assert_eq!(pair.source.app().requests(), requests);
        let difference = &report["differences"][0];
        assert_eq!(
            difference["fileUrl"],
            format!("/api/v1/live-migration/files/{}", name.replacen("data/", "data/0/", 1))
        );
        for (side, root) in [("source", original.as_path()), ("destination", copy.path())] {
            let bytes = std::fs::read(root.join(name)).unwrap();
            let digests = &difference[side]["digests"];
            assert_eq!(digests["BLAKE3"], blake3::hash(&bytes).to_string());
            let expected = match algorithm {
                "MD5" => {
                    use base64::Engine as _;
                    use md5::Digest as _;
                    base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(&bytes))
                }
                _ => format!("{:x}", twox_hash::XxHash32::oneshot(0, &bytes)),
            };
            assert_eq!(digests[algorithm], expected);
        }
    }
}
