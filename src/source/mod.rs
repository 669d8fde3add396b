//! What a source does for others: manifests and their branches for a twintree, listings and digests for any client of the
//! per-file protocol, and the record that its migration is complete.

mod branch_answer;
mod completion;
mod error;
mod listing;
mod offers;
mod served_digest;
mod stream;

pub use branch_answer::{ANSWER_BYTES, BranchError, answer_branches};
pub use completion::{Completion, CompletionError};
pub use error::ServeError;
pub use listing::{Listing, listing};
pub use offers::{Offer, Offers};
pub use served_digest::{digest_of, open_served};
pub use stream::{STREAM_BYTES, manifest_stream};
