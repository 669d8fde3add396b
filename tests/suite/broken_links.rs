//! Symbolic links that lead nowhere. The per-file protocol fails on them as a whole; here they are unverified, and
//! everything else is compared.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::disk::set_time;
use crate::support::one_root::{TIME, Trees, assert_report, file};

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
