//! The Merkle trees of an instance: built from disk, written to and read from files, checked, and compared.

mod agreement;
mod block;
mod block_view;
mod by_key;
mod causes;
pub(crate) mod codec;
mod columns;
mod compare;
#[cfg(test)]
mod contradictions;
mod diff;
mod directory;
mod facts;
mod file;
mod hash;
mod hashing;
mod identity;
mod links;
mod listed;
mod matching;
mod notes;
mod packing;
mod part;
mod place_hash;
mod places;
mod plan;
mod record;
mod rollup;
mod root_hashes;
mod scope;
mod second_looks;
mod second_read;
mod shape;
mod table;
mod table_error;
#[cfg(test)]
mod table_tests;
mod tagged;
mod tree;
mod trees;
mod unsteady;

pub use agreement::{Contradiction, Disagreement, check_agreement};
pub use block::{BlockError, MAX_BLOCK_BYTES, encode_block};
pub use block_view::{decode_block, differing_files, split_block};
pub use by_key::{ByKey, by_key};
pub use codec::CodecError;
pub use columns::{DirectoriesError, MAX_DIRECTORIES_IN_A_RECORD, decode_directories, encode_directories};
pub use compare::{OpenedSide, compare_directory, differing_leaves};
pub use diff::{Comparand, DiffError, diff, find, find_by, findings, outcome, unsteady_of};
pub use directory::{Directory, DirectoryIndex, Totals};
pub use facts::{Compared, Facts};
pub use file::{
    FileError, FormatFault, MAX_STREAM_BYTES, ManifestFile, write, write_stream, write_unless_cancelled, write_whole,
};
pub use hash::{HashKind, SubtreeHash, instance_hash, subtree_hash};
pub use hashing::HashError;
pub use identity::{Identity, IdentityError};
pub use links::Role;
pub use listed::directories_of;
pub use matching::{MatchedDirectory, MatchingDirectory, all_files, matched_files, matching_files};
pub use notes::{
    begun_again_note, checksum_list_note, fetched_note, link_notes, names_not_found_note, notes, nothing_compared_note,
    rules_unknown_note, tells_links, tells_other_rules, trusted_note, unrecordable_note,
};
pub use part::{Part, PartError, Wanted};
pub use place_hash::{PlaceKind, PlacePart, place_hash};
pub use places::{Grain, Place, places};
pub use plan::{DirectoryPair, PairSide, PlannedRoot, RootPlan, plan, plan_instance};
pub use record::{ProblemColumn, RecordError, decode_problem};
pub use rollup::{DifferenceSums, Rollup, RollupState, rollups, summed_up};
pub use root_hashes::{Depth, RootHashes};
pub use scope::{Described, RootTables, scope, scope_of_one_side};
pub use second_read::{SecondRead, read_again};
pub use table::{DirectoryTable, hash_of_roots, totals_of_roots};
pub use table_error::{FilesError, TableError};
pub use tagged::{MUST_UNDERSTAND_FROM, Reader, TaggedError, Writer};
pub use tree::Tree;
pub use trees::{BuildError, Manifest, Root, RootSpec};
pub use unsteady::unsteady_directories;
