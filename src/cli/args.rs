//! Commands and their options.

use std::ffi::OsString;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::bulk::{MAX_PARALLEL, PARALLEL};
use crate::config::{DATA_RATE, MAX_THREADS, Settings, THREADS, parse_data_rate};
use crate::model::{ChecksumAlgorithm, RootId};

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

/// How a tree is scanned.
#[derive(Debug, Default, Clone, Args)]
pub struct ScanArgs {
    /// Leave out files: a glob: or regex: pattern on the absolute path, as Java's PathMatcher reads it
    #[arg(long, value_name = "PATTERN")]
    pub exclude_file: Vec<String>,
    /// Leave out directories with all they hold
    #[arg(long, value_name = "PATTERN")]
    pub exclude_dir: Vec<String>,
    /// Only this keyspace, or this keyspace.table; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub keyspace: Vec<String>,
    /// How many threads read and hash; where it is not given, one for each core, and more while they wait for a disk
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<NonZeroUsize>,
    /// Read at most so much in a second, such as 100MiB/s
    #[arg(long, value_name = "RATE", value_parser = data_rate)]
    pub read_limit: Option<NonZeroU64>,
    /// Read around the page cache, from the media, where the file system can
    #[arg(long)]
    pub direct: bool,
}

impl ScanArgs {
    /// These options, and where they leave something open what a configuration says.
    pub(super) fn or_configured(&self, settings: &Settings) -> Self {
        Self {
            threads: self.threads.or(settings.threads),
            read_limit: self.read_limit.or(settings.reading.limit),
            direct: self.direct || settings.reading.direct,
            ..self.clone()
        }
    }
}

fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= MAX_THREADS);
    number.ok_or_else(|| format!("expected {THREADS}"))
}

fn data_rate(text: &str) -> Result<NonZeroU64, String> {
    parse_data_rate(text).ok_or_else(|| format!("expected {DATA_RATE}"))
}

/// How a directory on another host is reached.
#[derive(Debug, Clone, Args)]
pub struct RemoteArgs {
    /// The remote shell, called as CMD HOST 'COMMAND'; {host} in CMD takes HOST's place, as in 'kubectl exec -i {host} -- sh -c'
    #[arg(long, value_name = "CMD", default_value = "ssh")]
    pub rsh: String,
    /// What twintree is called on the other host
    #[arg(long, value_name = "PATH", default_value = "twintree")]
    pub remote_program: PathBuf,
}

impl Default for RemoteArgs {
    fn default() -> Self {
        Self { rsh: "ssh".to_owned(), remote_program: "twintree".into() }
    }
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

const INCLUDE_HELP: &str = "Compare only files that match one of these globs, or lie in a directory that does. A glob is read as a line \
    of .gitignore: with a slash before its end it matches from the root on, without one a name at any depth, with one at its end \
    directories alone; * and ? match no slash, ** does; [ab] and {a,b} are known";

/// What of two trees is compared.
#[derive(Debug, Default, Clone, Args)]
pub struct NarrowArgs {
    /// Do not compare modification times: a copy that was made without them is equal in content
    #[arg(long)]
    pub ignore_times: bool,
    /// Only files that match one of these globs are compared.
    #[arg(long, value_name = "GLOB", help = INCLUDE_HELP)]
    pub include: Vec<String>,
    /// Leave out files and directories that match one of these globs, whatever is included; read in the same way, and one that ends with a
    /// slash matches directories alone
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Compare only what this list names, one name a line, relative to the root; a directory stands for all below it; - is standard input
    #[arg(long, value_name = "LIST")]
    pub files_from: Option<PathBuf>,
    /// Names in --files-from, and those that --files prints, end with a zero byte instead of a line break
    #[arg(long, short = '0')]
    pub null: bool,
}

/// How checksum lists are read.
#[derive(Debug, Default, Clone, Args)]
pub struct ListArgs {
    /// The values of a checksum list to compare: BLAKE3, SHA-256, SHA-1 or MD5; where it is not given, the strongest that both sides have
    #[arg(long, value_name = "NAME")]
    pub algorithm: Option<ChecksumAlgorithm>,
    /// What stands before each name in a checksum list, and is no part of it, such as the directory of absolute names
    #[arg(long, value_name = "PREFIX")]
    pub strip_prefix: Option<OsString>,
}

/// Which names are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NamesWanted {
    /// What must be copied to make the destination equal: missing there, or different.
    Copy,
    /// What must be deleted there: missing at the source. What lies in a directory comes before it.
    Delete,
    /// What both sides have and is different.
    Differ,
    /// What could not be checked.
    Unverified,
}

/// `twintree diff`
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// A directory, ssh://HOST/DIR, a manifest file, a checksum list, or - for one of these files on standard input
    pub source: PathBuf,
    /// A directory, ssh://HOST/DIR, a manifest file, a checksum list, or - for one of these files on standard input
    pub destination: PathBuf,
    /// How ssh://HOST/DIR is reached.
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// Compare the content of everything whose metadata matches, even where other entries differ
    #[arg(long)]
    pub keep_going: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Print the names of such entries alone, and compare the content of everything that can be compared, as --keep-going does
    #[arg(long, value_enum, value_name = "WHICH", conflicts_with = "json")]
    pub files: Option<NamesWanted>,
    /// The root whose names are printed, such as data/1, where manifests hold several
    #[arg(long, value_name = "ROOT", requires = "files")]
    pub root: Option<RootId>,
    /// What is compared.
    #[command(flatten)]
    pub narrow: NarrowArgs,
    /// How checksum lists are read.
    #[command(flatten)]
    pub lists: ListArgs,
    /// How to scan.
    #[command(flatten)]
    pub scan: ScanArgs,
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn threads_have_a_limit() {
        for (text, number) in
            [("1", Some(1)), ("1024", Some(1024)), ("1025", None), ("999999", None), ("0", None), ("x", None)]
        {
            let parsed = threads(text);
            assert_eq!(parsed.as_ref().ok().map(|n| n.get()), number, "{text}");
            assert!(parsed.is_ok() || parsed == Err("expected a whole number from 1 to 1024".to_owned()));
        }
        assert!(THREADS.ends_with(&MAX_THREADS.to_string()));
    }
}
