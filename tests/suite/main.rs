//! Tests of the whole: real services on loopback, real trees on disk, the program itself.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    unreachable_pub,
    missing_docs,
    reason = "nothing here is a library"
)]

mod broken_links;
mod bulk;
mod bulk_services;
mod bulk_sizes;
mod cancelling;
mod causes;
mod checksum_lists;
mod cli;
mod connections;
mod contradictions;
mod conversations;
mod decisions;
mod diff_reference;
mod digest_cache;
mod export;
mod fair_shares;
mod faults;
mod fetched_ends;
mod file_names;
mod files_api;
mod filters;
mod fleet;
mod format_vectors;
mod full_disk;
mod hard_links;
mod history;
mod hostile_source;
mod hostile_texts;
mod http_heads;
mod inspected_changes;
mod interruptions;
mod keyspaces;
mod kills;
mod large_results;
mod lies;
mod lying_columns;
mod manifest_file;
mod manifest_noise;
mod many_differences;
mod mapped_writes;
mod memory_limits;
mod metrics;
mod moving_trees;
mod newer_peer;
mod openapi;
mod oracle;
mod path_escapes;
mod per_file;
mod per_file_oracle;
mod quiet;
mod real_sstables;
mod remote_sides;
mod reports;
mod request_counts;
mod roots;
mod second_listing;
mod second_looks;
mod serve_process;
mod signals;
mod source_trouble;
mod stdio;
mod stock_names;
mod support;
mod task_memory;
mod tasks_api;
mod trust;
mod under_attack;
mod unlisted;
mod wire_bytes;
mod wire_faults;
mod withdrawn;
mod without_a_size;
