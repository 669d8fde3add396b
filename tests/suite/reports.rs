//! What a task's report says, in each of its forms and page by page; and a task that is watched while it runs.

use serde_json::{Value, json};

use crate::support::program::twintree;
use crate::support::raw_http::{RawAnswer, exchange};
use crate::support::services::{Pair, Setup, md5_request, storage_dirs};
use crate::support::trees::{copy_tree, endless_file, flip_byte, plant, planted};

const DIRECTORIES: usize = 3;
const FILES: usize = 5;

/// A pair whose destination has other bytes in every file, under names that want escaping.
async fn differing(settings: &str) -> (Pair, tempfile::TempDir) {
    let trees = tempfile::tempdir().unwrap();
    let (s, d) = (trees.path().join("source"), trees.path().join("destination"));
    plant(&s, DIRECTORIES, FILES, 20);
    std::fs::write(s.join("data/<script>alert(1)<b>\u{1b}[2J"), "same").unwrap();
    copy_tree(&s, &d);
    planted(&d).iter().for_each(|file| flip_byte(file, 3));
    std::fs::write(d.join("data/<script>alert(1)<b>\u{1b}[2J"), "else").unwrap();
    let time = std::fs::metadata(s.join("data/<script>alert(1)<b>\u{1b}[2J")).unwrap().modified().unwrap();
    let copy = std::fs::File::open(d.join("data/<script>alert(1)<b>\u{1b}[2J")).unwrap();
    copy.set_modified(time).unwrap();
    let (mut left, mut right) = (s.display().to_string(), d.display().to_string());
    let extra = format!("twintree: {{state_dir: {:?}{settings}}}", trees.path().join("state"));
    let pair = Pair::start(Setup { destination_extra: &extra, ..storage_dirs(&mut left, &mut right) }).await;
    (pair, trees)
}

async fn raw(pair: &Pair, path: &str) -> RawAnswer {
    let address = format!("127.0.0.1:{}", pair.destination_port);
    let path = format!("/api/v1/live-migration/files-verification-tasks/{path}");
    tokio::task::spawn_blocking(move || exchange(&address, &address, "GET", &path, None)).await.unwrap()
}

const TOTAL: usize = DIRECTORIES * FILES + 1;

#[tokio::test(flavor = "multi_thread")]
async fn a_report_sums_up_tables_sides_and_phases() {
    let (pair, _trees) = differing("").await;
    let report = pair.verify(&md5_request()).await;
    assert_eq!(report["differencesTotal"], TOTAL, "{report:#}");
    let rollups = report["rollups"].as_array().unwrap();
    let counted: u64 = rollups.iter().filter_map(|rollup| rollup["differences"]["content"].as_u64()).sum();
    assert_eq!(counted as usize, TOTAL);
    let files: u64 = rollups.iter().map(|rollup| rollup["sourceFiles"].as_u64().unwrap()).sum();
    assert_eq!(json!(files), report["filesTotal"]);
    let (tables, rest): (Vec<&Value>, _) = rollups.iter().partition(|rollup| !rollup["table"].is_null());
    assert!(tables.iter().all(|table| table["state"] == "different"), "{tables:#?}");
    assert!(rest.iter().any(|root| root["root"] == "data" && root["differences"]["content"] == 1), "{rest:#?}");
    for side in ["source", "destination"] {
        let read = &report["read"][side];
        assert_eq!((&read["files"], &read["bytes"]), (&report["filesTotal"], &report["bytesTotal"]), "{read:#}");
        assert!(read["roots"].as_array().unwrap().contains(&json!("data/0")), "{read:#}");
        assert!(read["instance"].as_str().unwrap().contains("(id 1)"));
    }
    let phase = |name: &str| report["timings"][name].as_u64().unwrap_or_else(|| panic!("{name}: {report:#}"));
    assert!(phase("walkedMs") <= phase("hashedMs") && phase("sourceWalkedMs") <= phase("sourceHashedMs"));
    assert!(phase("hashedMs") <= phase("totalMs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_ends_a_task_leaves_the_rest_not_compared() {
    let (pair, trees) = differing("").await;
    let first = &planted(&trees.path().join("destination"))[0];
    std::fs::write(first, "longer or shorter").unwrap();
    let report = pair.verify(&md5_request()).await;
    let states: Vec<&str> =
        report["rollups"].as_array().unwrap().iter().map(|r| r["state"].as_str().unwrap()).collect();
    assert_eq!(states.iter().filter(|state| **state == "different").count(), 1, "{report:#}");
    assert!(states.iter().all(|state| matches!(*state, "different" | "not-compared")), "{states:?}");
    assert_eq!(report["timings"]["totalMs"].as_u64().map(|_| ()), Some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_in_every_form_have_all_differences_once_from_memory_and_from_the_history() {
    let (mut pair, _trees) = differing("").await;
    let whole = pair.verify(&md5_request()).await;
    let id = whole["id"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let mut collected = Vec::new();
        for offset in (0..TOTAL + 7).step_by(7) {
            let (code, page) =
                pair.get(&format!("/files-verification-tasks/{id}/report?offset={offset}&limit=7")).await;
            assert_eq!((code, &page["differencesTotal"], &page["offset"]), (200, &json!(TOTAL), &json!(offset)));
            assert_eq!((&page["rollups"], &page["notes"]), (&whole["rollups"], &whole["notes"]));
            collected.extend(page["differences"].as_array().unwrap().clone());
        }
        assert_eq!(json!(collected), whole["differences"]);

        let csv = raw(&pair, &format!("{id}/report?format=csv&offset=1&limit=4")).await;
        assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
        let lines: Vec<&str> = csv.body.lines().collect();
        assert_eq!((lines.len(), &lines[0][..26]), (6, "fileUrl,pathHex,kind,side,"));
        assert!(lines[1].starts_with(",,summary,,,"), "{}", lines[1]);
        assert!(lines[1].contains("FAILED: entries that are not proven equal: "), "{}", lines[1]);
        for (line, difference) in lines[2..].iter().zip(&collected[1..]) {
            let digest = difference["source"]["digests"]["MD5"].as_str().unwrap();
            assert!(line.contains(&format!("MD5:{digest}")), "{line}");
        }

        let html = raw(&pair, &format!("{id}/report?format=html&offset=7&limit=7")).await;
        assert_eq!(html.header("content-type"), Some("text/html; charset=utf-8"));
        for text in
            ["8 to 14 of 16", "offset=0&amp;limit=7\">previous page", "offset=14&amp;limit=7\">next page", "FAILED"]
        {
            assert!(html.body.contains(text), "{text}: {}", html.body);
        }
        let all = raw(&pair, &format!("{id}/report?format=html")).await.body;
        assert!(!all.contains("<script") && all.contains("&lt;script&gt;") && !all.contains('\u{1b}'));
        assert_eq!(all.matches("<td>content</td>").count(), TOTAL);
        pair = pair.restart_destination().await;
    }
    for bad in ["format=pdf", "offset=-1", "limit=x"] {
        let answer = raw(&pair, &format!("{id}/report?{bad}")).await;
        assert_eq!((answer.code(), &answer.json()["code"]), (400, &json!(400)), "{bad}");
    }
}

/// The events of a stream: names and data.
fn events(body: &str) -> Vec<(String, Value)> {
    let blocks = body.split("\n\n").filter(|block| block.contains("data:"));
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{block}"));
        line.trim().to_owned()
    };
    blocks.map(|block| (field(block, "event:"), serde_json::from_str(&field(block, "data:")).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_watched_to_its_end() {
    let (pair, trees) = differing("").await;
    for side in ["source", "destination"] {
        endless_file(&trees.path().join(side).join("commitlog/CommitLog-7-1.log"));
    }
    let id = pair.begin(&md5_request()).await;
    let url = pair.url(&format!("/files-verification-tasks/{id}/events"));
    let mut answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    // Only what has begun to watch sees the task under way: the task is ended after the first event has come.
    let mut body = Vec::new();
    while !body.ends_with(b"\n\n") {
        body.extend(answer.chunk().await.unwrap().expect("an event before the end"));
    }
    pair.wait_until(&id, |status| status["bytesHashed"].as_u64() > Some(0)).await;
    pair.patch(&format!("/files-verification-tasks/{id}")).await;
    body.extend(answer.bytes().await.unwrap());
    let seen = events(&String::from_utf8(body).unwrap());
    let (last, before) = seen.split_last().unwrap();
    assert_eq!((last.0.as_str(), &last.1["state"]), ("end", &json!("CANCELLED")));
    assert!(!before.is_empty() && before.iter().all(|(name, status)| name == "status" && status["endedAt"].is_null()));
    // One that has ended says so at once, and one that nobody knows is unknown.
    let again = events(&raw(&pair, &format!("{id}/events")).await.body);
    assert_eq!(again, std::slice::from_ref(last));
    let unknown = raw(&pair, "00000000-0000-1000-8000-000000000000/events").await;
    assert_eq!(unknown.code(), 404);
}

/// One shape of result, whoever prints it.
#[tokio::test(flavor = "multi_thread")]
async fn every_command_and_route_gives_a_result_of_one_shape() {
    let (pair, trees) = differing("").await;
    let route = pair.verify(&md5_request()).await;
    let id = route["id"].as_str().unwrap().to_owned();
    let url = format!("http://127.0.0.1:{}", pair.destination_port);
    let sides = ["source", "destination"].map(|side| trees.path().join(side).join("data").display().to_string());
    let printed = tokio::task::spawn_blocking(move || {
        let commands: [&[&str]; 3] = [
            &["verify", "--destination", &url, "--json", "--quiet"],
            &["tasks", "--destination", &url, "--json", "show", &id],
            &["diff", &sides[0], &sides[1], "--json", "--quiet"],
        ];
        commands.map(|command| serde_json::from_str::<Value>(&twintree(command).1).unwrap())
    });
    let keys = |result: &Value| result.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for result in printed.await.unwrap() {
        assert_eq!(keys(&result), keys(&route));
    }
}

/// A task under way has found nothing yet, and that is not the same as having nothing to find.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_a_task_under_way_says_so_in_every_form() {
    let (pair, trees) = differing("").await;
    for side in ["source", "destination"] {
        endless_file(&trees.path().join(side).join("commitlog/CommitLog-7-1.log"));
    }
    let id = pair.begin(&md5_request()).await;
    pair.wait_until(&id, |status| status["bytesHashed"].as_u64() > Some(0)).await;
    let (_, report) = pair.get(&format!("/files-verification-tasks/{id}/report")).await;
    assert_eq!(report["state"], "IN_PROGRESS");
    let headline = report["headline"].as_str().unwrap().to_owned();
    assert!(headline.starts_with("not finished; snapshots left out; "), "{headline}");
    let html = raw(&pair, &format!("{id}/report?format=html")).await.body;
    assert!(
        html.contains("not finished; snapshots left out") && html.contains("none known yet: the task is not finished")
    );
    let csv = raw(&pair, &format!("{id}/report?format=csv")).await.body;
    assert!(csv.contains("IN_PROGRESS: not finished; snapshots left out"), "{csv}");
    let (url, shown) = (format!("http://127.0.0.1:{}", pair.destination_port), id.clone());
    let show = move || twintree(&["tasks", "--destination", &url, "show", &shown]).1;
    let shown = tokio::task::spawn_blocking(show).await.unwrap();
    assert!(shown.starts_with("IN_PROGRESS: not finished; snapshots left out; "), "{shown}");
    assert!(shown.contains("differences: none known yet, the task is not finished"), "{shown}");
    pair.patch(&format!("/files-verification-tasks/{id}")).await;
}
