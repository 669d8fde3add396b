//! What changes at a source of the per-file protocol, or here, while files are compared: it is never equal, and nothing else is
//! lost for it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::per_file::Stock;
use crate::support::disk::set_time;
use crate::support::one_root::TIME;
use crate::support::services::{Pair, Setup, md5_request, storage_dirs};
use crate::support::stock_source::Unreliable;
use crate::support::trees::flip_byte;

const FILES: &str = "/api/v1/live-migration/files";

fn put(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    set_time(path, TIME);
}

/// The task proved all but these entries, which changed while it ran.
#[track_caller]
fn assert_changed(report: &Value, matched: usize, side: &str, changed: &[(&str, &str)]) {
    let expected = (json!("FAILED"), json!(matched), json!(changed.len()));
    let found = ["state", "filesMatched", "digestVerificationFailures"].map(|key| report[key].clone());
    assert_eq!(found, [expected.0, expected.1, expected.2], "{report:#}");
    let text = |found: &Value, key: &str| found[key].as_str().unwrap_or_default().to_owned();
    let differences = report["differences"].as_array().unwrap();
    let found: Vec<_> = differences.iter().map(|d| (text(d, "fileUrl"), text(d, "detail"))).collect();
    let expected: Vec<_> = changed
        .iter()
        .map(|(path, what)| (format!("{FILES}/data/0/{path}"), format!("{what} while the files were compared")))
        .collect();
    assert_eq!(found, expected, "{report:#}");
    for difference in differences {
        let found = ["kind", "side", "reason"].map(|key| text(difference, key));
        assert_eq!(found, ["unverified", side, "changed-while-reading"].map(str::to_owned), "{difference:#}");
    }
}

/// A stock source whose tree is changed between its last digest and its second listing.
async fn changed_at_the_end(change: impl FnOnce(PathBuf) + Send + 'static) -> (Value, usize) {
    let stock = Stock::start(Unreliable::default(), |_| ()).await;
    let data = stock.trees.path().join("source/data");
    stock.source.before_listing(2, move || change(data));
    let report = stock.pair.verify(&md5_request()).await;
    assert_eq!(stock.source.digests(), stock.files() as u64);
    // The manifest route, two listings, and each file once.
    let requests = stock.files() as u64 + 3;
    assert_eq!((stock.source.requests(), &report["sourceRequests"]), (requests, &json!(requests)));
    assert_eq!((&report["metadataMismatches"], &report["filesNotFoundAtSource"]), (&json!(0), &json!(0)));
    (report, stock.files())
}

const TABLE: &str = "ks/table-0000";

#[tokio::test(flavor = "multi_thread")]
async fn what_two_listings_do_not_agree_about_is_unverified_and_the_rest_is_proven() {
    let file = format!("{TABLE}/nb-1-big-Data.db");
    let name = file.clone();
    let (report, files) = changed_at_the_end(move |data| {
        // Another time, the same size.
        put(&data.join(name), &fs::read(data.join("ks/table-0000/nb-1-big-Data.db")).unwrap());
    })
    .await;
    assert_changed(&report, files - 1, "source", &[(&file, "its time changed")]);

    let (report, files) = changed_at_the_end(|data| put(&data.join("50%-a+b;c%2Fd%20e.db"), b"longer")).await;
    assert_changed(&report, files - 1, "source", &[("50%-a+b;c%2Fd%20e.db", "its size changed")]);

    let (report, files) = changed_at_the_end(|data| fs::write(data.join("new"), "x").unwrap()).await;
    assert_changed(&report, files, "source", &[("new", "it appeared")]);

    let (report, files) = changed_at_the_end(|data| fs::remove_file(data.join("50%-a+b;c%2Fd%20e.db")).unwrap()).await;
    assert_changed(&report, files - 1, "source", &[("50%-a+b;c%2Fd%20e.db", "it disappeared")]);

    let (report, files) = changed_at_the_end(|data| {
        fs::remove_file(data.join("50%-a+b;c%2Fd%20e.db")).unwrap();
        fs::create_dir(data.join("50%-a+b;c%2Fd%20e.db")).unwrap();
    })
    .await;
    let what = "it became another kind of entry";
    assert_changed(&report, files - 1, "source", &[("50%-a+b;c%2Fd%20e.db", what)]);
}

/// Both listings may miss an entry that goes from one directory to another while they are made; the directories tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_whose_time_moved_is_unverified_and_its_files_are_not() {
    let (report, files) = changed_at_the_end(|data| {
        let (passing, table) = (data.join(TABLE).join("passing"), data.join(TABLE));
        fs::write(&passing, "x").unwrap();
        fs::remove_file(passing).unwrap();
        set_time(&table, TIME);
    })
    .await;
    let found = &report["differences"];
    let detail = "names in it changed while its files were compared";
    assert_eq!((found.as_array().unwrap().len(), &found[0]["detail"]), (1, &json!(detail)), "{report:#}");
    assert_eq!(found[0]["fileUrl"], format!("{FILES}/data/0/{TABLE}"));
    assert_eq!((&report["state"], &report["filesMatched"]), (&json!("FAILED"), &json!(files)), "{report:#}");
}

/// A twintree that serves no manifests names in its listing what it cannot vouch for.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_second_listing_calls_unverified_is() {
    let stock = Stock::start(Unreliable::default(), |_| ()).await;
    let mut listing = stock.source.listing();
    let unverified = |path: &str| {
        let (url, reason) = (format!("{FILES}/data/0/{path}"), "changed-while-reading");
        json!({ "fileUrl": url, "reason": reason, "detail": "it moves while the files were compared" })
    };
    let file = format!("{TABLE}/nb-2-big-Data.db");
    listing["unverified"] = json!([unverified(&file), unverified("ks"), unverified("")]);
    stock.source.lie_about_the_listing(stock.source.listing().to_string());
    let source = stock.source.clone();
    stock.source.before_listing(2, move || source.lie_about_the_listing(listing.to_string()));
    let report = stock.pair.verify(&md5_request()).await;
    let what = "it moves";
    assert_changed(&report, stock.files() - 1, "source", &[("", what), ("ks", what), (&file, what)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_gone_before_its_second_listing_proves_nothing() {
    let stock = Stock::start(Unreliable::default(), |_| ()).await;
    let source = stock.source.clone();
    stock.source.before_listing(2, move || source.lie_about_the_listing("{"));
    let report = stock.pair.verify(&md5_request()).await;
    assert_eq!(report["state"], "FAILED", "{report:#}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains(&format!("127.0.0.1:{}: the exchange was interrupted", stock.source.port)), "{message}");
}

/// While the source still hashes, an entry appears here in a directory that was walked long ago.
#[tokio::test(flavor = "multi_thread")]
async fn what_changes_at_the_destination_is_seen_as_well() {
    let stock = Stock::start(Unreliable::default(), |_| ()).await;
    stock.source.hold_digests(true);
    let id = stock.pair.begin(&md5_request()).await;
    stock.pair.wait_until(&id, |status| status["filesHashed"] == stock.files()).await;
    let data = stock.trees.path().join("destination/data");
    fs::write(data.join("new"), "x").unwrap();
    put(&data.join(TABLE).join("nb-3-big-Data.db"), b"other");
    stock.source.hold_digests(false);
    stock.pair.wait(&id).await;
    let report = stock.pair.get(&format!("/files-verification-tasks/{id}/report")).await.1;
    let file = format!("{TABLE}/nb-3-big-Data.db");
    let changed = [(file.as_str(), "its size changed"), ("new", "it appeared")];
    assert_changed(&report, stock.files() - 1, "destination", &changed);
}

const HALF: usize = 1_500_000;

/// A destination whose file has the first half of what the source has at first, and the second half of what it has later.
/// Both are never at the source at the same time.
async fn fetched_in_two_halves(tags: bool, moves_its_time: bool) -> (Value, Vec<(String, Option<String>)>, usize) {
    let stock = Stock::start(Unreliable::default(), |_| ()).await;
    let halves = |first: u8, second: u8| [vec![first; HALF], vec![second; HALF]].concat();
    put(&stock.trees.path().join("destination/data/large"), &halves(1, 4));
    let large = stock.trees.path().join("source/data/large");
    put(&large, &halves(1, 2));
    if tags {
        stock.source.name_validators();
    }
    stock.source.give_up_digests_after(Duration::from_millis(500));
    let shared = large.clone();
    stock.source.before_the_first_range(move || {
        let other = shared.with_extension("other");
        fs::write(&other, halves(3, 4)).unwrap();
        let later = crate::support::disk::Time { seconds: TIME.seconds + i64::from(moves_its_time), ..TIME };
        set_time(&other, later);
        fs::rename(other, shared).unwrap();
    });
    stock.source.break_the_body_of("large");
    let report = stock.pair.verify(&md5_request()).await;
    (report, stock.source.ranges(), stock.files())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_another_state_of_a_file_is_not_the_rest_of_it() {
    let (report, ranges, files) = fetched_in_two_halves(true, false).await;
    assert_eq!(
        (&report["state"], &report["filesMatched"], &report["digestMismatches"]),
        (&json!("FAILED"), &json!(files), &json!(1)),
        "{report:#}"
    );
    assert_eq!(report["differences"][0]["fileUrl"], format!("{FILES}/data/0/large"));
    let conditions: Vec<bool> =
        ranges.iter().map(|(_, tag)| tag.as_ref().is_some_and(|t| t.starts_with('"'))).collect();
    assert_eq!(conditions, [true], "{ranges:?}");
}

/// The bytes came in one piece, and were others by the time the last of them came.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_looked_at_once_more_behind_its_last_byte() {
    let stock = Stock::start(Unreliable::default(), |_| ()).await;
    stock.source.name_validators();
    stock.source.give_up_digests_after(Duration::from_millis(500));
    let file = stock.trees.path().join("source/data").join(TABLE).join("nb-0-big-Data.db");
    stock.source.before_the_first_range(move || flip_byte(&file, 7));
    let report = stock.pair.verify(&md5_request()).await;
    let found = ["state", "filesMatched", "digestMismatches"].map(|key| report[key].clone());
    assert_eq!(found, [json!("FAILED"), json!(stock.files() - 1), json!(1)], "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_each_time_it_is_fetched_is_unverified() {
    let stock = Stock::start(Unreliable::default(), |_| ()).await;
    stock.source.name_validators();
    stock.source.give_up_digests_after(Duration::from_millis(500));
    let name = format!("{TABLE}/nb-0-big-Data.db");
    let file = stock.trees.path().join("source/data").join(&name);
    stock.source.before_each_range_of(&name, move || flip_byte(&file, 7));
    let report = stock.pair.verify(&md5_request()).await;
    let found = ["state", "filesMatched", "digestVerificationFailures"].map(|key| report[key].clone());
    assert_eq!(found, [json!("FAILED"), json!(stock.files() - 1), json!(1)], "{report:#}");
    let difference = &report["differences"][0];
    let found = ["side", "reason"].map(|key| difference[key].as_str().unwrap());
    assert_eq!(found, ["source", "changed-while-reading"]);
    let detail = difference["detail"].as_str().unwrap();
    assert!(detail.ends_with("the file changed: it changed each of the 3 times it was fetched"), "{detail}");
}

/// Where a source names no validator, its second listing decides.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changed_between_its_pieces_is_seen_in_the_second_listing() {
    let (report, ranges, files) = fetched_in_two_halves(false, true).await;
    assert_changed(&report, files, "source", &[("large", "its time changed")]);
    assert_eq!(ranges.iter().map(|(_, tag)| tag.clone()).collect::<Vec<_>>(), [None], "no date stands for one");
}

/// Names that JSON cannot carry, and such as read the same in the listing.
fn write_odd_names(data: &Path) {
    let odd: [&[u8]; 7] = [b"a\xff", b"a\xfe", b"d\xff/x", b"d\xfe/x", b"d\xfe/y", "\u{e9}".as_bytes(), b"same"];
    for name in odd {
        let path = data.join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        put(&path, b"bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_read_the_same_are_unverified_and_everything_else_is_compared() {
    for ascii in [false, true] {
        let stock = Stock::start(Unreliable::default(), |_| ()).await;
        for side in ["source", "destination"] {
            write_odd_names(&stock.trees.path().join(side).join("data"));
        }
        if ascii {
            stock.source.write_ascii();
        }
        assert_odd(&stock.pair.verify(&md5_request()).await, stock.files() + 1);
    }
    // Our own source without manifests.
    let trees = tempfile::tempdir().unwrap();
    let (s, d) = (trees.path().join("source"), trees.path().join("destination"));
    [&s, &d].into_iter().for_each(|side| write_odd_names(&side.join("data")));
    let (mut left, mut right) = (s.display().to_string(), d.display().to_string());
    let source_extra = "twintree: {serve_manifests: false}";
    let pair = Pair::start(Setup { source_extra, ..storage_dirs(&mut left, &mut right) }).await;
    assert_odd(&pair.verify(&md5_request()).await, 1);
}

/// Nothing is equal that was not compared, nothing is called missing, and what has a plain name is proven.
#[track_caller]
fn assert_odd(report: &Value, matched: usize) {
    assert_eq!((&report["state"], &report["filesMatched"]), (&json!("FAILED"), &json!(matched)), "{report:#}");
    assert!(report["message"].as_str().unwrap().contains("could not be verified"), "{report:#}");
    let counters = ["filesNotFoundAtSource", "filesNotFoundAtDestination", "metadataMismatches", "digestMismatches"];
    assert_eq!(counters.map(|counter| report[counter].as_u64().unwrap()), [0; 4], "{report:#}");
    let differences = report["differences"].as_array().unwrap();
    let hex = |found: &Value| found["pathHex"].as_str().map(str::to_owned);
    let mut here: Vec<String> = differences.iter().filter_map(hex).collect();
    here.sort();
    let expected: [&[u8]; 7] = [b"a\xfe", b"a\xff", b"d\xfe", b"d\xfe/x", b"d\xfe/y", b"d\xff", b"d\xff/x"];
    assert_eq!(here, expected.map(hex::encode), "each of this side's is named by its bytes");
    assert!(differences.iter().all(|found| found["kind"] == "unverified"), "{report:#}");
}
