//! `twintree verify`: submit a task, follow it, print what it found.

use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

use super::args::{Common, VerifyArgs};
use super::destination::{destination, runtime};
use super::exit_code::{CommandError, ExitCode};
use super::output;
use super::progress::{Bars, SideProgress};
use super::trouble::TroubleRemarks;
use crate::model::DigestAlgorithm;
use crate::net::{CallError, TaskClient};
use crate::protocol::{Protocol, ReportBody, TaskRequest, TaskStatus};
use crate::report;

/// The first and the longest wait between two looks at a task.
const POLL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// How long Ctrl-C waits for the id of a task that is being submitted.
const CREATE_GRACE: Duration = Duration::from_secs(2);

/// How long a service that does not answer is asked again, while the task goes on without us.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(args: &VerifyArgs, common: &Common) -> Result<ExitCode, CommandError> {
    let destination = destination(&args.destination)?;
    let algorithm: DigestAlgorithm = args
        .algorithm
        .parse()
        .map_err(|_| CommandError::Usage(format!("--algorithm {}: expected MD5 or XXHash32", args.algorithm)))?;
    runtime()?.block_on(async {
        let request = TaskRequest {
            max_concurrency: args.max_concurrency,
            digest_algorithm: algorithm.name().to_owned(),
            keep_going: args.keep_going,
            keyspaces: (!args.keyspace.is_empty()).then(|| args.keyspace.clone()),
        };
        // Before the task exists: from then on Ctrl-C must cancel it, and not leave it behind.
        let mut interrupt =
            signal(SignalKind::interrupt()).map_err(|error| CommandError::Failed(format!("signals: {error}")))?;
        let mut creating = std::pin::pin!(destination.create_task(&request));
        let (created, interrupted) = tokio::select! {
            created = &mut creating => (created?, false),
            _ = interrupt.recv() => match tokio::time::timeout(CREATE_GRACE, creating).await {
                Ok(created) => (created?, true),
                Err(_) => return Err(CommandError::Cancelled),
            },
        };
        let id = created.task_id;
        output::remark(common, &format!("task {id}"));
        let status = tokio::select! {
            status = follow(&destination, &id, common), if !interrupted => status?,
            _ = async { interrupted || interrupt.recv().await.is_some() } => destination.cancel(&id).await?,
        };
        let report = destination.report(&id).await?;
        print(report, args.json)?;
        Ok(ExitCode::of_task(status.state, &status.counters))
    })
}

/// Looks at the task until it has ended. A service that restarts or a network that hiccups is borne for a while.
pub(super) async fn follow(destination: &TaskClient, id: &str, common: &Common) -> Result<TaskStatus, CommandError> {
    let bars = Bars::new(&["source", "destination"], common.quiet);
    let mut wait = POLL.0;
    let mut answered = Instant::now();
    let mut told = false;
    let mut troubles = TroubleRemarks::default();
    loop {
        match destination.status(id).await {
            Ok(status) => {
                if status.protocol == Protocol::PerFile && !std::mem::replace(&mut told, true) {
                    let reason = status.protocol_reason.as_deref().unwrap_or_default();
                    bars.remark(common, &report::printable(&format!("file by file, which takes longer: {reason}")));
                }
                if let Some(trouble) = troubles.look(status.source_trouble.as_deref()) {
                    bars.remark(common, &report::printable(trouble));
                }
                if status.state.is_final() {
                    return Ok(status);
                }
                answered = Instant::now();
                show(&bars, &status);
            }
            Err(CallError::Unreachable { .. }) if answered.elapsed() < PATIENCE => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(POLL.1);
    }
}

fn show(bars: &Bars, status: &TaskStatus) {
    let p = &status.progress;
    bars.show(
        0,
        SideProgress {
            files_total: p.source_files_total,
            files_hashed: p.source_files_hashed,
            bytes_total: p.source_bytes_total,
            bytes_hashed: p.source_bytes_hashed,
        },
    );
    bars.show(
        1,
        SideProgress {
            files_total: p.files_total,
            files_hashed: p.files_hashed,
            bytes_total: p.bytes_total,
            bytes_hashed: p.bytes_hashed,
        },
    );
}

/// Prints a task's report in the form all comparisons have.
pub(super) fn print(report: ReportBody, as_json: bool) -> Result<(), CommandError> {
    if as_json {
        return output::print_json(&report);
    }
    output::print(&report::outcome(&report))
}
