//! `twintree verify`: submit a task, follow it, print what it found.

use std::time::{Duration, Instant};

use super::args::{Common, VerifyArgs};
use super::destination::{destination, runtime};
use super::exit_code::{CommandError, ExitCode};
use super::output;
use super::progress::{Bars, SideProgress};
use super::signals::{Asked, Stop};
use super::trouble::TroubleRemarks;
use crate::model::{DigestAlgorithm, printable};
use crate::net::{CallError, TaskClient};
use crate::protocol::{Protocol, ReportBody, TaskRequest, TaskStatus};
use crate::report;

/// The first and the longest wait between two looks at a task.
const POLL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// How long a signal waits for the id of a task that is being submitted.
const CREATE_GRACE: Duration = Duration::from_secs(2);

/// How long a service that does not answer is asked again, while the task goes on without us.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(args: &VerifyArgs, common: &Common, stop: &Stop) -> Result<ExitCode, CommandError> {
    let destination = destination(&args.destination)?;
    let algorithm: DigestAlgorithm = args
        .algorithm
        .parse()
        .map_err(|_| CommandError::Usage(format!("--algorithm {}: expected MD5 or XXHash32", args.algorithm)))?;
    let request = TaskRequest {
        max_concurrency: args.max_concurrency,
        digest_algorithm: algorithm.name().to_owned(),
        keep_going: args.keep_going,
        keyspaces: (!args.keyspace.is_empty()).then(|| args.keyspace.clone()),
    };
    runtime()?.block_on(async {
        let (id, asked) = create(&destination, &request, stop).await?;
        output::remark(common, &format!("task {id}"));
        let asked = match asked {
            Some(asked) => asked,
            None => tokio::select! {
                reported = reported(&destination, &id, common) => {
                    let report = reported?;
                    let code = ExitCode::of_task(report.status.state, &report.status.counters);
                    return print(report, args.json).map(|()| code);
                }
                asked = stop.asked() => asked,
            },
        };
        if asked == Asked::HangUp {
            output::remark(common, &format!("task {id} goes on; only this command has ended"));
            return Ok(ExitCode::Cancelled);
        }
        let status = destination.cancel(&id).await?;
        print(destination.report(&id).await?, args.json)?;
        Ok(ExitCode::of_task(status.state, &status.counters))
    })
}

/// Starts the task. A signal that comes meanwhile is reported with the id: the task may exist by then, and must not be left behind.
async fn create(
    destination: &TaskClient,
    request: &TaskRequest,
    stop: &Stop,
) -> Result<(String, Option<Asked>), CommandError> {
    let mut creating = std::pin::pin!(destination.create_task(request));
    tokio::select! {
        created = &mut creating => Ok((created?.task_id, None)),
        asked = stop.asked() => match tokio::time::timeout(CREATE_GRACE, creating).await {
            Ok(created) => Ok((created?.task_id, Some(asked))),
            Err(_) => Err(CommandError::Cancelled),
        },
    }
}

/// The report of a task that has ended.
async fn reported(destination: &TaskClient, id: &str, common: &Common) -> Result<ReportBody, CommandError> {
    follow(destination, id, common).await?;
    Ok(destination.report(id).await?)
}

/// Looks at the task until it has ended. A service that restarts or a network that hiccups is borne for a while.
pub(super) async fn follow(destination: &TaskClient, id: &str, common: &Common) -> Result<TaskStatus, CommandError> {
    let bars = Bars::new(&["source", "destination"], common.quiet);
    let mut wait = POLL.0;
    let mut answered = Instant::now();
    let mut told = false;
    let (mut at_source, mut on_disk) = (TroubleRemarks::default(), TroubleRemarks::default());
    loop {
        match destination.status(id).await {
            Ok(status) => {
                if status.protocol == Protocol::PerFile && !std::mem::replace(&mut told, true) {
                    let reason = status.protocol_reason.as_deref().unwrap_or_default();
                    bars.remark(common, &printable(&format!("file by file, which takes longer: {reason}")));
                }
                if let Some(trouble) = at_source.look(status.source_trouble.as_deref()) {
                    bars.remark(common, &printable(trouble));
                }
                if let Some(trouble) = on_disk.look(status.state_trouble.as_deref()) {
                    bars.remark(
                        common,
                        &printable(&format!("the task is not safe on the destination's disk yet: {trouble}")),
                    );
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
