//! Digests that are remembered: what is trusted, what is not, and that a report says so.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

#[cfg(target_os = "linux")]
use crate::support::immutable::Immutable;
use crate::support::material::missing;
use crate::support::records::give_a_wrong_digest;
use crate::support::services::{Pair, Setup, md5_request, storage_dirs};
use crate::support::trees::{copy_tree, flip_byte, leased_directory, plant, planted};

const FILES: u64 = 6;
const BYTES: u64 = 1000;

/// Longer than a file must lie unchanged before its digest is recorded.
const SETTLED: Duration = Duration::from_millis(2200);

/// Equal trees whose services both have these settings, with a commit log on both sides; `None` where digests cannot be recorded.
async fn remembering(settings: &str) -> Option<(Pair, tempfile::TempDir)> {
    let trees = leased_directory()?;
    Some((planted_in(trees.path(), settings).await, trees))
}

async fn planted_in(trees: &Path, settings: &str) -> Pair {
    let (s, d) = (trees.join("source"), trees.join("destination"));
    plant(&s, 2, 3, 1000);
    fs::create_dir(s.join("commitlog")).unwrap();
    fs::write(s.join("commitlog/CommitLog-7-1.log"), "log").unwrap();
    copy_tree(&s, &d);
    start(trees, settings).await
}

async fn start(trees: &Path, settings: &str) -> Pair {
    let (s, d) = (trees.join("source"), trees.join("destination"));
    let (mut left, mut right) = (s.display().to_string(), d.display().to_string());
    let state = |side: &str| format!("twintree: {{state_dir: {:?}, {settings}}}", trees.join(side));
    let (source, destination) = (state("state-s"), state("state-d"));
    let setup = Setup { source_extra: &source, destination_extra: &destination, ..storage_dirs(&mut left, &mut right) };
    Pair::start(setup).await
}

/// Stops both services, gives one file of the source another recorded digest, as if its bytes had been others then, and
/// starts them again.
async fn with_a_wrong_record(pair: Pair, trees: &Path, settings: &str) -> Pair {
    pair.stop().await;
    let opened = || async {
        for _ in 0..300 {
            // The task of a connection may hold the stopped service a moment longer.
            let both = ["state-s", "state-d"].map(|state| redb::Database::open(trees.join(state).join("digests.redb")));
            if let [Ok(source), Ok(_)] = both {
                return source;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the cache stays locked");
    };
    let database = opened().await;
    give_a_wrong_digest(&database, |_| true);
    drop(database);
    start(trees, settings).await
}

fn from<'a>(report: &'a Value, side: &str) -> &'a Value {
    &report["read"][side]["from"]
}

fn trusted(report: &Value) -> [u64; 2] {
    ["source", "destination"].map(|side| from(report, side)["trustedFiles"].as_u64().unwrap())
}

fn read_bytes(report: &Value) -> [u64; 2] {
    let kinds = ["pageCacheBytes", "mediaBytes", "directBytes", "unknownBytes"];
    ["source", "destination"].map(|side| kinds.iter().map(|kind| from(report, side)[kind].as_u64().unwrap()).sum())
}

fn notes(report: &Value) -> Vec<&str> {
    report["notes"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_is_not_read_again_and_the_report_says_so() {
    let begun = std::time::Instant::now();
    let Some((pair, trees)) = remembering("digest_cache: trust").await else { return };
    let young = pair.verify(&md5_request()).await;
    // On a machine so busy that this took longer, the files had settled by then.
    let were_young = begun.elapsed() < Duration::from_millis(1900);
    assert_eq!(young["state"], "COMPLETED", "{young:#}");
    assert_eq!((trusted(&young), read_bytes(&young)), ([0, 0], [FILES * BYTES + 3; 2]), "{young:#}");

    // What was just written was read and not recorded; now it lies long enough.
    tokio::time::sleep(SETTLED).await;
    let recording = pair.verify(&md5_request()).await;
    if were_young {
        assert_eq!((trusted(&recording), read_bytes(&recording)), ([0, 0], [FILES * BYTES + 3; 2]), "{recording:#}");
        assert_eq!(notes(&recording), notes(&young));
    }

    // The commit log is written through memory maps, and read each time.
    let trusting = pair.verify(&md5_request()).await;
    assert_eq!(trusting["state"], "COMPLETED");
    assert_eq!((&trusting["filesMatched"], &trusting["sourceRequests"]), (&json!(FILES + 1), &json!(1)));
    assert_eq!((trusted(&trusting), read_bytes(&trusting)), ([FILES; 2], [3; 2]), "{trusting:#}");
    let said: Vec<_> = notes(&trusting).into_iter().filter(|note| note.contains("were not read at the ")).collect();
    assert_eq!(said.len(), 2, "{trusting:#}");
    assert!(said[0].starts_with("6 files (6000 bytes) were not read at the source: "), "{said:?}");

    // So does the page a person looks at.
    let id = trusting["id"].as_str().unwrap();
    let url = pair.url(&format!("/files-verification-tasks/{id}/report?format=html"));
    let page = reqwest::get(url).await.unwrap().text().await.unwrap();
    assert!(page.contains("equal, trusting digests of earlier reads; snapshots left out; 7 files"), "{page}");
    assert!(page.contains("6 files (6000 bytes) trusted from earlier reads"), "{page}");

    // One byte changes; size and modification time are set back, which the change time tells.
    flip_byte(&planted(&trees.path().join("destination"))[4], 500);
    let changed = pair.verify(&md5_request()).await;
    assert_eq!((&changed["state"], &changed["digestMismatches"]), (&json!("FAILED"), &json!(1)), "{changed:#}");
    assert_eq!(changed["filesMatched"], FILES);
    assert_eq!(trusted(&changed), [FILES, FILES - 1]);
    pair.stop().await;
}

/// A file system in memory does not tell of every write through a memory map.
#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn where_nothing_can_be_recorded_every_task_reads_and_its_notes_say_so() {
    let Ok(trees) = tempfile::tempdir_in("/dev/shm") else {
        return missing("shm", "a file system in memory at /dev/shm");
    };
    let pair = planted_in(trees.path(), "digest_cache: trust").await;
    tokio::time::sleep(SETTLED).await;
    for _ in 0..2 {
        let report = pair.verify(&md5_request()).await;
        assert_eq!(report["state"], "COMPLETED", "{report:#}");
        assert_eq!((trusted(&report), read_bytes(&report)), ([0, 0], [FILES * BYTES + 3; 2]), "{report:#}");
        for side in ["source", "destination"] {
            assert_eq!(from(&report, side)["unrecordableFiles"], FILES);
            let said = format!("the digests of 6 files at the {side} are not remembered");
            assert!(notes(&report).iter().any(|note| note.starts_with(&said)), "{report:#}");
        }
    }
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_only_records_trusts_nothing() {
    let Some((pair, _trees)) = remembering("digest_cache: record").await else { return };
    tokio::time::sleep(SETTLED).await;
    for _ in 0..2 {
        let report = pair.verify(&md5_request()).await;
        assert_eq!((trusted(&report), read_bytes(&report)), ([0, 0], [FILES * BYTES + 3; 2]), "{report:#}");
    }
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_reads_what_it_could_trust() {
    let Some((pair, _trees)) = remembering("digest_cache: audit 100%").await else { return };
    tokio::time::sleep(SETTLED).await;
    pair.verify(&md5_request()).await;
    let report = pair.verify(&md5_request()).await;
    assert_eq!((trusted(&report), read_bytes(&report)), ([0, 0], [FILES * BYTES + 3; 2]), "{report:#}");
    assert_eq!(from(&report, "source")["auditedFiles"], FILES);
    assert_eq!(from(&report, "destination")["auditedFiles"], FILES);
    pair.stop().await;
}

/// What trust cannot know, the evidence for the difference finds: both sides read the file, and it is the same. That is not
/// proven equal in this task; the records are gone, and the next one reads everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_record_that_is_trusted_is_found_by_the_evidence() {
    let Some((pair, trees)) = remembering("digest_cache: trust").await else { return };
    tokio::time::sleep(SETTLED).await;
    pair.verify(&md5_request()).await;
    let pair = with_a_wrong_record(pair, trees.path(), "digest_cache: trust").await;
    let report = pair.verify(&md5_request()).await;
    let counts = ["digestMismatches", "digestVerificationFailures", "filesMatched"].map(|name| report[name].as_u64());
    assert_eq!((report["state"].as_str(), counts), (Some("FAILED"), [Some(0), Some(1), Some(FILES)]), "{report:#}");
    let difference = &report["differences"][0];
    assert_eq!((&difference["kind"], &difference["side"]), (&json!("unverified"), &json!("source")), "{report:#}");
    assert!(difference["detail"].as_str().unwrap().contains("a recorded one and wrong"), "{report:#}");
    let again = pair.verify(&md5_request()).await;
    assert_eq!((again["state"].as_str(), trusted(&again)[0]), (Some("COMPLETED"), 0), "{again:#}");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_record_that_is_audited_ends_the_task_and_drops_all() {
    let Some((pair, trees)) = remembering("digest_cache: trust").await else { return };
    tokio::time::sleep(SETTLED).await;
    pair.verify(&md5_request()).await;
    let pair = with_a_wrong_record(pair, trees.path(), "digest_cache: audit 100%").await;
    let report = pair.verify(&md5_request()).await;
    assert_eq!(report["state"], "FAILED", "{report:#}");
    let message = report["message"].as_str().unwrap();
    assert!(message.starts_with("source 127.0.0.1:"), "{message}");
    assert!(message.contains("data/0: the file ks/table-") && message.contains("verify again"), "{message}");
    let again = pair.verify(&md5_request()).await;
    assert_eq!((&again["state"], &again["filesMatched"]), (&json!("COMPLETED"), &json!(FILES + 1)), "{again:#}");
    pair.stop().await;
}

/// As after an audit, and a restart, on a file system that lets nobody change the file.
#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn wrong_records_that_cannot_be_thrown_away_are_not_trusted_and_health_says_so() {
    let Some((pair, trees)) = remembering("digest_cache: trust").await else { return };
    tokio::time::sleep(SETTLED).await;
    pair.verify(&md5_request()).await;
    pair.stop().await;
    let records = trees.path().join("state-d/digests.redb");
    fs::write(records.with_extension("redb.discredited"), "").unwrap();
    let immutable = match Immutable::make(&records) {
        Ok(immutable) => immutable,
        Err(error) => return missing("immutable", &error.to_string()),
    };
    let pair = start(trees.path(), "digest_cache: trust").await;
    let url = format!("http://127.0.0.1:{}/api/v1/__health", pair.destination_port);
    let trouble = || async {
        let health: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
        health["stateTrouble"].as_str().map(str::to_owned)
    };
    let said = trouble().await.unwrap_or_default();
    assert!(said.contains("recorded digests proved wrong") && said.ends_with("none is trusted"), "{said}");
    let report = pair.verify(&md5_request()).await;
    assert_eq!((report["state"].as_str(), trusted(&report)), (Some("COMPLETED"), [FILES, 0]), "{report:#}");
    drop(immutable);
    let report = pair.verify(&md5_request()).await;
    assert_eq!((trusted(&report), trouble().await), ([FILES, 0], None), "thrown away by now");
    let report = pair.verify(&md5_request()).await;
    assert_eq!(trusted(&report), [FILES; 2], "{report:#}");
    pair.stop().await;
}

/// Nobody verified before: the services read ahead of time, and again what comes later.
#[tokio::test(flavor = "multi_thread")]
async fn services_record_digests_ahead_of_time() {
    let Some((pair, trees)) = remembering("digest_cache: trust, digest_cache_warm_every: 100ms").await else { return };
    let add = |path: &Path| File::create(path).unwrap().write_all(b"later").unwrap();
    for side in ["source", "destination"] {
        let path = trees.path().join(side).join("data/ks/table-0000/nb-9-big-Data.db");
        add(&path);
        File::options().write(true).open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    let hashed = || async {
        let http = reqwest::Client::new();
        let read = |port: u16| {
            let http = http.clone();
            async move {
                let text =
                    http.get(format!("http://127.0.0.1:{port}/metrics")).send().await.unwrap().text().await.unwrap();
                let line =
                    text.lines().find(|line| line.starts_with("twintree_hashed_files_total")).unwrap().to_owned();
                line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
            }
        };
        (read(pair.source_port).await, read(pair.destination_port).await)
    };
    for _ in 0..600 {
        if hashed().await == (FILES + 1, FILES + 1) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(hashed().await, (FILES + 1, FILES + 1), "read once, though many rounds went by");
    // The records of a round are written at its end.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let report = pair.verify(&md5_request()).await;
    assert_eq!(report["state"], "COMPLETED", "{report:#}");
    assert_eq!((trusted(&report), read_bytes(&report)), ([FILES + 1; 2], [3; 2]), "{report:#}");
    pair.stop().await;
}
