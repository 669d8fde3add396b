//! A service whose state directory has no room: a real file system of one mebibyte.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::process::{Process, free_port, twintree};
use crate::support::services::md5_request;

/// In a mount namespace of its own, so that whoever may make one can run the test.
const IN_A_NAMESPACE: [&str; 4] = ["--user", "--map-root-user", "--mount", "sh"];

fn can_mount() -> bool {
    let probe = "mount -t tmpfs tmpfs /tmp 2>/dev/null";
    let mounted = Command::new("unshare").args(IN_A_NAMESPACE).args(["-c", probe]).status();
    let can = mounted.is_ok_and(|status| status.success());
    if !can {
        eprintln!("skipped: this user may not mount a file system in a namespace of its own");
    }
    can
}

fn config(directory: &Path, port: u16, state: &Path) -> PathBuf {
    let storage = directory.join("storage");
    fs::create_dir_all(storage.join("data")).unwrap();
    let yaml = format!(
        "cassandra_instances: [{{id: 1, host: 127.0.0.1, storage_dir: {storage:?}}}]\n\
         sidecar: {{host: 127.0.0.1, port: {port}}}\n\
         live_migration: {{migration_map: {{'127.0.0.1:{source}': '127.0.0.1:{port}'}}}}\n\
         sidecar_client: {{retry_delay: 1ms, max_retries: 0}}\n\
         twintree: {{state_dir: {state:?}, digest_cache: trust}}\n",
        source = free_port(),
    );
    let path = directory.join("sidecar.yaml");
    fs::write(&path, yaml).unwrap();
    path
}

/// A service whose state lies in a file system of one mebibyte, which `before` prepares.
fn serve(directory: &Path, port: u16, state: &Path, before: &str) -> Process {
    fs::create_dir_all(state).unwrap();
    let script = format!("mount -t tmpfs -o size=1m tmpfs \"$0\" && {before} exec \"$1\" serve --config \"$2\"");
    let mut command = Command::new("unshare");
    command.args(IN_A_NAMESPACE).args(["-c", &script]).arg(state).arg(twintree().get_program());
    command.arg(config(directory, port, state));
    Process::listening(command, port)
}

/// Takes all the room there is, and gives it back when it is removed.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
}

async fn get(port: u16, path: &str) -> Value {
    reqwest::get(format!("http://127.0.0.1:{port}/api/v1{path}")).await.unwrap().json().await.unwrap()
}

async fn until(port: u16, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..3000 {
        let seen = get(port, path).await;
        if wanted(&seen) {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{path} never comes to that: {:#}", get(port, path).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_of_and_loses_nothing_once_there_is_room() {
    if !can_mount() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (state, port) = (directory.path().join("state"), free_port());
    let mut service = serve(directory.path(), port, &state, "");
    assert_eq!(get(port, "/__health").await, json!({ "status": "OK" }));
    let inside = PathBuf::from(format!("/proc/{}/root", service.id())).join(state.strip_prefix("/").unwrap());
    fill(&inside.join("filler"));
    let tasks = "/live-migration/files-verification-tasks";
    let url = format!("http://127.0.0.1:{port}/api/v1{tasks}");
    let created = reqwest::Client::new().post(url).json(&md5_request()).send().await.unwrap();
    let id = created.json::<Value>().await.unwrap()["taskId"].as_str().unwrap().to_owned();
    let path = format!("{tasks}/{id}");
    let status = until(port, &path, |status| status["state"] == "FAILED").await;
    let trouble = status["stateTrouble"].as_str().unwrap_or_default();
    assert!(trouble.contains("No space left on device"), "{status:#}");
    let health = get(port, "/__health").await;
    let told = health["stateTrouble"].as_str().unwrap_or_default();
    assert!(
        health["status"] == "OK" && told.starts_with("1 task is not safe in the task history on disk yet: "),
        "{health}"
    );
    let metrics = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("twintree_tasks_not_safe 1\n"), "{metrics}");
    let report = get(port, &format!("{path}/report")).await;
    assert_eq!((&report["id"], &report["state"]), (&json!(id), &json!("FAILED")));

    let mut command = twintree();
    command.args(["verify", "--destination"]).arg(format!("http://127.0.0.1:{port}"));
    let mut verify = Process::start(command);
    verify.wait();
    let (errors, said) = (verify.errors(), "the task is not safe on the destination's disk yet: ");
    assert!(errors.matches(said).count() == 1 && errors.contains("No space left on device"), "{errors}");

    fs::remove_file(inside.join("filler")).unwrap();
    let safe = until(port, &path, |status| status["stateTrouble"].is_null()).await;
    assert_eq!(get(port, "/__health").await, json!({ "status": "OK" }));
    let kept = directory.path().join("kept");
    fs::create_dir_all(kept.join("tasks")).unwrap();
    for entry in fs::read_dir(inside.join("tasks")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), kept.join("tasks").join(entry.file_name())).unwrap();
    }
    service.signal(Signal::KILL);
    service.wait();
    let port = free_port();
    let _service = Process::serve(&config(directory.path(), port, &kept), port);
    assert_eq!(get(port, &path).await, safe);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_without_room_leaves_nothing_that_stops_the_next_one() {
    if !can_mount() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (state, port) = (directory.path().join("state"), free_port());
    let full = "head -c 1048576 /dev/zero > \"$0/filler\"; timeout 5 \"$1\" serve --config \"$2\"; rm \"$0/filler\";";
    let _service = serve(directory.path(), port, &state, full);
    assert_eq!(get(port, "/__health").await, json!({ "status": "OK" }));
}
