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
async fn a_task_goes_on_after_an_orderly_stop_or_ends_where_the_configuration_asks_for_that() {
    for (settings, resumed) in [("", true), (", unfinished_tasks: fail", false)] {
        let trees = tempfile::tempdir().unwrap();
        let mut pair = pair_with_history(trees.path(), settings).await;
        for side in ["source", "destination"] {
            endless_file(&trees.path().join(side).join("commitlog/CommitLog-7-1.log"));
        }
        let id = pair.begin(&md5_request()).await;
        let begun = pair.wait_until(&id, |status| status["state"] == "IN_PROGRESS").await;
        pair = pair.restart_destination().await;
        let (_, status) = pair.get(&format!("/files-verification-tasks/{id}")).await;
        if !resumed {
            assert_eq!(status["state"], "FAILED", "{status:#}");
            assert_eq!(status["message"], "the service stopped while the task was under way");
            continue;
        }
        pair.wait_until(&id, |status| status["bytesHashed"].as_u64() > Some(0)).await;
        let (code, _) = pair.submit(&md5_request()).await;
        assert_eq!(code, 409, "the task that goes on is under way");
        let (_, cancelled) = pair.patch(&format!("/files-verification-tasks/{id}")).await;
        assert_eq!((&cancelled["state"], &cancelled["startedAt"]), (&json!("CANCELLED"), &begun["startedAt"]));
        let (_, report) = pair.get(&format!("/files-verification-tasks/{id}/report")).await;
        let note = report["notes"][0].as_str().unwrap();
        assert!(note.starts_with("the service stopped while the task was under way; it began again at 20"), "{note}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_lists_all_tasks_newest_first() {
    let trees = tempfile::tempdir().unwrap();
    let mut pair = pair_with_history(trees.path(), "").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.insert(0, pair.verify(&md5_request()).await["id"].as_str().unwrap().to_owned());
    }
    for _ in 0..2 {
        let (code, listed) = pair.get("/files-verification-tasks?history=true").await;
        let listed = listed.as_array().unwrap();
        let found: Vec<&str> = listed.iter().map(|task| task["id"].as_str().unwrap()).collect();
        assert_eq!((code, found), (200, ids.iter().map(String::as_str).collect()));
        for task in listed {
            let path = format!("/files-verification-tasks/{}/report", task["id"].as_str().unwrap());
            assert_eq!(pair.get(&path).await.1["differencesTotal"], 1);
        }
        let (_, latest) = pair.get("/files-verification-tasks?history=false").await;
        assert_eq!(latest.as_array().unwrap().len(), 1);
        pair = pair.restart_destination().await;
    }
    assert_eq!(pair.get("/files-verification-tasks?history=maybe").await.0, 400);
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

/// A destination whose source holds the connection and never answers, as a process.
struct Killed {
    directory: tempfile::TempDir,
    config: std::path::PathBuf,
    port: u16,
    silent: std::net::TcpListener,
}

impl Killed {
    fn new(settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        endless_file(&directory.path().join("storage/data/ks/table/nb-1-big-Data.db"));
        let port = free_port();
        let config = config(directory.path(), port, &directory.path().join("state"));
        let yaml = std::fs::read_to_string(&config).unwrap();
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let source = yaml.split("'127.0.0.1:").nth(1).unwrap().split('\'').next().unwrap();
        let silent_port = silent.local_addr().unwrap().port().to_string();
        let yaml = yaml.replace(source, &silent_port).replace("twintree: {", &format!("twintree: {{{settings}"));
        std::fs::write(&config, yaml).unwrap();
        Self { directory, config, port, silent }
    }

    fn serve(&self) -> Process {
        Process::serve(&self.config, self.port)
    }

    async fn submit(&self) -> String {
        let url = format!("http://127.0.0.1:{}/api/v1/live-migration/files-verification-tasks", self.port);
        let created = reqwest::Client::new().post(url).json(&md5_request()).send().await.unwrap();
        created.json::<Value>().await.unwrap()["taskId"].as_str().unwrap().to_owned()
    }

    /// Waits until the task is in the state, which it is at the latest soon after it is in the history.
    async fn wait(&self, id: &str, state: &str) -> Value {
        for _ in 0..3000 {
            let status = get(self.port, &format!("/{id}")).await;
            if status["state"] == state {
                return status;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the task is never {state}: {:#}", get(self.port, &format!("/{id}")).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_process_was_killed_has_failed_where_the_configuration_asks_for_that() {
    let killed = Killed::new("unfinished_tasks: fail, ");
    let mut service = killed.serve();
    let id = killed.submit().await;
    killed.wait(&id, "IN_PROGRESS").await;
    service.signal(Signal::KILL);
    service.wait();
    let _service = killed.serve();
    let status = killed.wait(&id, "FAILED").await;
    assert_eq!(status["message"], "the service stopped while the task was under way");
    assert!(status["endedAt"].as_i64() >= status["startedAt"].as_i64(), "{status:#}");
    assert_eq!(get(killed.port, "").await, json!([status]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_taken_up_after_each_death_and_given_up_after_too_many() {
    let killed = Killed::new("");
    let mut service = killed.serve();
    let id = killed.submit().await;
    // Held until the end: a connection that is closed is an answer, and the task would end by it.
    let mut held = Vec::new();
    for _ in 0..=twintree::task::MAX_RESTARTS {
        killed.wait(&id, "IN_PROGRESS").await;
        held.push(killed.silent.accept().unwrap());
        service.signal(Signal::KILL);
        service.wait();
        service = killed.serve();
    }
    let status = killed.wait(&id, "FAILED").await;
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("4 times in a row: it is not taken up again"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_not_taken_up_where_its_instance_has_another_source_or_is_complete() {
    for (from, to, reason) in [
        ("'127.0.0.1:", "'127.0.0.9:", "is no longer migrated from 127.0.0.1:"),
        ("id: 1", "id: 2", "the configuration has no instance with id 1"),
        ("storage_dir", "staging_dir: STAGING, storage_dir", "the migration was marked complete"),
    ] {
        let killed = Killed::new("");
        let mut service = killed.serve();
        let id = killed.submit().await;
        killed.wait(&id, "IN_PROGRESS").await;
        let _held = killed.silent.accept().unwrap();
        service.signal(Signal::KILL);
        service.wait();
        let staging = killed.directory.path().join("staging");
        std::fs::create_dir_all(&staging).unwrap();
        std::fs::write(staging.join("live_migration_status.json"), r#"{"state":"COMPLETED","endTime":1}"#).unwrap();
        let yaml = std::fs::read_to_string(&killed.config).unwrap();
        let yaml = yaml.replacen(from, to, 1).replace("STAGING", &format!("{staging:?}"));
        std::fs::write(&killed.config, yaml).unwrap();
        let _service = killed.serve();
        if to == "id: 2" {
            // The task belongs to nobody any more; its instance is free.
            assert_eq!(get(killed.port, "").await, json!([]));
            continue;
        }
        let status = killed.wait(&id, "FAILED").await;
        let message = status["message"].as_str().unwrap();
        let expected = "the service stopped while the task was under way, and it cannot be taken up again: ";
        assert!(message.starts_with(expected) && message.contains(reason), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_cannot_be_opened_is_put_out_of_the_way_and_the_service_starts() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("tasks"), "not a history").unwrap();
    let port = free_port();
    let mut service = Process::serve(&config(directory.path(), port, &state), port);
    assert_eq!(get(port, "?history=true").await, json!([]));
    service.signal(Signal::TERM);
    service.wait();
    let log = service.errors();
    assert!(log.contains("the task history cannot be opened and begins again"), "{log}");
    let names = std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let kept = names.into_iter().find(|name| name.starts_with("tasks.damaged-20")).unwrap();
    assert!(log.contains(&kept), "{log}");
    assert_eq!(std::fs::read_to_string(state.join(kept)).unwrap(), "not a history");
}

#[test]
fn a_state_directory_that_cannot_be_made_stops_the_start_and_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "in its place").unwrap();
    let mut command = twintree();
    command.args(["serve", "--config"]).arg(config(directory.path(), free_port(), &file));
    let mut process = Process::start(command);
    assert_eq!(process.wait().code(), Some(2));
    let errors = process.errors();
    assert!(errors.contains(&format!("task history {}/tasks: ", file.display())), "{errors}");
}

/// A record that is damaged hides one task and no other, and is named wherever one looks.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_is_named_and_never_served() {
    let trees = tempfile::tempdir().unwrap();
    let mut pair = pair_with_history(trees.path(), "").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(pair.verify(&md5_request()).await["id"].as_str().unwrap().to_owned());
    }
    let (_, sound) = pair.get(&format!("/files-verification-tasks/{}/report", ids[2])).await;
    let file = |id: &str, kind: &str| trees.path().join(format!("state/tasks/{id}.{kind}"));
    flip_byte(&file(&ids[0], "task"), 100);
    flip_byte(&file(&ids[1], "findings"), 40);
    pair = pair.restart_destination().await;
    let message = |id: &str| format!("the record of task {id} in the task history is damaged");
    for (id, path) in [(&ids[0], ""), (&ids[0], "/report"), (&ids[1], "/report"), (&ids[1], "/report?format=csv")] {
        let (code, body) = pair.get(&format!("/files-verification-tasks/{id}{path}")).await;
        assert_eq!(code, 500, "{body}");
        assert!(body["message"].as_str().unwrap().starts_with(&message(id)), "{body}");
    }
    let (code, listed) = pair.get("/files-verification-tasks?history=true").await;
    let listed = listed.as_array().unwrap();
    assert_eq!((code, &listed[0]["id"], &listed[1]["id"]), (200, &json!(ids[2]), &json!(ids[1])));
    assert_eq!(listed[2], json!({ "id": ids[0], "damaged": message(&ids[0]) }));
    assert_eq!(pair.get(&format!("/files-verification-tasks/{}/report", ids[2])).await, (200, sound));
    let url = format!("http://127.0.0.1:{}", pair.destination_port);
    let list = move || crate::support::program::twintree(&["tasks", "--destination", &url, "list", "--history"]);
    let (code, printed, _) = tokio::task::spawn_blocking(list).await.unwrap();
    assert!(code == 0 && printed.contains(&message(&ids[0])), "{printed}");
    let url = format!("http://127.0.0.1:{}/metrics", pair.destination_port);
    let metrics = reqwest::get(url).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("twintree_tasks_damaged 1\n"), "{metrics}");
}
