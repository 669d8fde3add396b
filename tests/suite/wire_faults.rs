//! An exchange of manifests that is hurt at any of its bytes, by the wire alone or by the death of either side: it goes on where
//! it was and reads nothing twice, or begins again and says so, or fails with the cause. Never does it come to another result.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::fault_proxy::{Fault, FaultProxy, Point, Way};
use crate::support::process::{Process, free_port};
use crate::support::random::Random;
use crate::support::services::{Pair, Setup, md5_request, storage_dirs};
use crate::support::trees::{copy_tree, flip_byte, plant, planted};

const TABLES: usize = 40;
const FILES: usize = 3 * TABLES;

/// Who dies while the wire is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Killed {
    Nobody,
    Source,
    Destination,
}

/// One case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    point: Point,
    fault: Fault,
    killed: Killed,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// Everything was exchanged before the byte came.
    NotReached,
    /// The right result, and nothing was read twice.
    Resumed,
    /// The right result, and the report says that something was begun again.
    BegunAgain,
    /// No result, and why.
    Failed(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReached => f.write_str("not reached"),
            Self::Resumed => f.write_str("resumed"),
            Self::BegunAgain => f.write_str("begun again"),
            Self::Failed(message) => write!(f, "failed: {message}"),
        }
    }
}

/// How fast the world is.
#[derive(Debug, Clone, Copy)]
struct Pace {
    second: Duration,
    idle_timeout: &'static str,
}

/// Two trees that differ in the bytes of one file: the exchange has a manifest stream, and an answer to a branch request.
fn trees() -> tempfile::TempDir {
    let trees = tempfile::tempdir().unwrap();
    plant(&trees.path().join("source"), TABLES, 3, 100);
    copy_tree(&trees.path().join("source"), &trees.path().join("destination"));
    flip_byte(&planted(&trees.path().join("destination"))[FILES / 2], 5);
    trees
}

/// Source, wire and destination. Whoever is killed is a process of its own.
struct Stage {
    pair: Pair,
    proxy: FaultProxy,
    pace: Pace,
    directory: tempfile::TempDir,
    storage: PathBuf,
    /// The killed side, its port and its configuration.
    process: Option<(Process, u16, PathBuf)>,
    killed: Killed,
}

impl Stage {
    async fn set(storage: &Path, pace: Pace, killed: Killed) -> Self {
        let proxy = FaultProxy::start(0, pace.second).await;
        let side = |side: &str| storage.join(side).display().to_string();
        let (mut s, mut d) = (side("source"), side("destination"));
        let setup = storage_dirs(&mut s, &mut d);
        let idle_timeout = pace.idle_timeout;
        let pair = Pair::start(Setup { source_port: Some(proxy.port), idle_timeout, max_retries: 60, ..setup }).await;
        proxy.lead_to(pair.source_port);
        let directory = tempfile::tempdir().unwrap();
        let storage = storage.to_owned();
        let mut stage = Self { pair, proxy, pace, directory, storage, process: None, killed };
        match killed {
            Killed::Nobody => {}
            Killed::Source => stage.process = Some(stage.start("source")),
            Killed::Destination => stage.process = Some(stage.start("destination")),
        }
        if let (Killed::Source, Some((_, port, _))) = (killed, &stage.process) {
            stage.proxy.lead_to(*port);
        }
        stage
    }

    fn start(&self, side: &str) -> (Process, u16, PathBuf) {
        let port = free_port();
        let destination = if side == "source" { self.pair.destination_port } else { port };
        let yaml = format!(
            "cassandra_instances: [{{id: 1, host: 127.0.0.1, storage_dir: {:?}}}]\n\
             sidecar: {{host: 127.0.0.1, port: {port}}}\n\
             live_migration: {{migration_map: {{'127.0.0.1:{}': '127.0.0.1:{destination}'}}}}\n\
             sidecar_client: {{max_retries: 60, retry_delay: 20ms, max_retry_delay: 50ms, request_idle_timeout: {}}}\n\
             twintree: {{state_dir: {:?}}}\n",
            self.storage.join(side),
            self.proxy.port,
            self.pace.idle_timeout,
            self.directory.path().join("state"),
        );
        let config = self.directory.path().join("sidecar.yaml");
        std::fs::write(&config, yaml).unwrap();
        (Process::serve(&config, port), port, config)
    }

    fn tasks(&self) -> String {
        let port = match (self.killed, &self.process) {
            (Killed::Destination, Some((_, port, _))) => *port,
            _ => self.pair.destination_port,
        };
        format!("http://127.0.0.1:{port}/api/v1/live-migration/files-verification-tasks")
    }

    /// Kills whoever is to be killed, and starts it again on its port.
    async fn kill(&mut self) {
        let Some((process, port, config)) = self.process.take() else { return };
        let restart = move || {
            process.signal(Signal::KILL);
            drop(process);
            (Process::serve(&config, port), port, config)
        };
        self.process = Some(tokio::task::spawn_blocking(restart).await.unwrap());
    }

    /// Runs one task while this happens, and returns its report.
    async fn run(&mut self, fault: Option<(Point, Fault)>) -> Value {
        let (http, tasks) = (reqwest::Client::new(), self.tasks());
        self.proxy.plan(fault, self.killed != Killed::Nobody);
        let created: Value = http.post(&tasks).json(&md5_request()).send().await.unwrap().json().await.unwrap();
        let task = format!("{tasks}/{}", created["taskId"].as_str().unwrap_or_else(|| panic!("{created}")));
        let mut dead = false;
        loop {
            if self.proxy.is_reached() && !dead {
                dead = true;
                self.kill().await;
                self.proxy.go_on();
            }
            // The connection may be to one that is dead by now.
            if let Ok(status) = http.get(&task).send().await
                && let Ok(status) = status.json::<Value>().await
                && !matches!(status["state"].as_str(), Some("NOT_STARTED" | "IN_PROGRESS"))
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        http.get(format!("{task}/report")).send().await.unwrap().json().await.unwrap()
    }

    async fn outcome(&mut self, cell: Cell) -> Outcome {
        let before = self.offers();
        let report = self.run(Some((cell.point, cell.fault))).await;
        let reached = self.proxy.is_reached();
        let notes = report["notes"].to_string();
        let begun_again = notes.contains("began again") || notes.contains("began its manifest again");
        let counters =
            ["digestMismatches", "filesMatched", "differencesTotal"].map(|key| report[key].as_u64().unwrap());
        let message = report["message"].as_str().unwrap_or_default().to_owned();
        let right = counters == [1, FILES as u64 - 1, 1];
        match (right, reached, begun_again) {
            (true, false, false) => Outcome::NotReached,
            (true, _, true) => Outcome::BegunAgain,
            (true, true, false) => {
                self.assert_read_once(cell, &before);
                Outcome::Resumed
            }
            (false, ..) => {
                let names_the_source = message.contains(&format!("source 127.0.0.1:{}", self.proxy.port));
                assert!(names_the_source && report["state"] == "FAILED", "{cell:?}: {report:#}");
                // A match that was shown on the way was proven; a difference is none of this.
                assert!(counters[0] + counters[2] == 0, "{cell:?}: {report:#}");
                Outcome::Failed(message)
            }
        }
    }

    /// The builds of the source that can be looked into, with the files that each opened.
    fn offers(&self) -> BTreeMap<Uuid, u64> {
        let offers = self.pair.source.app().offers().all();
        offers.iter().map(|offer| (offer.id, offer.build.progress().files_opened)).collect()
    }

    /// One build was enough, and it opened each file once.
    fn assert_read_once(&self, cell: Cell, before: &BTreeMap<Uuid, u64>) {
        if self.killed != Killed::Source {
            let mut offers = self.offers();
            offers.retain(|id, _| !before.contains_key(id));
            assert_eq!(offers.into_values().collect::<Vec<_>>(), [FILES as u64], "{cell:?}");
        }
    }
}

/// So many bytes of an exchange, by their way, from this seed: one in five is of a request.
fn points(bytes: [usize; 2], count: usize, seed: u64) -> Vec<Point> {
    let mut random = Random::new(seed);
    let mut point = |_| {
        let way = if random.below(5) == 0 { Way::Requests } else { Way::Responses };
        Point { way, byte: random.below(bytes[way as usize]) }
    };
    (0..count).map(&mut point).collect()
}

/// Every point with every fault and every death, on so many stages at a time. Prints what each cell did.
async fn matrix(count: usize, seed: u64, pace: Pace, stages: usize) -> BTreeMap<(Killed, Fault, String), usize> {
    let trees = trees();
    let mut calm = Stage::set(trees.path(), pace, Killed::Nobody).await;
    let report = calm.run(None).await;
    assert_eq!((&report["digestMismatches"], &report["filesMatched"]), (&json!(1), &json!(FILES - 1)), "{report:#}");
    let points = points(calm.proxy.passed(), count, seed);
    let mut counts = BTreeMap::new();
    for killed in [Killed::Nobody, Killed::Source, Killed::Destination] {
        let faults = [Fault::Cut, Fault::Stall, Fault::Trickle];
        let cells: Vec<Cell> =
            points.iter().flat_map(|point| faults.map(|fault| Cell { point: *point, fault, killed })).collect();
        let next = std::sync::Arc::new(std::sync::Mutex::new(cells.into_iter()));
        let workers = (0..stages.min(3 * count)).map(|_| {
            let (next, storage) = (std::sync::Arc::clone(&next), trees.path().to_owned());
            tokio::spawn(async move {
                let mut stage = Stage::set(&storage, pace, killed).await;
                let mut done = Vec::new();
                let take = || next.lock().unwrap().next();
                while let Some(cell) = take() {
                    let outcome = stage.outcome(cell).await;
                    let Cell { point: Point { way, byte }, fault, killed } = cell;
                    eprintln!("{way:?} byte {byte}, {fault:?}, killed: {killed:?}: {outcome}");
                    done.push((cell, outcome));
                }
                done
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            for (cell, outcome) in worker.await.unwrap() {
                let kind = match outcome {
                    Outcome::Failed(_) => "failed with the cause".to_owned(),
                    outcome => outcome.to_string(),
                };
                *counts.entry((killed, cell.fault, kind)).or_insert(0) += 1;
            }
        }
    }
    for ((killed, fault, kind), count) in &counts {
        eprintln!("killed: {killed:?}, {fault:?}: {kind}: {count}");
    }
    counts
}

/// A few points of the whole matrix, in a world that is ten times as fast.
#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_is_hurt_anywhere_goes_on_begins_again_or_fails_with_the_cause() {
    let pace = Pace { second: Duration::from_millis(30), idle_timeout: "400ms" };
    let counts = matrix(4, 11, pace, 3).await;
    assert_eq!(counts.values().sum::<usize>(), 4 * 9);
}

/// The whole: `cargo test --test suite -- --ignored --nocapture wire_faults`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes some minutes"]
async fn the_whole_matrix_of_faults_on_the_wire() {
    let pace = Pace { second: Duration::from_secs(1), idle_timeout: "3s" };
    let counts = matrix(200, 12, pace, 16).await;
    assert_eq!(counts.values().sum::<usize>(), 200 * 9);
}
