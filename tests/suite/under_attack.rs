//! The program itself under attack: the memory it takes, and a task that gets done meanwhile.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use twintree::protocol::{FrameDecoder, ManifestFrame};

use crate::support::attacks::{self, Targets};
use crate::support::material::missing;
use crate::support::process::{Process, free_port};
use crate::support::trees::{copy_tree, plant};

/// The most memory a service may ever have had, in bytes, with `memory_limit: 256MiB`.
const MOST: u64 = 300_000_000;

/// How many differences the first task finds.
const DIFFERENCES: usize = 3000;

struct Attacked {
    services: [Process; 2],
    targets: Targets,
    http: reqwest::Client,
    trees: tempfile::TempDir,
}

impl Attacked {
    async fn start() -> Self {
        let trees = tempfile::tempdir().unwrap();
        let [source, destination] = [free_port(), free_port()];
        plant(&trees.path().join("source"), 4, 25, 3000);
        // More than the buffers of a connection take.
        std::fs::write(trees.path().join("source/data/ks/large"), vec![7; 32 << 20]).unwrap();
        copy_tree(&trees.path().join("source"), &trees.path().join("destination"));
        let serve = |side: &str, port: u16| {
            let path = trees.path().join(format!("{side}.yaml"));
            std::fs::write(&path, config(trees.path(), side, port, [source, destination])).unwrap();
            tokio::task::spawn_blocking(move || Process::serve(&path, port))
        };
        let services = [serve("source", source).await.unwrap(), serve("destination", destination).await.unwrap()];
        let none = String::new();
        let targets = Targets { source, destination, manifest: none.clone(), task: none.clone(), file: none };
        let mut attacked = Self { services, targets, http: reqwest::Client::new(), trees };
        attacked.find_targets().await;
        attacked
    }

    /// A task with many differences, a manifest, and a file that no buffer holds.
    async fn find_targets(&mut self) {
        let surplus = self.trees.path().join("source/hints");
        (0..DIFFERENCES).for_each(|at| std::fs::create_dir_all(surplus.join(format!("{at:0200}"))).unwrap());
        self.targets.task = self.verify().await["id"].as_str().unwrap().to_owned();
        std::fs::remove_dir_all(surplus).unwrap();
        self.targets.file = "data/0/ks/large".to_owned();
        let url = format!("http://127.0.0.1:{}/api/v1/live-migration/manifests", self.targets.source);
        let request = json!({ "lowestVersion": 3, "highestVersion": 3, "maxConcurrency": 4 });
        let frames = self.http.post(url).json(&request).send().await.unwrap().bytes().await.unwrap();
        let mut decoder = FrameDecoder::default();
        decoder.push(&frames);
        let Some(ManifestFrame::Hello(hello)) = decoder.decode().unwrap() else { panic!("no hello") };
        self.targets.manifest = uuid::Uuid::from_bytes(hello.manifest_id).to_string();
    }

    /// Runs a task to its end; its status.
    async fn verify(&self) -> Value {
        let tasks =
            format!("http://127.0.0.1:{}/api/v1/live-migration/files-verification-tasks", self.targets.destination);
        let request = json!({ "maxConcurrency": 4, "digestAlgorithm": "MD5" });
        let created: Value = self.json(self.http.post(&tasks).json(&request)).await;
        let task = format!("{tasks}/{}", created["taskId"].as_str().unwrap());
        loop {
            let status = self.json(self.http.get(&task)).await;
            if !matches!(status["state"].as_str(), Some("NOT_STARTED" | "IN_PROGRESS")) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The answer to a request. A connection that was idle may have made room for another one, so it is tried again.
    async fn json(&self, request: reqwest::RequestBuilder) -> Value {
        for _ in 0..100 {
            if let Ok(answer) = request.try_clone().unwrap().send().await {
                assert!(answer.status().is_success(), "{answer:?}");
                return answer.json().await.unwrap();
            }
        }
        panic!("no answer")
    }

    /// Verifies for so long while somebody attacks, at least once.
    async fn endure(&self, name: &str, attackers: JoinSet<()>, time: Duration) {
        let until = Instant::now() + time;
        let mut tasks = 0;
        while tasks == 0 || Instant::now() < until {
            let status = self.verify().await;
            assert_eq!((&status["state"], &status["filesMatched"]), (&json!("COMPLETED"), &json!(101)), "{status:#}");
            for port in [self.targets.source, self.targets.destination] {
                let health = self.http.get(format!("http://127.0.0.1:{port}/api/v1/__health"));
                assert_eq!(self.json(health).await["status"], "OK");
            }
            tasks += 1;
        }
        drop(attackers);
        for service in &self.services {
            match peak_memory(service.id()) {
                Some(peak) => assert!(peak < MOST, "{peak} bytes after {tasks} tasks: {name}"),
                None => missing("memory", "the system does not tell how much a process has had"),
            }
        }
    }
}

fn config(trees: &Path, side: &str, port: u16, [source, destination]: [u16; 2]) -> String {
    format!(
        "cassandra_instances:\n- {{id: 1, host: 127.0.0.1, storage_dir: {:?}}}\n\
         sidecar: {{host: 127.0.0.1, port: {port}}}\n\
         live_migration: {{migration_map: {{'127.0.0.1:{source}': '127.0.0.1:{destination}'}}}}\n\
         twintree: {{memory_limit: 256MiB, state_dir: {:?}}}\n",
        trees.join(side),
        trees.join(format!("{side}-state")),
    )
}

/// `VmHWM` of `/proc/PID/status`, in bytes.
fn peak_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}

/// The attackers' ends of all connections are in this process.
fn there_are_descriptors() -> bool {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let enough = limit.is_none_or(|limit| limit >= 4096);
    if !enough {
        missing("descriptors", "the system does not allow enough open files");
    }
    enough
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_bounded_and_tasks_get_done() {
    if there_are_descriptors() {
        let attacked = Attacked::start().await;
        attacked.endure("all at once", attacks::all(&attacked.targets), Duration::from_secs(3)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes eight minutes"]
async fn memory_stays_bounded_for_a_minute_of_each_attack() {
    assert!(there_are_descriptors());
    let (attacked, minute) = (Attacked::start().await, Duration::from_secs(60));
    for attack in attacks::attacks(&attacked.targets) {
        let mut attackers = JoinSet::new();
        attack.begin(&mut attackers);
        attacked.endure(attack.name, attackers, minute).await;
    }
    attacked.endure("all at once", attacks::all(&attacked.targets), minute).await;
}
