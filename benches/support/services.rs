//! A source and a destination as processes of the program, on loopback.

use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How often a task is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// How often a service's health is asked for while its latency is watched.
const PROBE_INTERVAL: Duration = Duration::from_millis(2);

const HEALTH: &str = "/api/v1/__health";

/// Both services; they end with this value.
pub struct Pair {
    source: Service,
    destination: Service,
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
}

/// A service as a process.
pub struct Service {
    process: Child,
    port: u16,
}

/// The result of a task: how long it took from its creation until its end was seen, and its report.
pub struct Verified {
    pub elapsed: Duration,
    pub report: Value,
}

/// What a pair is made of.
pub struct Setup<'a> {
    pub source: &'a Path,
    pub destination: &'a Path,
    /// The port under which the destination calls the source; the source's own where `None`.
    pub called: Option<u16>,
    pub source_port: u16,
    /// Lines of the section `twintree` for both; `STATE` stands for a state directory.
    pub settings: &'a str,
}

/// A port that was free a moment ago.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl<'a> Setup<'a> {
    /// Two trees, with default settings.
    pub fn of(source: &'a Path, destination: &'a Path) -> io::Result<Self> {
        Ok(Self { source, destination, called: None, source_port: free_port()?, settings: "" })
    }
}

impl Pair {
    /// Starts both services and waits until they answer.
    pub fn start(setup: &Setup<'_>, scratch: &Path) -> io::Result<Self> {
        let destination_port = free_port()?;
        let called = setup.called.unwrap_or(setup.source_port);
        let config = |side: &str, port: u16, data: &Path| -> io::Result<PathBuf> {
            let state = scratch.join(format!("state-{side}"));
            let none = scratch.join(format!("none-{side}"));
            let yaml = format!(
                "cassandra_instances:\n  - {{id: 1, host: 127.0.0.1, storage_dir: {none:?}, data_dirs: [{:?}]}}\n\
                 sidecar: {{host: 127.0.0.1, port: {port}}}\n\
                 live_migration:\n  migration_map: {{'127.0.0.1:{called}': '127.0.0.1:{destination_port}'}}\n\
                 {}",
                std::path::absolute(data)?,
                section(&setup.settings.replace("STATE", &state.display().to_string())),
            );
            let path = scratch.join(format!("{side}.yaml"));
            std::fs::write(&path, yaml)?;
            Ok(path)
        };
        let source = Service::start(&config("source", setup.source_port, setup.source)?, setup.source_port)?;
        let destination =
            Service::start(&config("destination", destination_port, setup.destination)?, destination_port)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { source, destination, runtime, http: reqwest::Client::new() })
    }

    /// Runs a task to its end.
    pub fn verify(&self, algorithm: &str, concurrency: u32) -> io::Result<Verified> {
        let tasks =
            format!("http://127.0.0.1:{}/api/v1/live-migration/files-verification-tasks", self.destination.port);
        let request = json!({ "maxConcurrency": concurrency, "digestAlgorithm": algorithm });
        let run = async {
            let begun = Instant::now();
            let created: Value = self.http.post(&tasks).json(&request).send().await?.error_for_status()?.json().await?;
            let task = format!("{tasks}/{}", created["taskId"].as_str().unwrap_or_default());
            loop {
                let status: Value = self.http.get(&task).send().await?.error_for_status()?.json().await?;
                if !matches!(status["state"].as_str(), Some("NOT_STARTED" | "IN_PROGRESS")) {
                    break;
                }
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
            let elapsed = begun.elapsed();
            let report = self.http.get(format!("{task}/report?limit=1")).send().await?.json().await?;
            Ok::<_, reqwest::Error>(Verified { elapsed, report })
        };
        self.runtime.block_on(run).map_err(io::Error::other)
    }

    /// How many bytes each service has read and hashed since it started.
    pub fn hashed_bytes(&self) -> io::Result<[f64; 2]> {
        let read = |port: u16| -> io::Result<f64> {
            let url = format!("http://127.0.0.1:{port}/metrics");
            let answer = async { self.http.get(url).send().await?.error_for_status()?.text().await };
            let text = self.runtime.block_on(answer).map_err(io::Error::other)?;
            let line = text.lines().find_map(|line| line.strip_prefix("twintree_hashed_bytes_total "));
            line.and_then(|value| value.parse().ok()).ok_or_else(|| io::Error::other("no metric of hashed bytes"))
        };
        Ok([read(self.source.port)?, read(self.destination.port)?])
    }

    /// The length of the whole answer to a manifest request.
    pub fn manifest_stream_bytes(&self) -> io::Result<usize> {
        let url = format!("http://127.0.0.1:{}/api/v1/live-migration/manifests", self.source.port);
        let request = json!({ "lowestVersion": 3, "highestVersion": 3, "maxConcurrency": 10 });
        let answer = async { self.http.post(url).json(&request).send().await?.error_for_status()?.bytes().await };
        self.runtime.block_on(answer).map(|bytes| bytes.len()).map_err(io::Error::other)
    }

    /// The longest either service took to answer health, over a connection that stays or a new one, or metrics, while `work` ran,
    /// in milliseconds.
    pub fn longest_answer<T>(&self, work: impl FnOnce() -> T) -> (T, f64) {
        const ASKED: [(&str, bool); 3] = [(HEALTH, true), (HEALTH, false), ("/metrics", true)];
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let asked = self.ports().into_iter().flat_map(|port| ASKED.map(|(path, stays)| (port, path, stays)));
            let done = &done;
            let probes: Vec<_> =
                asked.map(|(port, path, stays)| scope.spawn(move || probe(port, path, stays, done))).collect();
            let result = work();
            done.store(true, Relaxed);
            let longest = probes.into_iter().filter_map(|probe| probe.join().ok()).fold(0.0, f64::max);
            (result, longest)
        })
    }

    /// The process ids of source and destination.
    pub fn processes(&self) -> [u32; 2] {
        [self.source.process.id(), self.destination.process.id()]
    }

    /// The ports of source and destination.
    pub fn ports(&self) -> [u16; 2] {
        [self.source.port, self.destination.port]
    }

    /// The most memory the source and the destination ever had, in bytes; 0 where the system does not say.
    pub fn peak_memory(&self) -> [u64; 2] {
        self.processes().map(peak_memory)
    }
}

/// The section `twintree` with these lines; none where there are none, so that all is as by default.
fn section(lines: &str) -> String {
    if lines.is_empty() { String::new() } else { format!("twintree:\n{lines}") }
}

/// As many threads as there are cores, on both sides.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

impl Service {
    /// Starts `serve` and waits until it answers.
    pub fn start(config: &Path, port: u16) -> io::Result<Self> {
        let log = File::create(config.with_extension("log"))?;
        let process = Command::new(env!("CARGO_BIN_EXE_twintree"))
            .args(["serve", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let service = Self { process, port };
        for _ in 0..10_000 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(service);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(io::Error::other(format!("the service with {} does not listen", config.display())))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn probe(port: u16, path: &str, stays: bool, done: &AtomicBool) -> f64 {
    ask_again_and_again(port, path, stays, done).unwrap_or_else(|error| {
        println!("{path} of port {port} is not answered: {error}");
        f64::INFINITY
    })
}

fn ask_again_and_again(port: u16, path: &str, stays: bool, done: &AtomicBool) -> io::Result<f64> {
    use std::io::{Read as _, Write as _};
    let connect = || TcpStream::connect(("127.0.0.1", port));
    let mut stream = connect()?;
    let mut longest: f64 = 0.0;
    let mut answer = [0; 64 << 10];
    while !done.load(Relaxed) {
        let begun = Instant::now();
        if !stays {
            stream = connect()?;
        }
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").as_bytes())?;
        // Both answers are shorter than the buffers on the way, and come whole.
        if stream.read(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        longest = longest.max(begun.elapsed().as_secs_f64() * 1e3);
        std::thread::sleep(if stays { PROBE_INTERVAL } else { 10 * PROBE_INTERVAL });
    }
    Ok(longest)
}

/// Seconds of CPU that a process has taken, of a clock of 100 Hz; 0 where the system does not say.
pub fn cpu_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

/// What [`peak_memory`] tells is the most from now on, where the system can do that.
pub fn reset_peak_memory(process: u32) -> io::Result<()> {
    let path = format!("/proc/{process}/clear_refs");
    if Path::new(&path).exists() { std::fs::write(path, "5") } else { Ok(()) }
}

/// `VmHWM` of `/proc/PID/status`, in bytes.
pub fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}
