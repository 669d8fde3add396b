//! What the tests share: two services on loopback, a client of theirs, trees, and the outside material where it is.

pub mod attacks;
pub mod chaos_proxy;
pub mod disk;
pub mod fault_proxy;
pub mod flaky_front;
pub mod fleet;
pub mod greedy;
pub mod grown;
#[cfg(target_os = "linux")]
pub mod immutable;
pub mod listed_trees;
pub mod manifests;
pub mod material;
pub mod mutator;
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
pub mod sshd;
pub mod stock_client;
pub mod stock_source;
pub mod trees;

use std::path::PathBuf;
use std::process::Command;

/// Material that lies beside a checkout and is never part of it; `None` where a test skips without it.
fn outside(material: &str, relative: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared").join(relative);
    if path.exists() {
        return Some(path);
    }
    material::missing(material, &format!("{relative} is not beside this checkout"));
    None
}

/// The independent statement of the per-file protocol's counters.
pub fn outside_oracle() -> Option<PathBuf> {
    outside("oracle", "oracle/sidecar_counters.py")
}

/// The real SSTables of several releases.
pub fn outside_sstables() -> Option<PathBuf> {
    outside("sstables", "data/cassandra")
}

/// Whether a program can be started; says that a test skips without it.
pub fn has_program(material: &str, program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().map(drop);
    if let Err(error) = &found {
        material::missing(material, &format!("the program {program} cannot be started: {error}"));
    }
    found.is_ok()
}
