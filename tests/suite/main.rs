//! Tests of the whole: real services on loopback, real trees on disk, the program itself.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    unreachable_pub,
    missing_docs,
    reason = "nothing here is a library"
)]

mod cancelling;
mod faults;
mod history;
mod interruptions;
mod lies;
mod real_sstables;
mod request_counts;
mod serve_process;
mod support;
mod tasks_api;
