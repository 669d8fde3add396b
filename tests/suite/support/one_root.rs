//! Two small trees with the one root data/0, verified by a task and by `twintree diff`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::disk::{Time, set_time};
use super::services::{Pair, storage_dirs};

/// The time of every file.
pub const TIME: Time = Time { seconds: 1_700_000_000, nanoseconds: 0 };

/// The counters in the order of a task's status.
const COUNTERS: [&str; 7] = [
    "filesNotFoundAtSource",
    "filesNotFoundAtDestination",
    "metadataMatched",
    "metadataMismatches",
    "digestMismatches",
    "digestVerificationFailures",
    "filesMatched",
];

/// A source and a destination with the one root data/0, and `same` alike in both of them.
pub struct Trees(tempfile::TempDir);

impl Trees {
    pub fn new() -> Self {
        let trees = Self(tempfile::tempdir().unwrap());
        trees.on_both(|root| file(root, "same"));
        trees
    }

    pub fn source(&self) -> PathBuf {
        self.0.path().join("source/data")
    }

    pub fn destination(&self) -> PathBuf {
        self.0.path().join("destination/data")
    }

    pub fn on_both(&self, make: impl Fn(&Path)) {
        make(&self.source());
        make(&self.destination());
    }

    /// A task's report, once it is known that `twintree diff` finds the same.
    pub async fn verify(&self, keep_going: bool) -> Value {
        let [mut s, mut d] = ["source", "destination"].map(|side| self.0.path().join(side).display().to_string());
        let pair = Pair::start(storage_dirs(&mut s, &mut d)).await;
        let request = json!({ "maxConcurrency": 2, "digestAlgorithm": "MD5", "keepGoing": keep_going });
        let report = pair.verify(&request).await;
        assert_eq!(report["sourceRequests"], pair.source.app().requests());
        pair.stop().await;

        let mut diff = Command::new(env!("CARGO_BIN_EXE_twintree"));
        diff.args(["diff", "--json", "--quiet"]).args([self.source(), self.destination()]);
        let output = diff.args(keep_going.then_some("--keep-going")).output().unwrap();
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        for field in COUNTERS.iter().chain(&["state"]) {
            assert_eq!(result[field], report[field], "{field}: {result:#}");
        }
        assert_eq!(without_digests(&result), without_digests(&report));
        let counted = |counters: &[&str]| counters.iter().any(|counter| report[counter] != 0);
        let differs = counted(&COUNTERS[..2]) || counted(&COUNTERS[3..5]);
        assert_eq!(output.status.code(), Some(if differs { 1 } else { 3 }), "{result:#}");
        report
    }
}

/// The differences but for their digests: a task reads files a second time for evidence, and one that fails fast may have read
/// some files already.
fn without_digests(result: &Value) -> Value {
    let mut differences = result["differences"].clone();
    for difference in differences.as_array_mut().unwrap() {
        for side in ["source", "destination"] {
            if let Some(evidence) = difference[side].as_object_mut() {
                evidence.remove("digests");
            }
        }
    }
    differences
}

/// Five bytes and always the same time.
pub fn file(root: &Path, path: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, b"bytes").unwrap();
    set_time(&path, TIME);
}

/// Checks the counters, in their order, and the differences: path, kind, side and reason; the last two are empty for
/// what is not unverified.
#[track_caller]
pub fn assert_report(report: &Value, counters: [u64; 7], differences: &[(&str, &str, &str, &str)]) {
    assert_eq!(report["state"], "FAILED", "{report:#}");
    assert_eq!(COUNTERS.map(|name| report[name].as_u64().unwrap()), counters, "{report:#}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let found: Vec<_> = report["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (text(&d["fileUrl"]), text(&d["kind"]), text(&d["side"]), text(&d["reason"])))
        .collect();
    let url = |path: &str| format!("/api/v1/live-migration/files/data/0/{path}");
    let expected: Vec<_> = differences
        .iter()
        .map(|(path, kind, side, reason)| (url(path), (*kind).to_owned(), (*side).to_owned(), (*reason).to_owned()))
        .collect();
    assert_eq!(found, expected, "{report:#}");
}
