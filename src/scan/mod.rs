//! Walking a root and reading its files: what is on disk, with nothing assumed about it.
//!
//! Everything here blocks; run it inside the rayon pool that should do the work.

mod beneath;
mod context;
mod digests;
mod identity;
mod open_file;
mod read;
mod served;
mod steady;
mod stream_digest;
mod walk;

pub use beneath::RootHandle;
pub use context::{Cancel, CancelOnDrop, Cancelled, Context, Meter, Progress, ProgressSnapshot};
pub use digests::FileDigests;
pub use open_file::OpenFailure;
pub use read::SEGMENT_BYTES;
pub use served::{ServedFile, digest_served};
pub use steady::{Expected, ReadError, digest_file, hash_file, problem_of};
pub use stream_digest::StreamDigest;
pub use walk::{WalkedDirectory, WalkedRoot, walk_root};

/// The machine's own name, as the kernel has it.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
