//! `twintree tasks`: the tasks of a destination.

use std::collections::BTreeSet;

use super::args::{NamesWanted, TaskAction, TasksArgs};
use super::destination::{destination, runtime};
use super::exit_code::{CommandError, ExitCode};
use super::file_names::{NameList, refuse_deletion, root, skipped_names};
use super::output;
use super::verify::print;
use crate::manifest::tells_links;
use crate::model::{RootId, Side};
use crate::protocol::{ReportBody, TaskState};
use crate::report;

pub(super) fn run(args: &TasksArgs) -> Result<ExitCode, CommandError> {
    let url = args.destination.as_ref().ok_or_else(|| CommandError::Usage("--destination URL is needed".to_owned()))?;
    let destination = destination(url)?;
    runtime()?.block_on(async {
        match args.action.as_ref().unwrap_or(&TaskAction::List { history: false }) {
            TaskAction::List { history } => {
                let tasks = destination.tasks(*history).await?;
                if args.json {
                    output::print_json(&tasks)?;
                } else if tasks.is_empty() {
                    output::print("no task yet\n")?;
                } else {
                    tasks.iter().try_for_each(|task| output::print(&format!("{}\n", report::listed_line(task))))?;
                }
            }
            TaskAction::Show { id } => print(destination.report(id).await?, args.json)?,
            TaskAction::Files { id, files, root, null } => {
                return names(&destination.report(id).await?, *files, *root, *null);
            }
            TaskAction::Cancel { id } => {
                let task = destination.cancel(id).await?;
                if args.json {
                    output::print_json(&task)?;
                } else {
                    output::print(&format!("{}\n", report::task_line(&task)))?;
                }
            }
        }
        Ok(ExitCode::Equal)
    })
}

/// Prints names alone. A task that did not look at everything does not know all of them.
fn names(
    report: &ReportBody,
    wanted: NamesWanted,
    named: Option<RootId>,
    null: bool,
) -> Result<ExitCode, CommandError> {
    let status = &report.status;
    if !status.state.is_final() {
        return Err(CommandError::Failed(format!(
            "task {}: it is not finished, and does not know all names yet",
            status.id
        )));
    }
    let roots = status.scope.as_ref().map(|scope| scope.roots.as_slice()).unwrap_or_default();
    let root = root(named, roots)?;
    refuse_deletion(wanted, status, &report.summary.notes)?;
    // A report names only the first link, so that what lies behind the others is not known.
    let links = report.summary.notes.iter().find(|note| tells_links(note, Side::Source, root));
    if let Some(note) = links.filter(|_| wanted == NamesWanted::Delete) {
        return Err(CommandError::Failed(format!(
            "task {}: names to delete are not known, for some may lie behind a link of the source: {note}",
            status.id
        )));
    }
    let list = NameList { wanted, root, null, hidden: BTreeSet::new() };
    let skipped = list.print(&|_, take| take(&report.differences))?;
    let lost = report.differences_total.saturating_sub(report.differences.len() as u64);
    let missing = [
        (status.content_not_compared, "files were not compared in content: verify again with --keep-going"),
        (lost, "differences were not kept"),
        (u64::from(status.state == TaskState::Cancelled), "task was cancelled before it had compared everything"),
    ];
    let missing: Vec<String> =
        missing.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if skipped > 0 {
        output::complain(&CommandError::Failed(format!("task {}: {}", status.id, skipped_names(skipped))));
    }
    if missing.is_empty() && skipped > 0 {
        return Ok(ExitCode::Unchecked);
    }
    if missing.is_empty() {
        return Ok(ExitCode::Equal);
    }
    let what = format!("task {}: not all names are known: {}", status.id, missing.join("; "));
    output::complain(&CommandError::Failed(what));
    Ok(ExitCode::Unchecked)
}
