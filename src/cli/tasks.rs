//! `twintree tasks`: the tasks of a destination.

use super::args::{TaskAction, TasksArgs};
use super::destination::{destination, runtime};
use super::exit_code::{CommandError, ExitCode};
use super::output;
use super::verify::print;
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
