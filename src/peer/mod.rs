//! A source as the destination sees it: the manifest exchange, its branches, and the per-file protocol.

mod allowance;
mod assembly;
mod branches;
mod client;
mod error;
mod exchange;
mod fetch;
mod file_request;
mod files;
mod listed_place;
mod listed_roots;
#[cfg(test)]
mod listed_roots_tests;
mod listing;
mod pieces;
mod short_strings;
mod weight;

pub use allowance::{Allowance, Held, TooMuch};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use assembly::Assembly;
pub use assembly::{AssemblyError, Contents, RemoteManifest};
pub use branches::{OpenedBranches, RemoteRead, fetch_branches};
pub use client::{Peer, PeerSettings};
pub use error::PeerError;
pub use exchange::Exchange;
pub use file_request::{FileRequest, Unaskable};
pub use files::{DigestFailure, ListingBytes};
pub use listed_roots::SourceListing;
pub use listing::{ListingError, read_listing};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use weight::of_frame;
