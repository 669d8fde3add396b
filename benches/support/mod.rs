//! What the benchmarks share: trees, services as processes, a network with a round trip, and tables of figures.

pub mod cold;
pub mod figures;
pub mod forwarder;
pub mod services;
pub mod trees;

use std::path::PathBuf;

/// Where a benchmark keeps its trees: `TWINTREE_BENCH_DIR`, else a directory beside the build.
pub fn directory() -> PathBuf {
    std::env::var_os("TWINTREE_BENCH_DIR").map_or_else(|| PathBuf::from("target/bench-trees"), PathBuf::from)
}

/// How often each command is timed, in turn with those it is compared with: `TWINTREE_BENCH_ROUNDS`, else 5.
pub fn rounds() -> usize {
    std::env::var("TWINTREE_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

/// The parts named on the command line; all where none is.
pub fn wants(part: &str) -> bool {
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    named.is_empty() || named.iter().any(|name| name == part)
}

/// A program of the search path.
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Whether a word of the command line stands in a name; where there is none, all names are wanted.
pub fn wants_word(name: &str) -> bool {
    let words: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    words.is_empty() || words.iter().any(|word| name.contains(word.as_str()))
}
