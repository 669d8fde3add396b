//! What the tests share: two services on loopback, a client of theirs, trees, and the outside material where it is.

pub mod chaos_proxy;
pub mod disk;
pub mod flaky_front;
pub mod grown;
pub mod manifests;
pub mod naive_diff;
pub mod one_root;
pub mod oracle;
pub mod ordinary_user;
pub mod process;
pub mod program;
pub mod random;
pub mod random_cases;
pub mod random_faults;
pub mod random_roots;
pub mod random_trees;
pub mod raw_http;
pub mod records;
pub mod scripted_source;
pub mod services;
pub mod stock_client;
pub mod stock_source;
pub mod trees;

use std::path::PathBuf;

/// Material that lies beside a checkout and is never part of it. Says on standard error that a test skips without it.
pub fn outside(relative: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared").join(relative);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {relative} is not beside this checkout");
    None
}
