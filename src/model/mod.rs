//! Values every layer speaks in: names, paths, digests, entries, counters, differences, verdicts. No I/O.

mod cache_mode;
mod counters;
mod difference;
mod digest;
mod entry;
mod file_url;
mod numbers;
mod outcome;
mod path;
mod printable;
mod problem;
mod provenance;
mod root;
mod scope;
mod selection;
mod short;
mod sstable_name;
mod table_name;

pub use cache_mode::{CacheMode, UnknownCacheMode};
pub use counters::{Counters, MetadataSummary};
pub use difference::{Difference, DifferenceKind, Evidence, Side, Unverified};
pub use digest::{Blake3Digest, ContentDigest, DigestAlgorithm, UnknownAlgorithm};
pub use entry::{Content, EntryKind, FileEntry, Listed};
pub use file_url::FileUrl;
pub use numbers::grouped;
pub use outcome::{Findings, Outcome, Sink, Tally, Verdict};
pub use path::{MAX_NAME_BYTES, MAX_PATH_BYTES, Name, PathError, RelPath, check_name, printable_bytes};
pub use printable::{printable, printable_json, printable_lines};
pub use problem::{Problem, Reason};
pub use provenance::Provenance;
pub use root::{DirectoryType, RootId, UnknownRoot};
pub use scope::{SNAPSHOTS, Scope, SourceRules};
pub use selection::{Selection, SelectionError};
pub use short::{quoted, short};
pub use sstable_name::SstableName;
pub use table_name::{TableDirectory, table_name};
