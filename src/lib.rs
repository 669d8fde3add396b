//! Proves that a directory tree on one host equals the tree on another, by exchanging one Merkle manifest.
//!
//! The guarantees, in order of weight, stand in `docs/guarantees.md`. The first: *equal* means that every entry was read
//! on both sides and is the same; what could not be read is unverified, which is neither equal nor different. Where digests of
//! earlier reads were to be trusted instead, the result says so.
//!
//! Folders are layers, from the bottom up: [`model`] values, [`exclude`] rules, [`checksums`] in lists, [`config`] files,
//! [`store`] what is kept on disk, [`scan`] the disk,
//! [`manifest`] trees and their comparison, [`protocol`] what crosses the network, [`net`] how others are called, [`work`] the
//! bridge to threads, [`peer`] the source seen from the destination, [`source`] what a source does for others, [`task`] the
//! life of a task, [`verify`] the run of a verification, [`bulk`] many comparisons, [`report`] results, [`server`] HTTP, [`cli`] commands. Each uses those
//! before it.

pub mod bulk;
pub mod checksums;
pub mod cli;
pub mod config;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod decoders;
pub mod exclude;
pub mod manifest;
pub mod model;
pub mod net;
pub mod peer;
pub mod protocol;
pub mod report;
pub mod scan;
pub mod server;
pub mod source;
pub mod store;
pub mod task;
pub mod verify;
pub mod work;

#[cfg(all(test, target_os = "linux"))]
#[path = "../tests/suite/support/immutable.rs"]
mod immutable;
#[cfg(test)]
#[path = "../tests/suite/support/material.rs"]
mod material;
#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "the tests of the program as a whole draw more, and from elsewhere")]
#[path = "../tests/suite/support/random.rs"]
mod random;
