//! The files and texts that a run leaves: pages, metrics, and what is printed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::pages::PageFolder;
use super::written::{home_of, write_whole};
use crate::bulk::{Ended, Summary};
use crate::cli::args::BulkArgs;
use crate::cli::exit_code::CommandError;
use crate::cli::output::{self, PrintableJson};
use crate::report::bulk as render;

/// How often the metrics are written while a run goes by.
const METRICS_INTERVAL: Duration = Duration::from_secs(5);

/// What is printed on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    JsonLines,
    Csv,
}

/// Where results go.
pub(super) struct Outputs {
    form: Form,
    pub pages: Option<PageFolder>,
    metrics: Option<PathBuf>,
    metrics_written: Option<Instant>,
}

impl Outputs {
    /// Makes sure, before anything is compared, that what is to be written can be.
    pub(super) fn prepare(args: &BulkArgs) -> Result<Self, CommandError> {
        let form = match args {
            BulkArgs { json: true, .. } => Form::Json,
            BulkArgs { json_lines: true, .. } => Form::JsonLines,
            BulkArgs { csv: true, .. } => Form::Csv,
            _ => Form::Text,
        };
        let report = |path: &PathBuf| PageFolder::prepare(path).map_err(|error| refused("--report", path, &error));
        let pages = args.report.as_ref().map(report).transpose()?;
        if let Some(path) = &args.metrics {
            home_of(path).map_err(|error| refused("--metrics", path, &error))?;
        }
        Ok(Self { form, pages, metrics: args.metrics.clone(), metrics_written: None })
    }

    /// What is said at once of a comparison that has ended.
    pub(super) fn line(&self, ended: &Ended) -> Result<(), CommandError> {
        if self.form != Form::JsonLines {
            return Ok(());
        }
        output::write(|out| {
            serde_json::to_writer(PrintableJson(&mut *out), ended)?;
            out.write_all(b"\n")
        })
    }

    /// Whether metrics are due.
    pub(super) fn metrics_are_due(&self) -> bool {
        self.metrics.is_some() && self.metrics_written.is_none_or(|written| written.elapsed() >= METRICS_INTERVAL)
    }

    /// Writes the metrics.
    pub(super) fn write_metrics(&mut self, summary: &Summary) -> Result<(), CommandError> {
        let Some(path) = &self.metrics else { return Ok(()) };
        self.metrics_written = Some(Instant::now());
        write_whole(path, &render::metrics(summary)).map_err(|error| failed("--metrics", path, &error))
    }

    /// Writes and prints all there is.
    pub(super) fn close(&mut self, summary: &Summary) -> Result<(), CommandError> {
        self.write_metrics(summary)?;
        if let Some(folder) = &self.pages {
            let index = folder.path().join("index.html");
            write_whole(&index, &render::html(summary)).map_err(|error| failed("--report", &index, &error))?;
        }
        match self.form {
            Form::Text => output::print(&render::terminal(summary)),
            Form::Json => output::print_json(summary),
            Form::JsonLines => Ok(()),
            Form::Csv => output::print(&render::csv(summary)),
        }
    }
}

fn refused(option: &str, path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::Usage(format!("{option} {}: {error}", path.display()))
}

fn failed(option: &str, path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::Failed(format!("{option} {}: {error}", path.display()))
}
