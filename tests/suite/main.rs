//! Tests of the whole: real services on loopback, real trees on disk, the program itself.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    unreachable_pub,
    missing_docs,
    reason = "nothing here is a library"
)]

mod broken_links;
mod cli;
mod format_vectors;
mod oracle;
mod real_sstables;
mod support;
mod unlisted;
