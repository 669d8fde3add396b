//! The per-file protocol in both directions, over a network that loses answers: a client that knows only the contract
//! against a twintree source, and a twintree destination against a source that knows only the contract. The counters are the
//! oracle's in both.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use twintree::model::Counters;

use crate::support::disk::remove_broken_links;
use crate::support::flaky_front::FlakyFront;
use crate::support::oracle::{Expected, Oracle};
use crate::support::ordinary_user::as_ordinary_user;
use crate::support::outside_oracle;
use crate::support::random_cases::{Case, Root, instance_lines};
use crate::support::services::{Pair, Setup};
use crate::support::stock_client::StockClient;
use crate::support::stock_source::{StockSource, Unreliable};

/// How many trees are verified in each direction.
const TREES: u64 = 60;

/// The seed of the first tree; each after it has the next.
const SEED: u64 = 31_337;

/// Of a hundred requests so many are answered 503, and as many again are cut.
const PERCENT: usize = 2;

#[test]
fn counters_are_the_oracles_in_both_directions_whatever_the_network_loses() {
    let Some(oracle) = outside_oracle() else { return };
    as_ordinary_user(|unreadable| {
        let mut oracle = Oracle::start(&oracle);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let all = tempfile::tempdir().unwrap();
        let (mut faults, mut completed) = ([(0, 0); 2], 0);
        for seed in SEED..SEED + TREES {
            let base = all.path().join(seed.to_string());
            let case = portable(Case::write(seed, &base, unreadable), &base);
            let expected = oracle.ask(&case.arguments(&base));
            completed += u64::from(expected.state == "COMPLETED");
            let (ours, lost) = runtime.block_on(twintree_destination(&case, seed));
            // The entries behind each counter as well.
            crate::oracle::assert_agrees(&ours, &expected, &case);
            add(&mut faults[0], lost);
            assert_eq!(ours["protocol"], "per-file");
            if !case.keep_going {
                let (theirs, lost) = runtime.block_on(stock_destination(&case, seed));
                assert_agrees(&theirs, &expected, &case);
                add(&mut faults[1], lost);
            }
        }
        assert!(faults.iter().all(|(busy, cut)| *busy > 0 && *cut > 0), "503s and cuts: {faults:?}");
        assert!(completed > TREES / 8, "{completed} trees are equal");
    });
}

fn add(sum: &mut (u64, u64), more: (u64, u64)) {
    *sum = (sum.0 + more.0, sum.1 + more.1);
}

/// Leaves what the per-file protocol can carry: names that stand in a request as they are, and links that stay below their root by names alone.
/// Exclusions are another test's: the stock sides here have none.
fn portable(mut case: Case, base: &Path) -> Case {
    (case.files_to_exclude, case.dirs_to_exclude, case.default_dirs) = (Vec::new(), Vec::new(), false);
    for root in case.source.iter().chain(&case.destination) {
        if let Ok(home) = root.home.canonicalize() {
            remove_unportable(&home, &home);
        }
    }
    for side in ["source", "destination"] {
        remove_broken_links(&base.join(side));
    }
    case
}

fn remove_unportable(directory: &Path, home: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let entry = entry.unwrap();
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        let name = entry.file_name();
        let named = stands_in_a_request(name.as_bytes());
        let leaves = || {
            let target = fs::read_link(&path).unwrap();
            target.is_absolute() || path.canonicalize().is_ok_and(|target| !target.starts_with(home))
        };
        if !named && kind.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else if !named || (kind.is_symlink() && leaves()) {
            fs::remove_file(&path).unwrap();
        } else if kind.is_dir() {
            remove_unportable(&path, home);
        }
    }
}

/// No character that must be escaped there, and no escape that a source would read as a character.
fn stands_in_a_request(name: &[u8]) -> bool {
    let escape = regex::bytes::Regex::new("(?i-u)%([46][1-9a-f]|[57][0-9a]|3[0-9]|2[de]|5f|7e)").unwrap();
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"#<>?\\`{}".contains(byte);
    name.iter().all(plain) && !escape.is_match(name)
}

fn homes(roots: &[Root]) -> BTreeMap<String, PathBuf> {
    roots.iter().map(|root| (root.id.clone(), root.home.clone())).collect()
}

fn setup<'a>(lines: &'a [String; 2], live_migration: &'a str) -> Setup<'a> {
    Setup {
        source_roots: &lines[0],
        destination_roots: &lines[1],
        live_migration,
        extra: "",
        source_extra: "",
        destination_extra: "",
        idle_timeout: "5s",
        max_retries: 8,
        source_port: None,
    }
}

async fn twintree_destination(case: &Case, seed: u64) -> (Value, (u64, u64)) {
    let unreliable = Unreliable { busy: PERCENT, cut: PERCENT };
    let source = StockSource::start(homes(&case.source), unreliable, seed).await;
    let lines = [instance_lines(&case.source), instance_lines(&case.destination)];
    let live_migration = case.live_migration();
    let pair = Pair::start(Setup { source_port: Some(source.port), ..setup(&lines, &live_migration) }).await;
    let request = json!({ "maxConcurrency": 5, "digestAlgorithm": case.algorithm, "keepGoing": case.keep_going });
    let report = pair.verify(&request).await;
    assert!(source.most_under_way() <= 5, "{}", source.most_under_way());
    pair.stop().await;
    (report, source.faults())
}

async fn stock_destination(case: &Case, seed: u64) -> (Value, (u64, u64)) {
    let lines = [instance_lines(&case.source), instance_lines(&case.destination)];
    let live_migration = case.live_migration();
    let pair = Pair::start(setup(&lines, &live_migration)).await;
    let front = FlakyFront::start(pair.source_port, PERCENT, seed).await;
    let host = format!("127.0.0.1:{}", pair.source_port);
    let client = StockClient::new(front.port, host, case.algorithm, 5);
    let found = client.verify(&homes(&case.destination)).await;
    let faults = front.faults();
    pair.stop().await;
    (found, faults)
}

fn assert_agrees(found: &Value, expected: &Expected, case: &Case) {
    let counters: Counters = serde_json::from_value(found.clone()).unwrap();
    let state = found["state"].as_str().unwrap();
    assert_eq!((state, counters), (expected.state.as_str(), expected.counters), "{case:#?}\n{found:#}");
}
