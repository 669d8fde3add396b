//! Walking a root and reading its files: what is on disk, with nothing assumed about it.
//!
//! Everything here blocks; run it inside the rayon pool that should do the work.

mod beneath;
mod blocks;
mod buffer;
mod cache;
mod cancel;
mod clock;
mod content;
mod context;
mod descriptors;
mod digest_file;
mod digests;
mod direct;
mod directory_look;
mod engine;
mod entries;
mod file_system;
mod identity;
mod lease;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod lease_tests;
mod limit;
mod list;
mod meter;
mod mounts;
mod open_file;
mod page_cache;
mod places;
mod prefetch;
mod priority;
mod progress;
mod read;
mod readers;
mod recording;
mod regular_file;
mod second_look;
mod served;
mod settle;
mod sharded;
mod steady;
#[cfg(test)]
mod steady_tests;
mod stream_digest;
#[cfg(target_os = "linux")]
mod syscalls;
mod walk;
mod walked;
mod warm;

pub use beneath::RootHandle;
pub use cache::{CacheError, CacheView, DigestCache};
pub use cancel::{Cancel, CancelOnDrop, Cancelled};
pub use clock::Moment;
pub use content::{ContentError, FileContent, file_content, file_evidence, linked_content};
pub use context::Context;
pub use descriptors::{held_of, raise_limit};
pub use digest_file::digest_file;
pub use digests::FileDigests;
pub use directory_look::DirectoryLook;
pub use engine::{Engine, ReadMode};
pub use identity::{FileId, FileIdentity, Look};
pub use limit::ReadLimit;
pub use list::{Listing, list_directory};
pub use meter::Meter;
pub use mounts::Mounts;
pub use open_file::OpenFailure;
pub use prefetch::{Begun, Prefetched, jobs, read_job};
pub use priority::give_way;
pub use progress::{Progress, ProgressSnapshot};
pub use read::SEGMENT_BYTES;
pub use readers::{Readers, Threads, in_order, on_each_disk};
pub use regular_file::open_regular;
pub use served::{ServedFile, digest_served};
pub use settle::{ROUNDS, walk_roots};
pub use steady::{Expected, ReadError, digest_again, is_further_name, problem_of};
pub use stream_digest::StreamDigest;
#[cfg(target_os = "linux")]
pub use syscalls::give_memory_back_from;
pub use walked::{Looks, Walked, WalkedDirectory, WalkedRoot};
pub use warm::warm_roots;

/// The machine's own name, as the kernel has it.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
