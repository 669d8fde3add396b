//! Directories that cannot be listed. The per-file protocol fails on them as a whole; here everything else is compared,
//! and what nobody could look at is unverified: neither equal nor missing.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::support::one_root::{Trees, assert_report, file};
use crate::support::ordinary_user::as_ordinary_user;

/// A readable directory again, so that the temporary directory can be removed.
struct Forbidden(PathBuf);

impl Forbidden {
    fn new(path: impl AsRef<Path>, mode: u32) -> Self {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        Self(path.as_ref().to_owned())
    }
}

impl Drop for Forbidden {
    fn drop(&mut self) {
        let _ = fs::set_permissions(&self.0, Permissions::from_mode(0o700));
    }
}

/// Runs where permissions hinder, or not at all.
fn hindered<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send) {
    as_ordinary_user(|hindered| {
        if hindered {
            tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(test());
        }
    });
}

#[test]
fn what_is_below_a_directory_that_cannot_be_listed_is_unverified_and_never_missing() {
    hindered(|| async {
        // Neither to be listed nor entered, only entered, only listed.
        for (mode, keep_going) in [(0o000, false), (0o000, true), (0o300, false), (0o400, true)] {
            for side in ["source", "destination"] {
                let trees = Trees::new();
                trees.on_both(|root| {
                    file(root, "closed/below/deep");
                    file(root, "closed/file");
                    file(root, "open/file");
                });
                let closed = if side == "source" { trees.source() } else { trees.destination() }.join("closed");
                let _forbidden = Forbidden::new(closed, mode);
                let unverified = ["closed", "closed/below", "closed/below/deep", "closed/file"]
                    .map(|path| (path, "unverified", side, "unreadable"));
                assert_report(&trees.verify(keep_going).await, [0, 0, 4, 0, 0, 4, 2], &unverified);
            }
        }
    });
}

#[test]
fn a_directory_that_neither_side_can_list_is_unverified_once() {
    hindered(|| async {
        let trees = Trees::new();
        trees.on_both(|root| file(root, "closed/file"));
        let _forbidden = [trees.source(), trees.destination()].map(|root| Forbidden::new(root.join("closed"), 0));
        let unverified = [("closed", "unverified", "both", "unreadable")];
        assert_report(&trees.verify(false).await, [0, 0, 2, 0, 0, 1, 1], &unverified);
    });
}

#[test]
fn a_link_into_a_directory_that_cannot_be_entered_is_unverified() {
    hindered(|| async {
        let trees = Trees::new();
        trees.on_both(|root| {
            file(root, "closed/file");
            symlink("closed/file", root.join("link")).unwrap();
        });
        let _forbidden = Forbidden::new(trees.destination().join("closed"), 0);
        let unverified =
            ["closed", "closed/file", "link"].map(|path| (path, "unverified", "destination", "unreadable"));
        assert_report(&trees.verify(false).await, [0, 0, 2, 0, 0, 3, 1], &unverified);
    });
}

#[test]
fn a_root_that_cannot_be_listed_is_unverified_with_all_that_the_other_side_has() {
    hindered(|| async {
        for (side, keep_going) in [("source", false), ("destination", true)] {
            let trees = Trees::new();
            trees.on_both(|root| file(root, "directory/file"));
            let root = if side == "source" { trees.source() } else { trees.destination() };
            let _forbidden = Forbidden::new(root, 0);
            let unverified =
                ["", "directory", "directory/file", "same"].map(|path| (path, "unverified", side, "unreadable"));
            assert_report(&trees.verify(keep_going).await, [0, 0, 0, 0, 0, 4, 0], &unverified);
        }
    });
}

/// What could not be listed does not hide what surely differs elsewhere.
#[test]
fn a_missing_file_beside_a_directory_that_cannot_be_listed_fails_fast() {
    hindered(|| async {
        let trees = Trees::new();
        trees.on_both(|root| file(root, "closed/file"));
        file(&trees.source(), "more");
        let _forbidden = Forbidden::new(trees.source().join("closed"), 0);
        let expected = [
            ("closed", "unverified", "source", "unreadable"),
            ("closed/file", "unverified", "source", "unreadable"),
            ("more", "missing-at-destination", "", ""),
        ];
        assert_report(&trees.verify(false).await, [0, 1, 2, 0, 0, 2, 0], &expected);
        assert_report(&trees.verify(true).await, [0, 1, 2, 0, 0, 2, 1], &expected);
    });
}
