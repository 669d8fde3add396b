//! Symbolic links that lead nowhere. The per-file protocol fails on them as a whole; here they are unverified, and
//! everything else is compared.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::disk::set_time;
use crate::support::one_root::{TIME, Trees, assert_report, file};
use crate::support::oracle::Oracle;
use crate::support::outside_oracle;
use crate::support::services::{Pair, Setup, md5_request, storage_dirs};

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_link_is_unverified_and_all_else_is_compared() {
    let nowhere = |root: &Path| symlink("nowhere", root.join("link")).unwrap();
    let unverified = |side| [("link", "unverified", side, "unreadable")];
    for keep_going in [false, true] {
        let trees = Trees::new();
        trees.on_both(nowhere);
        assert_report(&trees.verify(keep_going).await, [0, 0, 1, 0, 0, 1, 1], &unverified("both"));

        let trees = Trees::new();
        nowhere(&trees.source());
        file(&trees.destination(), "link");
        assert_report(&trees.verify(keep_going).await, [0, 0, 1, 0, 0, 1, 1], &unverified("source"));

        let trees = Trees::new();
        fs::create_dir(trees.source().join("link")).unwrap();
        nowhere(&trees.destination());
        assert_report(&trees.verify(keep_going).await, [0, 0, 1, 0, 0, 1, 1], &unverified("destination"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_below_a_broken_link_so_what_is_below_the_other_sides_directory_is_missing() {
    let trees = Trees::new();
    file(&trees.source(), "link/below");
    symlink("nowhere", trees.destination().join("link")).unwrap();
    let report = trees.verify(false).await;
    // No link is entered, so this side lacks what is below, whatever the link was meant for.
    let expected =
        [("link", "unverified", "destination", "unreadable"), ("link/below", "missing-at-destination", "", "")];
    assert_report(&report, [0, 1, 1, 0, 0, 1, 0], &expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_link_that_only_one_side_has_is_missing_at_the_other() {
    for (keep_going, files_matched) in [(false, 0), (true, 1)] {
        let trees = Trees::new();
        symlink("nowhere", trees.source().join("link")).unwrap();
        let missing = [("link", "missing-at-destination", "", "")];
        assert_report(&trees.verify(keep_going).await, [0, 1, 1, 0, 0, 0, files_matched], &missing);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_in_a_circle_are_unverified_and_all_else_is_compared() {
    let trees = Trees::new();
    trees.on_both(|root| {
        file(root, "d/same");
        symlink("circle", root.join("circle")).unwrap();
        symlink("d/to", root.join("from")).unwrap();
        symlink("../from", root.join("d/to")).unwrap();
    });
    let unverified = ["circle", "d/to", "from"].map(|path| (path, "unverified", "both", "unreadable"));
    assert_report(&trees.verify(false).await, [0, 0, 3, 0, 0, 3, 2], &unverified);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_beside_a_broken_link_are_still_found() {
    let trees = Trees::new();
    trees.on_both(|root| symlink("nowhere", root.join("link")).unwrap());
    file(&trees.source(), "other");
    fs::write(trees.destination().join("other"), b"BYTES").unwrap();
    set_time(&trees.destination().join("other"), TIME);
    let expected = [("link", "unverified", "both", "unreadable"), ("other", "content", "", "")];
    assert_report(&trees.verify(false).await, [0, 0, 2, 0, 1, 1, 1], &expected);
}

/// What a root's side may be: a link to a disk that is not mounted, nothing, an empty directory, or one with files.
const ROOTS: [fn(&Path); 4] = [
    |root| {
        fs::create_dir_all(root.parent().unwrap()).unwrap();
        symlink("not-mounted", root).unwrap();
    },
    |root| fs::create_dir_all(root.parent().unwrap()).unwrap(),
    |root| fs::create_dir_all(root).unwrap(),
    |root| ["a", "d/b"].iter().for_each(|path| file(root, path)),
];

/// A root that leads nowhere is an absent one to the per-file protocol, so that such a task is COMPLETED. Here it is what the oracle says
/// and one failure besides, and never COMPLETED.
#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_leads_nowhere_is_the_oracles_absent_one_and_a_failure() {
    let Some(oracle) = outside_oracle() else { return };
    let mut oracle = Oracle::start(&oracle);
    let mut completed = 0;
    for (at, source) in ROOTS.iter().enumerate() {
        for (_, destination) in ROOTS.iter().enumerate().filter(|(other, _)| at == 0 || *other == 0) {
            let trees = tempfile::tempdir().unwrap();
            let roots = ["source", "destination"].map(|side| trees.path().join(side).join("data"));
            source(&roots[0]);
            destination(&roots[1]);
            let [s, d] = roots.each_ref().map(|root| root.display().to_string());
            let expected = oracle.ask(&["--root", "data/0", &s, &d].map(str::to_owned));
            completed += usize::from(expected.state == "COMPLETED");
            for source_extra in ["", "twintree: {serve_manifests: false}"] {
                let report = verify(trees.path(), source_extra).await;
                let mut counters = json!(expected.counters);
                counters["digestVerificationFailures"] = json!(expected.counters.digest_verification_failures + 1);
                let Value::Object(counters) = counters else { panic!("{counters}") };
                for (name, count) in &counters {
                    assert_eq!(report[name], *count, "{name}: {report:#}");
                }
                assert_eq!(report["state"], "FAILED", "{report:#}");
                let unverified = |found: &&Value| found["kind"] == "unverified";
                let unverified: Vec<&Value> =
                    report["differences"].as_array().unwrap().iter().filter(unverified).collect();
                assert_eq!((unverified.len(), &unverified[0]["reason"]), (1, &json!("vanished")), "{report:#}");
                assert_eq!(unverified[0]["fileUrl"], "/api/v1/live-migration/files/data/0/");
            }
        }
    }
    assert_eq!(completed, 5, "all but the two with files on the other side");
}

async fn verify(trees: &Path, source_extra: &str) -> Value {
    let [mut s, mut d] = ["source", "destination"].map(|side| trees.join(side).display().to_string());
    let pair = Pair::start(Setup { source_extra, ..storage_dirs(&mut s, &mut d) }).await;
    let report = pair.verify(&md5_request()).await;
    pair.stop().await;
    report
}
