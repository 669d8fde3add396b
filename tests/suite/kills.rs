//! `kill -9` at any point of source or destination: both start again, and no finished report is lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::process::{Process, free_port, twintree};
use crate::support::random::Random;
use crate::support::services::md5_request;
use crate::support::trees::{copy_tree, flip_byte, plant, planted};

const TASKS: &str = "/api/v1/live-migration/files-verification-tasks";

/// Source and destination as processes that come and go.
struct Services {
    directory: tempfile::TempDir,
    ports: [u16; 2],
    running: [Option<Process>; 2],
    /// Reports that were seen whole and safe, by id.
    finished: BTreeMap<String, Value>,
    http: reqwest::Client,
}

impl Services {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (source, destination) = (directory.path().join("source"), directory.path().join("destination"));
        plant(&source, 2, 40, 300);
        copy_tree(&source, &destination);
        planted(&destination).iter().step_by(3).for_each(|file| flip_byte(file, 5));
        let http =
            reqwest::Client::builder().timeout(Duration::from_secs(30)).pool_max_idle_per_host(0).build().unwrap();
        let ports = [free_port(), free_port()];
        let services = Self { directory, ports, running: [None, None], finished: BTreeMap::new(), http };
        (0..2).for_each(|side| services.configure(side));
        services
    }

    fn name(side: usize) -> &'static str {
        ["source", "destination"][side]
    }

    fn config(&self, side: usize) -> PathBuf {
        self.directory.path().join(format!("{}.yaml", Self::name(side)))
    }

    fn state(&self, side: usize) -> PathBuf {
        self.directory.path().join(format!("{}-state", Self::name(side)))
    }

    fn configure(&self, side: usize) {
        let [source, destination] = self.ports;
        let yaml = format!(
            "cassandra_instances: [{{id: 1, host: 127.0.0.1, storage_dir: {storage:?}}}]\n\
             sidecar: {{host: 127.0.0.1, port: {port}}}\n\
             live_migration: {{migration_map: {{'127.0.0.1:{source}': '127.0.0.1:{destination}'}}}}\n\
             sidecar_client: {{retry_delay: 5ms, max_retry_delay: 20ms, max_retries: 4}}\n\
             twintree: {{state_dir: {state:?}, digest_cache: trust, history_max_tasks: 100000}}\n",
            storage = self.directory.path().join(Self::name(side)),
            port = self.ports[side],
            state = self.state(side),
        );
        fs::write(self.config(side), yaml).unwrap();
    }

    /// Starts a service and does not wait for it.
    fn launch(&mut self, side: usize) {
        let mut command = twintree();
        command.args(["serve", "--config"]).arg(self.config(side));
        self.running[side] = Some(Process::start(command));
    }

    /// Starts what does not run and waits until it answers: whatever a kill left, it must.
    async fn up(&mut self, what: &str) {
        for side in 0..2 {
            if self.running[side].is_none() {
                self.launch(side);
            }
            let url = format!("http://127.0.0.1:{}/api/v1/__health", self.ports[side]);
            let mut answers = false;
            for _ in 0..1500 {
                answers = self.http.get(&url).send().await.is_ok();
                if answers {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            if !answers {
                let process = self.running[side].as_mut().unwrap();
                process.signal(Signal::KILL);
                process.wait();
                panic!("{what}: the {} does not start: {}", Self::name(side), process.errors());
            }
        }
    }

    fn kill(&mut self, side: usize) {
        if let Some(mut process) = self.running[side].take() {
            process.signal(Signal::KILL);
            process.wait();
        }
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}{TASKS}{path}", self.ports[1]);
        let response = self.http.get(url).send().await.ok()?.error_for_status().ok()?;
        response.json().await.ok()
    }

    async fn submit(&self) -> Option<String> {
        let url = format!("http://127.0.0.1:{}{TASKS}", self.ports[1]);
        let response = self.http.post(url).json(&md5_request()).send().await.ok()?;
        response.json::<Value>().await.ok()?["taskId"].as_str().map(str::to_owned)
    }

    /// Remembers every report that is finished and safe by now, and compares it with what it was before.
    async fn look(&mut self, what: &str) {
        let listed = self.get("?history=true").await.unwrap_or_else(|| panic!("{what}: no list"));
        for task in listed.as_array().unwrap() {
            assert!(task["damaged"].is_null(), "{what}: {task}");
            if matches!(task["state"].as_str(), Some("COMPLETED" | "FAILED" | "CANCELLED"))
                && task["stateTrouble"].is_null()
            {
                let id = task["id"].as_str().unwrap();
                let report = self.get(&format!("/{id}/report")).await.unwrap_or_else(|| panic!("{what}: {id}"));
                let known = self.finished.entry(id.to_owned()).or_insert_with(|| report.clone());
                assert_eq!(*known, report, "{what}: a finished report is another by now");
            }
        }
        let ids: Vec<&str> = listed.as_array().unwrap().iter().filter_map(|task| task["id"].as_str()).collect();
        let lost: Vec<&String> = self.finished.keys().filter(|id| !ids.contains(&id.as_str())).collect();
        assert!(lost.is_empty(), "{what}: lost {lost:?}");
    }

    async fn settle(&self) {
        for _ in 0..3000 {
            let listed = self.get("").await;
            let state = listed.as_ref().and_then(|listed| listed[0]["state"].as_str()).unwrap_or_default();
            if !matches!(state, "NOT_STARTED" | "IN_PROGRESS") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the task does not end");
    }
}

/// What is under way when the kill comes.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// The very first start: there is no state at all.
    FirstStart,
    Start,
    Task,
    /// About when the report is written.
    End,
}

const MOMENTS: [Moment; 4] = [Moment::FirstStart, Moment::Start, Moment::Task, Moment::End];

async fn kill_at(services: &mut Services, moment: Moment, side: usize, after: Duration, what: &str) {
    match moment {
        Moment::FirstStart | Moment::Start => {
            services.kill(side);
            // The destination's history is what must survive.
            if matches!(moment, Moment::FirstStart) && (side == 0 || services.finished.is_empty()) {
                let _ = fs::remove_dir_all(services.state(side));
            }
            services.launch(side);
            tokio::time::sleep(after).await;
        }
        Moment::Task => {
            services.submit().await;
            tokio::time::sleep(after * 2).await;
        }
        Moment::End => {
            if services.submit().await.is_some() {
                services.settle_almost().await;
                tokio::time::sleep(after / 8).await;
            }
        }
    }
    services.kill(side);
    services.up(what).await;
}

impl Services {
    /// Waits until the task is about to end: all of it is read.
    async fn settle_almost(&self) {
        for _ in 0..400 {
            let listed = self.get("").await.unwrap_or_default();
            let task = &listed[0];
            let is_read = task["filesTotal"].as_u64() > Some(0) && task["filesHashed"] == task["filesTotal"];
            if is_read || matches!(task["state"].as_str(), Some("COMPLETED" | "FAILED")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Kills so often, each time at a moment that the seed draws; returns how many reports were seen.
async fn kill(count: u64, seed: u64) -> usize {
    let mut services = Services::new();
    let mut random = Random::new(seed);
    for number in 0..count {
        let moment = MOMENTS[(number % 4) as usize];
        let side = random.below(2);
        let after = Duration::from_micros(random.below(25_000) as u64);
        let what = format!("seed {seed}, kill {number}: {moment:?} of the {} after {after:?}", Services::name(side));
        kill_at(&mut services, moment, side, after, &what).await;
        services.look(&what).await;
        if number % 6 == 5 {
            services.settle().await;
            services.look(&what).await;
        }
    }
    services.submit().await.unwrap();
    services.settle().await;
    services.look("in the end").await;
    let last = services.get("").await.unwrap();
    assert_eq!(last[0]["digestMismatches"], 27, "the last task says what is so: {last:#}");
    services.finished.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dozen_kills_and_no_finished_report_is_lost() {
    assert!(kill(12, 1).await > 1);
}

/// By hand: `cargo test --test suite three_hundred_kills -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn three_hundred_kills_and_no_finished_report_is_lost() {
    let seed = std::env::var("TWINTREE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let finished = kill(320, seed).await;
    eprintln!("320 kills with seed {seed}: {finished} reports, all of them as they were");
    assert!(finished > 50);
}
