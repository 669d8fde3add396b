//! The commands for many hosts: `roots`, `export` and `bulk`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::bulk::{MAX_PARALLEL, PARALLEL};

/// `twintree roots`
#[derive(Debug, Args)]
pub struct RootsArgs {
    /// The manifests, of any number of hosts or moments
    #[arg(required = true, value_name = "MANIFEST")]
    pub manifests: Vec<PathBuf>,
    /// Print a line for each keyspace instead
    #[arg(long)]
    pub keyspaces: bool,
}

/// `twintree export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The manifests, of any number of hosts or moments
    #[arg(required_unless_present = "pairs", value_name = "MANIFEST")]
    pub manifests: Vec<PathBuf>,
    /// The directory to write below; what is exported again is replaced
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,
    /// The cluster that the manifests are of, which is a partition of both tables
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// The run that these manifests are part of
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// Pairs to export: a line for each with its name, the source's manifest and the destination's, separated by tabs or blanks
    #[arg(long, value_name = "FILE")]
    pub pairs: Option<PathBuf>,
}

/// `twintree bulk`
#[derive(Debug, Args)]
pub struct BulkArgs {
    /// The plan; see docs/bulk.md
    #[arg(value_name = "PLAN.yaml", required_unless_present = "destinations")]
    pub plan: Option<PathBuf>,
    /// A list of destinations' services, one on a line with its group behind it; - for standard input. Makes a plan, or adds to one
    #[arg(long, value_name = "FILE|-")]
    pub destinations: Option<PathBuf>,
    /// Print what would be done, in which order, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Keep what the last run found and repeat only these: failed is what it could not find out, different what differs
    #[arg(long, value_enum)]
    pub only: Vec<Repeat>,
    /// Make at most so many comparisons at a time, whatever the plan says
    #[arg(long, value_name = "N", value_parser = parallel)]
    pub parallel: Option<NonZeroUsize>,
    /// Compare the content of everything whose metadata matches, even where other entries differ, whatever the plan says
    #[arg(long)]
    pub keep_going: bool,
    /// Keep the state of the run in this file; where it is not given, in one beside the plan
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Write a page for each comparison into this directory, and index.html, which leads to them
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Keep metrics of the run in this file, for node_exporter's textfile collector
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Print one JSON object in the end
    #[arg(long, conflicts_with_all = ["json_lines", "csv"])]
    pub json: bool,
    /// Print a JSON object in a line for each comparison as it ends
    #[arg(long, conflicts_with = "csv")]
    pub json_lines: bool,
    /// Print comma-separated values in the end
    #[arg(long)]
    pub csv: bool,
}

/// What `--only` repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Repeat {
    /// Unreachable, unverified, cancelled, or nothing compared.
    Failed,
    /// Different.
    Different,
}

fn parallel(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= MAX_PARALLEL);
    number.ok_or_else(|| format!("expected {PARALLEL}"))
}
