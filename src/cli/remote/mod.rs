//! A directory on another host, reached by a remote shell: its manifest is made there and comes over standard output.

mod fetch;
mod outcome;
mod place;

pub(super) use fetch::{Fetching, start};
pub(super) use place::Place;
