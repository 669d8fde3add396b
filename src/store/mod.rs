//! Files of our own that outlive a run, or hold what memory does not: records that carry their own check, files that
//! appear whole or not at all, and lists that are sorted and read page by page without being held, and streams.

#[cfg(test)]
pub(crate) mod damage;
mod file;
mod pages;
mod received;
mod record;
mod scratch;
mod spool;

pub use file::{Whole, make_directories, put_out_of_the_way, sync_directory};
pub use pages::{Lost, PageError, PageTable, Pages};
pub use received::receive;
#[cfg(test)]
pub(crate) use record::of_a_later_version;
pub use record::{Fault, Place, record, unpack};
pub use scratch::Scratch;
pub use spool::Spool;
