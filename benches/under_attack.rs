//! What attackers cost others: the time of a task, the longest answer of health and metrics, and the most memory, quiet and under
//! each of the attacks that clients once could bring a service down with, by itself and all at once.
//!
//! `cargo bench --bench under_attack`, or some of them by a word of their names: `-- reports silent`. `TWINTREE_BENCH_SECONDS` is how
//! long each lasts (60). What was measured stands in `docs/performance.md`, "Under attack".
//!
//! Attackers are on other machines, as a rule, and do not take the service's cores. Here they are a process of their own that
//! gives way to all others (nice 19), so that what is measured is what the services lose.

#![allow(clippy::print_stdout, missing_docs, unreachable_pub, dead_code, reason = "a benchmark, not a library")]

#[path = "../tests/suite/support/attacks.rs"]
mod attacks;
mod support;

use std::io;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use attacks::{Attack, ELSEWHERE, Targets, attacks};
use serde_json::{Value, json};
use support::figures::{Times, bound, title};
use support::services::{Pair, Setup, cpu_seconds, reset_peak_memory};
use support::trees::{self, Shape};
use support::{directory, wants_word};
use tokio::task::JoinSet;

/// How many tasks are measured before an attack, and again after it.
const QUIET: usize = 5;

/// How many differences there are in the report that is asked for.
const DIFFERENCES: usize = 3000;

/// In the environment of the attackers' process: what is attacked, and how.
const ATTACK: &str = "TWINTREE_BENCH_ATTACK";

/// No attack, for as long as each of them: what else makes an answer late on this machine.
const NONE: &str = "none of these, as long";

/// All attacks together, in the list of them.
const ALL: &str = "all of these at once";

fn main() -> io::Result<()> {
    if let Ok(orders) = std::env::var(ATTACK) {
        return attack(&serde_json::from_str(&orders)?);
    }
    let home = directory().join("attacked");
    std::fs::create_dir_all(&home)?;
    trees::make(&home, Shape::small(100_000))?;
    // More than the buffers of a connection take.
    std::fs::write(home.join("large"), vec![7; 32 << 20])?;
    let scratch = tempfile::tempdir()?;
    let settings = "  memory_limit: 256MiB\n  state_dir: STATE\n";
    let pair = Pair::start(&Setup { settings, ..Setup::of(&home, &home)? }, scratch.path())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let targets = runtime.block_on(targets(&pair, scratch.path())).map_err(io::Error::other)?;
    drop(runtime);
    let time = std::env::var("TWINTREE_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    title(&format!(
        "a task over 100,000 files, {time} s each; the attackers are a process of nice 19 on the same cores"
    ));
    println!(
        "  {:<44} quiet  attacked (ms, from to)  ratio  health, quiet and attacked (ms)  MB source, destination  attackers' CPU",
        ""
    );
    let mut worst = Figures::default();
    let every = attacks(&targets);
    let names = [NONE].into_iter().chain(every.iter().map(|attack| attack.name)).chain([ALL]);
    for name in names.filter(|name| wants_word(name)) {
        let figures = measure(&home, &pair, name, &targets, Duration::from_secs(time))?;
        worst = worst.or(figures);
    }
    bound("attacked, in quiet times, at most", worst.ratio, 1.2);
    bound("ms until health and metrics were answered, at most", worst.health, 50.0);
    bound("MB of memory of a service, at most", worst.megabytes, 300.0);
    Ok(())
}

/// The worst of an attack, or of several.
#[derive(Default)]
struct Figures {
    ratio: f64,
    health: f64,
    megabytes: f64,
}

impl Figures {
    fn or(self, other: Self) -> Self {
        Self {
            ratio: self.ratio.max(other.ratio),
            health: self.health.max(other.health),
            megabytes: self.megabytes.max(other.megabytes),
        }
    }
}

/// Measures one attack and prints its line.
fn measure(home: &Path, pair: &Pair, name: &str, targets: &Targets, time: Duration) -> io::Result<Figures> {
    let [mut quiet, mut attacked] = <[Times; 2]>::default();
    // Some systems take back what is in the page cache and seems idle.
    trees::warm(&[home])?;
    let (done, calm_health) = pair.longest_answer(|| (0..QUIET).try_for_each(|_| task(pair, &mut quiet)));
    done?;
    pair.processes().into_iter().try_for_each(reset_peak_memory)?;
    let attackers = Attackers::start(name, targets)?;
    let (done, health) = pair.longest_answer(|| {
        let until = Instant::now() + time;
        while Instant::now() < until {
            task(pair, &mut attacked)?;
        }
        io::Result::Ok(())
    });
    done?;
    let cpu = 100.0 * cpu_seconds(attackers.0.id()) / time.as_secs_f64();
    let [source, destination] = pair.peak_memory().map(|bytes| bytes as f64 / 1e6);
    drop(attackers);
    pair.longest_answer(|| (0..QUIET).try_for_each(|_| task(pair, &mut quiet))).0?;
    let (calm, hard) = (quiet.median().unwrap_or_default(), attacked.median().unwrap_or_default());
    let (ratio, spread) = (hard / calm, attacked.spread());
    println!(
        "  {name:<44} {calm:>5.0} {hard:>9.0} ({spread:>12}) {ratio:>6.3} {calm_health:>5.1} {health:>7.1} {source:>10.0} {destination:>12.0} {cpu:>14.0}%"
    );
    Ok(Figures { ratio, health, megabytes: source.max(destination) })
}

fn task(pair: &Pair, times: &mut Times) -> io::Result<()> {
    let verified = pair.verify("MD5", 10)?;
    assert_eq!(verified.report["state"], "COMPLETED", "{:#}", verified.report);
    times.add(verified.elapsed);
    Ok(())
}

/// A process that attacks; it ends with this value.
struct Attackers(Child);

impl Attackers {
    fn start(name: &str, targets: &Targets) -> io::Result<Self> {
        let Targets { source, destination, manifest, task, file } = targets;
        let orders = json!({
            "name": name, "source": source, "destination": destination, "manifest": manifest, "task": task, "file": file
        });
        Command::new(std::env::current_exe()?).env(ATTACK, orders.to_string()).spawn().map(Self)
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the attackers' process does until it is killed.
fn attack(orders: &Value) -> io::Result<()> {
    // Before there are other threads: they inherit it.
    rustix::process::setpriority_process(None, 19)?;
    let port = |name: &str| orders[name].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
    let text = |name: &str| orders[name].as_str().unwrap_or_default().to_owned();
    let targets = Targets {
        source: port("source"),
        destination: port("destination"),
        manifest: text("manifest"),
        task: text("task"),
        file: text("file"),
    };
    let meant = |attack: &&Attack| orders["name"] == ALL || orders["name"] == attack.name;
    tokio::runtime::Runtime::new()?.block_on(async {
        let mut attackers = JoinSet::new();
        attacks(&targets).iter().filter(meant).for_each(|attack| attack.begin(&mut attackers));
        while attackers.join_next().await.is_some() {}
    });
    Ok(())
}

/// A manifest that is kept, a task that is over and found much, and a large file.
async fn targets(pair: &Pair, scratch: &Path) -> reqwest::Result<Targets> {
    let [source, destination] = pair.ports();
    let api = |port: u16, path: &str| format!("http://127.0.0.1:{port}/api/v1/live-migration/{path}");
    let manifest = json!({ "lowestVersion": 3, "highestVersion": 3, "maxConcurrency": 10 });
    // The attackers' own: the destination's are dropped for later ones.
    let attacker = reqwest::Client::builder().local_address(std::net::IpAddr::from(ELSEWHERE)).build()?;
    let frames = attacker.post(api(source, "manifests")).json(&manifest).send().await?.bytes().await?;
    let surplus = scratch.join("none-source/hints");
    (0..DIFFERENCES).for_each(|at| drop(std::fs::create_dir_all(surplus.join(format!("{at:0200}")))));
    let http = reqwest::Client::new();
    let request = json!({ "maxConcurrency": 10, "digestAlgorithm": "MD5" });
    let created = http.post(api(destination, "files-verification-tasks")).json(&request).send().await?;
    let task = created.json::<Value>().await?["taskId"].as_str().unwrap_or_default().to_owned();
    let status = api(destination, &format!("files-verification-tasks/{task}"));
    while !http.get(&status).send().await?.json::<Value>().await?["endedAt"].is_number() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(std::fs::remove_dir_all(surplus));
    Ok(Targets { source, destination, manifest: manifest_id(&frames), task, file: "data/0/large".to_owned() })
}

/// The id in the first frame of a manifest stream.
fn manifest_id(frames: &[u8]) -> String {
    let mut decoder = twintree::protocol::FrameDecoder::default();
    decoder.push(frames);
    match decoder.decode() {
        Ok(Some(twintree::protocol::ManifestFrame::Hello(hello))) => {
            uuid::Uuid::from_bytes(hello.manifest_id).to_string()
        }
        other => panic!("no hello: {other:?}"),
    }
}
