//! The Merkle trees of an instance: built from disk, written to and read from files, checked, and compared.

mod block;
pub(crate) mod codec;
mod compare;
mod diff;
mod file;
mod hash;
mod hashing;
mod identity;
mod links;
mod matching;
mod plan;
mod record;
mod rollup;
mod second_read;
mod shape;
mod table;
mod table_error;
mod tree;

pub use block::BlockError;
pub use codec::CodecError;
pub use compare::{OpenedSide, compare_directory, differing_leaves};
pub use diff::{Comparand, Described, diff, notes};
pub use file::{Fault, FileError, ManifestFile, write};
pub use hash::{HashKind, SubtreeHash, instance_hash, subtree_hash};
pub use hashing::HashError;
pub use identity::Identity;
pub use matching::{MatchingDirectory, matching_files};
pub use plan::{Depth, DirectoryPair, PairSide, PlannedRoot, RootHashes, RootPlan, plan, plan_instance};
pub use record::{DirectoryRecord, FileRecords, RecordError};
pub use rollup::{Extent, Rollup, RollupState, rollups};
pub use second_read::{SecondRead, read_again};
pub use table::{Directory, DirectoryIndex, DirectoryTable, Totals, hash_of_roots};
pub use table_error::{FilesError, TableError};
pub use tree::{BuildError, Manifest, Root, RootSpec, Tree};
