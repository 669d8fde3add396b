//! The state and the counters of a task are those of the per-file protocol, on random trees with random faults.
//!
//! What the protocol itself fails on as a whole is left out here and is in `broken_links.rs` and `unlisted.rs`: symbolic
//! links that lead nowhere or in a circle, and directories that cannot be listed. Names with line terminators are left out where an exclusion pattern has a dot or a double star: Java's do
//! not match them, and the oracle's do.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};
use twintree::exclude::Rules;
use twintree::manifest::{Depth, Identity, Manifest, RootSpec, findings, outcome};
use twintree::model::{Counters, Findings, MetadataSummary};
use twintree::protocol::{DifferenceBody, ReportBody, ReportSummary};
use twintree::scan::Context;

use crate::support::oracle::{Expected, Oracle};
use crate::support::ordinary_user::as_ordinary_user;
use crate::support::outside_oracle;
use crate::support::random_cases::{Case, Root, instance_lines};
use crate::support::services::{Pair, Setup};

/// How many trees are compared, unless `TWINTREE_TREES` says otherwise.
const TREES: u64 = 320;

/// The seed of the first tree, unless `TWINTREE_SEED` says otherwise; each tree after it has the next.
const SEED: u64 = 20_260_101;

/// Which oracle's list a difference belongs into.
const LISTS: [(&str, &[&str]); 5] = [
    ("filesNotFoundAtSource", &["missing-at-source"]),
    ("filesNotFoundAtDestination", &["missing-at-destination"]),
    ("metadataMismatches", &["type", "size", "modification-time"]),
    ("digestMismatches", &["content"]),
    ("digestVerificationFailures", &["unverified"]),
];

#[test]
fn counters_and_differences_are_those_of_the_per_file_protocol() {
    let Some(oracle) = outside_oracle() else { return };
    as_ordinary_user(|unreadable| {
        let mut oracle = Oracle::start(&oracle);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let (first, trees) = (number("TWINTREE_SEED", SEED), number("TWINTREE_TREES", TREES));
        // Nothing is removed before the end: file systems are slow to use again what has just been freed.
        let all = tempfile::tempdir().unwrap();
        let (mut completed, mut seen) = (0, Counters::default());
        for seed in first..first + trees {
            let reproduce = Reproduce(seed);
            let base = all.path().join(seed.to_string());
            let case = Case::write(seed, &base, unreadable);
            let expected = oracle.ask(&case.arguments(&base));
            assert_agrees(&runtime.block_on(verify(&case)), &expected, &case);
            assert_agrees(&pool.install(|| compare_manifests(&case)), &expected, &case);
            if let ([source], [destination]) = (&case.source[..], &case.destination[..]) {
                compare_directories(source, destination, &case, &expected);
            }
            completed += u64::from(expected.state == "COMPLETED");
            seen.add(&expected.counters);
            drop(reproduce);
        }
        if trees == TREES {
            assert!(completed > TREES / 8, "{completed} trees are the same on both sides");
            let Value::Object(seen) = json!(seen) else { panic!("{seen:?}") };
            assert!(seen.values().all(|count| *count != json!(0)), "some counter was never tried: {seen:?}");
        }
    });
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect(variable))
}

/// Says how to see a failure again.
struct Reproduce(u64);

impl Drop for Reproduce {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this tree alone: TWINTREE_SEED={} TWINTREE_TREES=1", self.0);
        }
    }
}

/// Over the REST API. What it says of its requests is checked here, since nothing else sends any.
async fn verify(case: &Case) -> Value {
    let (source, destination) = (instance_lines(&case.source), instance_lines(&case.destination));
    let pair = Pair::start(Setup {
        source_roots: &source,
        destination_roots: &destination,
        live_migration: &case.live_migration(),
        extra: "",
        source_extra: "",
        destination_extra: "",
        idle_timeout: "5s",
        max_retries: 2,
        source_port: None,
    })
    .await;
    let request = json!({ "maxConcurrency": 2, "digestAlgorithm": case.algorithm, "keepGoing": case.keep_going });
    let report = pair.verify(&request).await;
    assert_eq!(report["sourceRequests"], pair.source.app().requests(), "{report:#}");
    if report["state"] == "COMPLETED" {
        assert_eq!(report["sourceRequests"], 1, "{report:#}");
    }
    for difference in report["differences"].as_array().unwrap().iter().filter(|d| d["kind"] == "content") {
        for algorithm in ["BLAKE3", case.algorithm] {
            let [s, d] = ["source", "destination"].map(|side| difference[side]["digests"][algorithm].as_str());
            assert!(s.is_some() && d.is_some() && s != d, "{difference:#}");
        }
    }
    pair.stop().await;
    report
}

/// With the library, as `twintree diff` does, but with every root.
fn compare_manifests(case: &Case) -> Value {
    let context = Context::default();
    let rules = Rules::compile(&case.files_to_exclude, &case.dirs_to_exclude).unwrap();
    let walk = |roots: &[Root]| {
        let spec = |root: &Root| {
            let id = root.id.parse().unwrap();
            RootSpec { id, home: root.home.clone(), rules: rules.for_root(id, &root.home).unwrap() }
        };
        let specs: Vec<RootSpec> = roots.iter().map(spec).collect();
        let identity = Identity::new("host".to_owned(), "instance".to_owned(), 0, &rules);
        Manifest::walk(identity, &specs, &context).unwrap()
    };
    let (source, destination) = (walk(&case.source), walk(&case.destination));
    let metadata = findings(&source, &destination, Depth::Metadata).unwrap();
    if !case.keep_going && metadata.counters.metadata_summary() == MetadataSummary::Different {
        return json!(local(&source, &destination, &metadata));
    }
    for manifest in [&source, &destination] {
        manifest.hash_contents(&context, &|_, _, _, _| ()).unwrap();
    }
    json!(local(&source, &destination, &findings(&source, &destination, Depth::Content).unwrap()))
}

/// With the program, which takes a directory for data/0.
fn compare_directories(source: &Root, destination: &Root, case: &Case, expected: &Expected) {
    if source.id != "data/0" || !source.home.is_dir() || !destination.home.is_dir() {
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_twintree"));
    command.args(["diff", "--json", "--quiet", "--threads=2"]).args([&source.home, &destination.home]);
    command.args(case.keep_going.then_some("--keep-going"));
    command.args(case.files_to_exclude.iter().map(|pattern| format!("--exclude-file={pattern}")));
    command.args(case.dirs_to_exclude.iter().map(|pattern| format!("--exclude-dir={pattern}")));
    let output = command.output().unwrap();
    assert_agrees(&serde_json::from_slice(&output.stdout).unwrap(), expected, case);
    let Counters { files_matched, digest_verification_failures, .. } = expected.counters;
    let code = match (expected.state.as_str(), files_matched) {
        ("COMPLETED", 1..) => 0,
        ("COMPLETED", _) => 3,
        _ if LISTS[..4].iter().all(|(list, _)| expected.lists[*list].is_empty()) => {
            assert!(digest_verification_failures > 0);
            3
        }
        _ => 1,
    };
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
}

/// State, counters, and the entries behind each counter of differences, by the bytes of their names.
pub fn assert_agrees(result: &Value, expected: &Expected, case: &Case) {
    let counters: Counters = serde_json::from_value(result.clone()).unwrap();
    let mut found: BTreeMap<&str, Vec<String>> = LISTS.iter().map(|(list, _)| (*list, Vec::new())).collect();
    for difference in result["differences"].as_array().unwrap() {
        let kind = difference["kind"].as_str().unwrap();
        let (list, _) = LISTS.iter().find(|(_, kinds)| kinds.contains(&kind)).unwrap();
        found.get_mut(list).unwrap().push(file_url_hex(difference));
    }
    for urls in found.values_mut() {
        urls.sort_unstable();
    }
    let mut lists = expected.lists.clone();
    for urls in lists.values_mut() {
        urls.sort_unstable();
    }
    let lists = lists.iter().map(|(list, urls)| (list.as_str(), urls.clone())).collect();
    assert_eq!(
        (result["state"].as_str().unwrap(), counters, found),
        (expected.state.as_str(), expected.counters, lists),
        "{case:#?}\n{result:#}"
    );
}

/// The file URL's exact bytes: where the path is not UTF-8 they stand beside the text.
fn file_url_hex(difference: &Value) -> String {
    let text = difference["fileUrl"].as_str().unwrap();
    match difference["pathHex"].as_str() {
        None => hex::encode(text),
        Some(path) => {
            let root: usize = text.split('/').take(7).map(|part| part.len() + 1).sum();
            hex::encode(&text[..root]) + path
        }
    }
}

fn local(source: &Manifest, destination: &Manifest, found: &Findings) -> ReportBody {
    let differences = found.differences.iter().map(DifferenceBody::from).collect();
    let outcome = outcome(source, destination, found.tally());
    ReportBody::local(&outcome, differences, ReportSummary::default(), String::new(), (0, 0))
}
