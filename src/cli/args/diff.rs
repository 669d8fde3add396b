//! What `twintree diff` is asked: two sides, how they are reached, and what of them is compared.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::scan::ScanArgs;
use crate::model::{ChecksumAlgorithm, RootId};

const INCLUDE_HELP: &str = "Compare only files that match one of these globs, or lie in a directory that does. A glob is read as a line \
    of .gitignore: with a slash before its end it matches from the root on, without one a name at any depth, with one at its end \
    directories alone; * and ? match no slash, ** does; [ab] and {a,b} are known";

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
