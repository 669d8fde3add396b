//! Tasks that outlive the service: the same answers after a restart, and plain words where they cannot be had.

use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::process::{Process, free_port, twintree};
use crate::support::services::{Pair, Setup, md5_request, storage_dirs};
use crate::support::trees::{copy_tree, endless_file, flip_byte, plant, planted};

async fn pair_with_history(trees: &Path, settings: &str) -> Pair {
    let (source, destination) = (trees.join("source"), trees.join("destination"));
    plant(&source, 2, 3, 100);
    copy_tree(&source, &destination);
    flip_byte(&planted(&destination)[1], 5);
    let (mut s, mut d) = (source.display().to_string(), destination.display().to_string());
    let extra = format!("twintree: {{state_dir: {:?}{settings}}}", trees.join("state"));
    Pair::start(Setup { destination_extra: &extra, ..storage_dirs(&mut s, &mut d) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_task_answers_the_same_after_a_restart() {
    let trees = tempfile::tempdir().unwrap();
    let mut pair = pair_with_history(trees.path(), "").await;
    let reports = [pair.verify(&md5_request()).await, pair.verify(&md5_request()).await];
    assert_eq!(reports[0]["differencesTotal"], 1);
    assert_ne!(reports[0]["id"], reports[1]["id"]);
    pair = pair.restart_destination().await;
    for report in &reports {
        let path = format!("/files-verification-tasks/{}", report["id"].as_str().unwrap());
        assert_eq!(pair.get(&format!("{path}/report")).await, (200, report.clone()));
        let (code, status) = pair.get(&path).await;
        assert_eq!((code, &status["message"]), (200, &report["message"]));
        assert_eq!(pair.patch(&path).await, (200, status), "a task of an earlier process has ended");
    }
    let (_, listed) = pair.get("/files-verification-tasks").await;
    assert_eq!((listed.as_array().map(Vec::len), &listed[0]["id"]), (Some(1), &reports[1]["id"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_latest_tasks_are_kept() {
    let trees = tempfile::tempdir().unwrap();
    let mut pair = pair_with_history(trees.path(), ", history_max_tasks: 2").await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(pair.verify(&md5_request()).await["id"].as_str().unwrap().to_owned());
    }
    pair = pair.restart_destination().await;
    for (at, id) in ids.iter().enumerate() {
        for path in ["", "/report"] {
            let (code, body) = pair.get(&format!("/files-verification-tasks/{id}{path}")).await;
            assert_eq!(code, if at < 2 { 404 } else { 200 }, "task {at}: {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stops_in_order_says_so_in_the_task_it_had_under_way() {
    let trees = tempfile::tempdir().unwrap();
    let mut pair = pair_with_history(trees.path(), "").await;
    for side in ["source", "destination"] {
        endless_file(&trees.path().join(side).join("commitlog/CommitLog-7-1.log"));
    }
    let id = pair.begin(&md5_request()).await;
    pair.wait_until(&id, |status| status["state"] == "IN_PROGRESS").await;
    pair = pair.restart_destination().await;
    let (_, status) = pair.get(&format!("/files-verification-tasks/{id}")).await;
    assert_eq!(status["state"], "FAILED", "{status:#}");
    assert_eq!(status["message"], "the service stopped while the task was under way");
}

fn config(directory: &Path, port: u16, state: &Path) -> std::path::PathBuf {
    let storage = directory.join("storage");
    let yaml = format!(
        "cassandra_instances: [{{id: 1, host: 127.0.0.1, storage_dir: {storage:?}}}]\n\
         sidecar: {{host: 127.0.0.1, port: {port}}}\n\
         live_migration: {{migration_map: {{'127.0.0.1:{source}': '127.0.0.1:{port}'}}}}\n\
         sidecar_client: {{retry_delay: 1h, max_retry_delay: 1h, max_retries: 9}}\n\
         twintree: {{state_dir: {state:?}}}\n",
        source = free_port(),
    );
    let path = directory.join("sidecar.yaml");
    std::fs::write(&path, yaml).unwrap();
    path
}

async fn get(port: u16, path: &str) -> Value {
    let url = format!("http://127.0.0.1:{port}/api/v1/live-migration/files-verification-tasks{path}");
    reqwest::get(url).await.unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_process_was_killed_has_failed_with_that_reason() {
    let directory = tempfile::tempdir().unwrap();
    endless_file(&directory.path().join("storage/data/ks/table/nb-1-big-Data.db"));
    let port = free_port();
    let config = config(directory.path(), port, &directory.path().join("state"));
    // A source that holds the connection and never answers.
    let yaml = std::fs::read_to_string(&config).unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let source = yaml.split("'127.0.0.1:").nth(1).unwrap().split('\'').next().unwrap();
    let silent_port = silent.local_addr().unwrap().port().to_string();
    std::fs::write(&config, yaml.replace(source, &silent_port)).unwrap();

    let mut service = Process::serve(&config, port);
    let url = format!("http://127.0.0.1:{port}/api/v1/live-migration/files-verification-tasks");
    let created = reqwest::Client::new().post(url).json(&md5_request()).send().await.unwrap();
    let id = created.json::<Value>().await.unwrap()["taskId"].as_str().unwrap().to_owned();
    // A task is in the history before it begins.
    while get(port, &format!("/{id}")).await["state"] != "IN_PROGRESS" {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    service.signal(Signal::KILL);
    service.wait();

    let _service = Process::serve(&config, port);
    let status = get(port, &format!("/{id}")).await;
    assert_eq!(status["state"], "FAILED", "{status:#}");
    assert_eq!(status["message"], "the service stopped while the task was under way");
    assert!(status["endedAt"].as_i64() >= status["startedAt"].as_i64(), "{status:#}");
    assert_eq!(get(port, "").await, json!([status]));
}

#[test]
fn a_history_that_cannot_be_opened_stops_the_start_and_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let file = state.join("tasks.redb");
    std::fs::create_dir(&state).unwrap();
    let start = |state: &Path| {
        let mut command = twintree();
        command.args(["serve", "--config"]).arg(config(directory.path(), free_port(), state));
        let mut process = Process::start(command);
        let code = process.wait().code();
        (code, process.errors())
    };
    let garbage: Vec<u8> = (0..100_000u32).map(|at| (at * 7) as u8).collect();
    for bytes in [&b"not a database"[..], &garbage] {
        std::fs::write(&file, bytes).unwrap();
        let (code, errors) = start(&state);
        assert_eq!(code, Some(2), "{errors}");
        assert!(errors.contains(&format!("task history {}: ", file.display())), "{errors}");
        assert!(!errors.contains("panicked"), "{errors}");
        assert_eq!(std::fs::read(&file).unwrap(), bytes, "what is not ours is not touched");
    }
    // A directory that cannot be made: a file stands in its place.
    let (code, errors) = start(&file);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains(&format!("task history {}/tasks.redb: ", file.display())), "{errors}");
}
