//! What attackers cost others: the time of a task, the longest answer of the health route, and the most memory, quiet and while
//! everything at once is done to both services that clients once could do to them.
//!
//! `cargo bench --bench under_attack`. See `docs/performance.md`.

#![allow(clippy::print_stdout, missing_docs, unreachable_pub, dead_code, reason = "a benchmark, not a library")]

#[path = "../tests/suite/support/attacks.rs"]
mod attacks;
mod support;

use std::io;
use std::time::{Duration, Instant};

use attacks::Targets;
use serde_json::{Value, json};
use support::directory;
use support::figures::{Times, bound, fact, line, ratio, title};
use support::services::{Pair, Setup};
use support::trees::{self, Shape};

/// How long the attack lasts.
const TIME: Duration = Duration::from_secs(60);

/// How many tasks are measured before it.
const QUIET: usize = 5;

fn main() -> io::Result<()> {
    let home = directory().join("attacked");
    std::fs::create_dir_all(&home)?;
    trees::make(&home, Shape::small(100_000))?;
    // More than the buffers of a connection take.
    std::fs::write(home.join("large"), vec![7; 32 << 20])?;
    let scratch = tempfile::tempdir()?;
    let settings = "  memory_limit: 256MiB\n  state_dir: STATE\n";
    let pair = Pair::start(&Setup { settings, ..Setup::of(&home, &home)? }, scratch.path())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let targets = runtime.block_on(targets(&pair)).map_err(io::Error::other)?;
    trees::warm(&[&home])?;
    let [mut quiet, mut attacked] = <[Times; 2]>::default();
    for _ in 0..QUIET {
        quiet.add(task(&pair)?);
    }
    let attackers = {
        let _inside = runtime.enter();
        attacks::all(&targets)
    };
    let (done, longest) = pair.longest_answer(|| -> io::Result<()> {
        let until = Instant::now() + TIME;
        while Instant::now() < until {
            attacked.add(task(&pair)?);
        }
        Ok(())
    });
    done?;
    drop(attackers);
    title("a task over 100,000 files while 300 clients attack and 1,100 connections are silent");
    line("quiet", &quiet);
    line("attacked", &attacked);
    ratio("attacked, in quiet times", &attacked, &quiet, 1.2);
    bound("ms until health was answered, at most", longest, 50.0);
    for (side, peak) in ["source", "destination"].into_iter().zip(pair.peak_memory()) {
        bound(&format!("MB of memory of the {side} at most"), peak as f64 / 1e6, 300.0);
    }
    fact("seconds of attack", TIME.as_secs());
    Ok(())
}

fn task(pair: &Pair) -> io::Result<Duration> {
    let verified = pair.verify("MD5", 10)?;
    assert_eq!(verified.report["state"], "COMPLETED", "{:#}", verified.report);
    Ok(verified.elapsed)
}

/// A manifest that is kept, a task that is over, and a large file.
async fn targets(pair: &Pair) -> reqwest::Result<Targets> {
    let [source, destination] = pair.ports();
    let http = reqwest::Client::new();
    let api = |port: u16, path: &str| format!("http://127.0.0.1:{port}/api/v1/live-migration/{path}");
    let manifest = json!({ "lowestVersion": 3, "highestVersion": 3, "maxConcurrency": 10 });
    let frames = http.post(api(source, "manifests")).json(&manifest).send().await?.bytes().await?;
    let request = json!({ "maxConcurrency": 10, "digestAlgorithm": "MD5" });
    let created = http.post(api(destination, "files-verification-tasks")).json(&request).send().await?;
    let task = created.json::<Value>().await?["taskId"].as_str().unwrap_or_default().to_owned();
    let status = api(destination, &format!("files-verification-tasks/{task}"));
    while !http.get(&status).send().await?.json::<Value>().await?["endedAt"].is_number() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
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
