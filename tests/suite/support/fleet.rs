//! Many pairs of services in processes, each service on a loopback address of its own, as a fleet would have them.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::process::{Process, free_port, twintree};
use super::raw_http::exchange;
use super::trees::{copy_tree, plant};

/// A side of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Source = 1,
    Destination = 2,
}

/// The pairs, by number. Dropped, all services are killed.
pub struct Fleet {
    pub home: tempfile::TempDir,
    port: u16,
    services: Vec<[Option<Process>; 2]>,
}

impl Fleet {
    /// Storage for so many pairs, equal on both sides, and nothing that serves it yet. `None` where the system has no further loopback
    /// addresses.
    pub fn new(pairs: usize) -> Option<Self> {
        if let Err(error) = TcpListener::bind((address(0, Side::Destination).as_str(), 0)) {
            super::material::missing("loopback", &format!("127.77.0.2 cannot be bound: {error}"));
            return None;
        }
        let fleet = Self {
            home: tempfile::tempdir().unwrap(),
            port: free_port(),
            services: (0..pairs).map(|_| [None, None]).collect(),
        };
        for pair in 0..pairs {
            plant(&fleet.storage(pair, Side::Source), 3, 4, 20 << 10);
            copy_tree(&fleet.storage(pair, Side::Source), &fleet.storage(pair, Side::Destination));
        }
        Some(fleet)
    }

    pub fn storage(&self, pair: usize, side: Side) -> PathBuf {
        self.home.path().join(format!("{pair}-{side:?}"))
    }

    /// Starts the service of one side, which reads at most so much in a second, and waits until it listens.
    pub fn start(&mut self, pair: usize, side: Side, read_limit: &str) {
        let path = self.home.path().join(format!("{pair}-{side:?}.yaml"));
        let (source, destination) = (address(pair, Side::Source), address(pair, Side::Destination));
        let host = address(pair, side);
        let yaml = format!(
            "cassandra_instances:\n  - {{id: 1, host: {host}, storage_dir: {:?}}}\n\
             sidecar: {{host: {host}, port: {}}}\n\
             sidecar_client: {{max_retries: 4, retry_delay: 50ms, max_retry_delay: 200ms}}\n\
             live_migration: {{migration_map: {{{source}: {destination}}}}}\n\
             twintree: {{state_dir: {:?}, read_limit: {read_limit}}}\n",
            self.storage(pair, side),
            self.port,
            self.home.path().join(format!("{pair}-{side:?}.state")),
        );
        std::fs::write(&path, yaml).unwrap();
        let mut command = twintree();
        command.args(["--quiet", "serve", "--config"]).arg(&path);
        let process = Process::start(command);
        for _ in 0..3000 {
            if TcpStream::connect((host.as_str(), self.port)).is_ok() {
                self.services[pair][side as usize - 1] = Some(process);
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the service {host} does not listen");
    }

    /// Kills the service of one side: it has no time for anything.
    pub fn kill(&mut self, pair: usize, side: Side) {
        self.services[pair][side as usize - 1] = None;
    }

    /// Where the destination of a pair listens, which is what its comparison is called.
    pub fn destination(&self, pair: usize) -> String {
        format!("{}:{}", address(pair, Side::Destination), self.port)
    }

    /// All tasks that a destination remembers.
    pub fn tasks(&self, pair: usize) -> Vec<Value> {
        let path = "/api/v1/live-migration/files-verification-tasks?history=true";
        let address = self.destination(pair);
        let host = self::address(pair, Side::Destination);
        exchange(&address, &host, "GET", path, None).json().as_array().unwrap().clone()
    }

    /// Waits until the latest task of a pair is under way and has read something.
    pub fn wait_until_it_reads(&self, pair: usize) {
        let reads = |task: &Value| task["state"] == "IN_PROGRESS" && task["bytesHashed"].as_u64() > Some(0);
        for _ in 0..3000 {
            if self.tasks(pair).first().is_some_and(reads) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("pair {pair} never reads: {:#?}", self.tasks(pair));
    }

    /// Writes a plan of all pairs: `head` comes before its comparisons, and `extra` says more of each.
    pub fn plan(&self, head: &str, extra: impl Fn(usize) -> String) -> PathBuf {
        let path = self.home.path().join("plan.yaml");
        let item = |pair| format!("  - {{service: '{}'{}}}\n", self.destination(pair), extra(pair));
        let items: String = (0..self.services.len()).map(item).collect();
        std::fs::write(&path, format!("{head}comparisons:\n{items}")).unwrap();
        path
    }
}

fn address(pair: usize, side: Side) -> String {
    format!("127.77.{pair}.{}", side as usize)
}

/// `twintree bulk` with a plan and more arguments.
pub fn bulk(plan: &Path, arguments: &[&str]) -> Process {
    let mut command = twintree();
    command.arg("bulk").arg(plan).args(arguments);
    Process::start(command)
}
