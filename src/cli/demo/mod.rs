//! `twintree demo`: two real services on loopback, an instance, a copy with faults planted in it, and what a
//! verification over HTTP makes of them.

mod disk;
mod faults;
mod instance;
mod services;

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::args::{Common, DemoArgs};
use super::destination::{destination, runtime};
use super::exit_code::{CommandError, ExitCode};
use super::output::{print, print_json};
use super::signals::Stop;
use super::verify::follow;
use crate::config::Config;
use crate::model::{DigestAlgorithm, printable};
use crate::net::TaskClient;
use crate::protocol::{DifferenceBody, ReportBody, TaskRequest, TaskState};
use crate::report;
use disk::disk;
use faults::PlantedFault;
use instance::Instance;
use services::Services;

pub(super) fn run(args: &DemoArgs, common: &Common, stop: &Stop) -> Result<ExitCode, CommandError> {
    let place = Place::new(args.keep.as_deref())?;
    let demo = Demo { place: &place.path, common, stop };
    let played = runtime()?.block_on(async {
        tokio::select! {
            played = demo.play() => played,
            _ = stop.asked() => Err(CommandError::Cancelled),
        }
    })?;
    let code = demo.conclude(&played)?;
    if args.keep.is_some() {
        print(&format!("\nThe demo's files are in {}.\n", printable(&place.path.to_string_lossy())))?;
    }
    Ok(code)
}

/// Where the demo's files are; deleted in the end unless they are to be kept.
struct Place {
    path: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Place {
    fn new(keep: Option<&Path>) -> Result<Self, CommandError> {
        match keep {
            Some(path) => {
                std::fs::create_dir(path).map_err(|error| {
                    let what = match error.kind() {
                        std::io::ErrorKind::AlreadyExists => "it exists; name another, or remove it".to_owned(),
                        _ => error.to_string(),
                    };
                    CommandError::Usage(format!("--keep {}: {what}", path.display()))
                })?;
                let path = std::path::absolute(path).map_err(disk(path))?;
                Ok(Self { path, _temporary: None })
            }
            None => {
                let temporary = tempfile::Builder::new().prefix("twintree-demo-").tempdir();
                let temporary = temporary.map_err(disk(&std::env::temp_dir()))?;
                Ok(Self { path: temporary.path().to_owned(), _temporary: Some(temporary) })
            }
        }
    }
}

/// How the two verifications came out.
struct Played {
    as_planted: bool,
    proven: bool,
    /// Of the source and of the destination.
    configs: [Config; 2],
}

struct Demo<'a> {
    place: &'a Path,
    common: &'a Common,
    stop: &'a Stop,
}

impl Demo<'_> {
    async fn play(&self) -> Result<Played, CommandError> {
        let (source, copy) = (Instance::new(self.place.join("source")), Instance::new(self.place.join("destination")));
        let made = source.make()?;
        copy.copy_of(&source)?;
        print(&format!(
            "A Cassandra-like instance with {} files, {} bytes, was made and copied.\n\nPlanted in the copy:\n",
            made.files, made.bytes
        ))?;
        let faults = faults::all();
        for fault in &faults {
            fault.plant(&source, &copy)?;
            print(&format!("  {:<22} {}\n    {}\n", fault.kind.name(), fault.path, fault.story))?;
        }
        let services = Services::start(self.place, &source, &copy).await?;
        print(&format!(
            "\nA source listens on {}, its destination on {}.\nThe destination verifies its copy over HTTP, \
             and goes on where metadata differs (keepGoing):\n\n",
            services.source_address, services.destination_address
        ))?;
        let destination = destination(&format!("http://{}", services.destination_address))?;
        let found = self.verify(&destination, true).await?;
        let as_planted = self.judge(&faults, &found)?;
        print("\nWhat that means:\n")?;
        faults.iter().try_for_each(|fault| print(&format!("  {:<22} {}\n", fault.kind.name(), fault.meaning)))?;

        for fault in &faults {
            fault.mend(&source, &copy)?;
        }
        print("\nThe copy is mended and verified again:\n\n")?;
        let proof = self.verify(&destination, false).await?;
        let configs = services.stop().await;
        let proven = proof.status.state == TaskState::Completed
            && proof.status.counters.files_matched == made.files
            && proof.differences.is_empty();
        Ok(Played { as_planted, proven, configs })
    }

    /// The proof once more, by means that share no service and no network: each side's content hash.
    fn conclude(&self, played: &Played) -> Result<ExitCode, CommandError> {
        print(
            "\nThe content hash binds every name and every byte of an instance. \
             Computed once more, by each side alone:\n",
        )?;
        let mut hashes = Vec::new();
        for (side, config) in ["source", "destination"].into_iter().zip(&played.configs) {
            let hash = services::content_hash(config, self.stop)?;
            print(&format!("  {side:<12} {}\n", hash.map_or("unproven".to_owned(), |hash| hash.to_string())))?;
            hashes.push(hash);
        }
        if played.as_planted && played.proven && hashes[0].is_some() && hashes[0] == hashes[1] {
            print("\nEverything came out as planted, and the mended copy is proven equal.\n")?;
            return Ok(ExitCode::Equal);
        }
        print("\nThis is not what was planted. Please report it, with everything printed above.\n")?;
        Ok(ExitCode::Different)
    }

    async fn verify(&self, destination: &TaskClient, keep_going: bool) -> Result<ReportBody, CommandError> {
        let begun = Instant::now();
        let digest_algorithm = DigestAlgorithm::Md5.name().to_owned();
        let request = TaskRequest { max_concurrency: 10, digest_algorithm, keep_going, keyspaces: None };
        let id = destination.create_task(&request).await?.task_id;
        follow(destination, &id, self.common).await?;
        let report = destination.report(&id).await?;
        print(&report::outcome(&report))?;
        let progress = &report.status.progress;
        print(&format!(
            "\n{} bytes read by the source, {} by the destination, {} request{} to the source, {:.2} s.\n",
            progress.source_bytes_hashed,
            progress.bytes_hashed,
            progress.source_requests,
            if progress.source_requests == 1 { "" } else { "s" },
            begun.elapsed().as_secs_f64()
        ))?;
        Ok(report)
    }

    /// Exactly the planted faults, each with the kind it was planted as.
    fn judge(&self, faults: &[PlantedFault], report: &ReportBody) -> Result<bool, CommandError> {
        let named = |difference: &DifferenceBody, fault: &PlantedFault| {
            difference.kind == fault.kind && difference.file_url.ends_with(&format!("/data/0/{}", fault.path))
        };
        let missed: Vec<&PlantedFault> =
            faults.iter().filter(|fault| !report.differences.iter().any(|d| named(d, fault))).collect();
        let invented: Vec<&DifferenceBody> =
            report.differences.iter().filter(|d| !faults.iter().any(|fault| named(d, fault))).collect();
        for fault in &missed {
            print(&format!("\nnot found: {} {}\n", fault.kind.name(), fault.path))?;
        }
        if !invented.is_empty() {
            print("\nfound, but never planted:\n")?;
            print_json(&invented)?;
        }
        Ok(missed.is_empty() && invented.is_empty())
    }
}
