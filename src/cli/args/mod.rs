//! Commands and their options.

mod diff;
mod many;
mod scan;

pub(super) use diff::{DiffArgs, ListArgs, NamesWanted, NarrowArgs, RemoteArgs};
pub(super) use many::{BulkArgs, ExportArgs, Repeat, RootsArgs};
pub(super) use scan::ScanArgs;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::model::RootId;

/// Proves that a directory tree on one host equals the tree on another, by exchanging one Merkle manifest.
#[derive(Debug, Parser)]
#[command(
    name = "twintree",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 equal, 1 differences, 2 wrong usage or configuration, \
                  3 something could not be checked, 4 cancelled."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of all commands.
    #[command(flatten)]
    pub common: Common,
}

/// Options that every command has.
#[derive(Debug, Args)]
pub struct Common {
    /// Write nothing but errors to standard error: no progress, no remarks, no warnings
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// How logs are written to standard error
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a Cassandra-like instance and a faulty copy, verify them over HTTP, and explain what was found
    Demo(DemoArgs),
    /// Run the service: source, destination or both, by the migration map
    Serve(ServeArgs),
    /// Have a destination verify itself against its source, and follow the task to its end; Ctrl-C or SIGTERM cancels the task
    Verify(VerifyArgs),
    /// List, show or cancel the tasks of a destination
    Tasks(TasksArgs),
    /// Write a manifest of a directory, or of an instance of a configuration
    Manifest(ManifestArgs),
    /// Check a manifest file from end to end and say what it holds
    Inspect(InspectArgs),
    /// Compare two trees, each a directory, a manifest file, or a checksum list
    Diff(DiffArgs),
    /// Print a line for each table of manifests with its hashes, sorted, for comm, sort and join
    Roots(RootsArgs),
    /// Write manifests as Parquet, for Spark, DuckDB and Athena
    Export(ExportArgs),
    /// Make many comparisons in one run, with one report: services, directories, manifests; an interrupted run goes on
    Bulk(BulkArgs),
}

/// `twintree demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep the demo's files in this directory, which must not exist, instead of deleting them
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// `twintree serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The Sidecar's configuration
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// `twintree verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The destination's service, such as http://node4:9043
    #[arg(long, value_name = "URL")]
    pub destination: String,
    /// The digest read as evidence for files that differ: MD5 or XXHash32
    #[arg(long, default_value = "MD5")]
    pub algorithm: String,
    /// How many files each side may work on at a time
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_concurrency: u32,
    /// Compare the content of everything whose metadata matches, even where other entries differ
    #[arg(long)]
    pub keep_going: bool,
    /// Compare only this keyspace, or this keyspace.table; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub keyspace: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `twintree tasks`
#[derive(Debug, Args)]
pub struct TasksArgs {
    /// The destination's service, such as http://node4:9043
    #[arg(long, value_name = "URL", global = true)]
    pub destination: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do; without it, list
    #[command(subcommand)]
    pub action: Option<TaskAction>,
}

/// What to do with tasks.
#[derive(Debug, Subcommand)]
pub enum TaskAction {
    /// The latest task
    List {
        /// All tasks that are remembered, newest first
        #[arg(long)]
        history: bool,
    },
    /// One task with everything it found
    Show {
        /// The task
        id: String,
    },
    /// Cancel a task
    Cancel {
        /// The task
        id: String,
    },
    /// The names of entries in which the two sides of a task differ, alone, for rsync --files-from
    Files {
        /// The task
        id: String,
        /// Which entries
        #[arg(long, value_enum, value_name = "WHICH", default_value_t = NamesWanted::Copy)]
        files: NamesWanted,
        /// The root whose names are printed, such as data/1, where the task was about several
        #[arg(long, value_name = "ROOT")]
        root: Option<RootId>,
        /// Names end with a zero byte instead of a line break
        #[arg(long, short = '0')]
        null: bool,
    },
}

/// `twintree manifest`
#[derive(Debug, Args)]
pub struct ManifestArgs {
    /// The directory, which becomes the root data/0
    #[arg(required_unless_present = "config", conflicts_with_all = ["config", "instance"])]
    pub directory: Option<PathBuf>,
    /// Take the roots and exclusions of an instance from this configuration
    #[arg(long, value_name = "FILE", requires = "instance")]
    pub config: Option<PathBuf>,
    /// The instance's id in the configuration
    #[arg(long, value_name = "ID", requires = "config")]
    pub instance: Option<u64>,
    /// What is written: twintree's manifest, or a list that b3sum --check or sha256sum --check reads in the directory itself
    #[arg(long, value_enum, default_value_t = ManifestFormat::Twintree)]
    pub format: ManifestFormat,
    /// The file to write, or - for standard output; what stands there is replaced once the new one is complete
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Say the progress in lines for a twintree that started this one
    #[arg(long, hide = true)]
    pub relay_progress: bool,
    /// How to scan.
    #[command(flatten)]
    pub scan: ScanArgs,
}

/// In what form a tree is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ManifestFormat {
    /// With everything that is compared, and checked against itself.
    Twintree,
    /// A line for each file, with its BLAKE3.
    B3sum,
    /// A line for each file, with its SHA-256.
    Sha256sum,
}

/// `twintree inspect`
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The manifest, or - for one on standard input
    pub file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
