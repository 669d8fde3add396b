//! Folders of `src/` are layers: each may use those above it in this list and none below, and some are kept free of
//! I/O or of a library. Reads the sources, so it holds for code that no test runs.

#[path = "layering/imports.rs"]
mod imports;

use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom up, with what a layer must not name besides the layers that come after it.
const LAYERS: [(&str, &[&str]); 18] = [
    ("model", IO),
    // `std::path` is a value; nothing of it is asked of the disk here.
    ("exclude", IO),
    ("checksums", IO),
    ("config", &["tokio::", "axum::", "reqwest::"]),
    ("store", &["tokio::", "axum::", "reqwest::"]),
    ("scan", &["tokio::", "axum::", "reqwest::"]),
    ("manifest", &["tokio::", "axum::", "reqwest::"]),
    ("protocol", IO),
    ("net", &["axum::"]),
    ("work", &["axum::", "reqwest::"]),
    ("peer", &["axum::"]),
    ("source", &["axum::", "reqwest::"]),
    ("task", &["axum::", "reqwest::"]),
    ("verify", &["axum::", "reqwest::"]),
    ("bulk", &["axum::", "reqwest::"]),
    ("report", &["tokio::", "axum::", "std::fs", "std::net"]),
    ("server", &[]),
    ("cli", &[]),
];

/// `tokio_util::codec` decodes bytes that are at hand, and is no I/O.
const IO: &[&str] =
    &["std::fs", "std::net", "std::io::", "std::process", "rustix::", "rayon::", "tokio::", "axum::", "reqwest::"];

/// Folders whose modules use each other in no circle, those of folders below them included.
const FREE_OF_CIRCLES: [&str; 18] = [
    "model",
    "exclude",
    "checksums",
    "config",
    "store",
    "manifest",
    "scan",
    "protocol",
    "net",
    "work",
    "peer",
    "source",
    "task",
    "verify",
    "bulk",
    "report",
    "server",
    "cli",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of src/") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The code of a file without comments and without its unit tests, which may use what they like.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file");
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn every_folder_is_a_layer() {
    for entry in fs::read_dir(src()).expect("src") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            assert!(LAYERS.iter().any(|(layer, _)| *layer == name), "src/{name} is no layer");
        }
    }
}

#[test]
fn no_layer_uses_one_that_comes_after_it() {
    let mut wrong = Vec::new();
    for (position, (layer, forbidden)) in LAYERS.iter().enumerate() {
        let folder = src().join(layer);
        if !folder.exists() {
            continue;
        }
        for path in sources(&folder) {
            let code = code(&path);
            for (later, _) in &LAYERS[position + 1..] {
                let grouped = code.contains("use crate::{") && code.contains(&format!("{later}::"));
                if code.contains(&format!("crate::{later}::")) || grouped {
                    wrong.push(format!("{} uses {later}", path.display()));
                }
            }
            let named = forbidden.iter().filter(|name| code.contains(*name));
            wrong.extend(named.map(|name| format!("{} names {name}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn modules_of_a_folder_use_each_other_in_no_circle() {
    let circles: Vec<String> = FREE_OF_CIRCLES.iter().flat_map(|folder| imports::circles(folder)).collect();
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn only_one_module_names_the_encoder() {
    let naming: Vec<PathBuf> = sources(&src()).into_iter().filter(|path| code(path).contains("bincode::")).collect();
    assert_eq!(naming, [src().join("manifest/codec.rs")]);
}

/// What the compiler cannot check stands in one place, and is allowed nowhere else.
#[test]
fn only_one_module_has_unsafe_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut naming: Vec<PathBuf> = Vec::new();
    for folder in ["src", "tests", "benches"] {
        let has_any = |path: &PathBuf| {
            let text = fs::read_to_string(path).expect("a source file");
            let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            // In two pieces, or this file would have it.
            words.into_iter().any(|word| word == concat!("uns", "afe") || word == concat!("uns", "afe_code"))
        };
        naming.extend(sources(&root.join(folder)).into_iter().filter(has_any));
    }
    assert_eq!(naming, [src().join("scan/syscalls.rs")]);
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("Cargo.toml");
    assert!(manifest.lines().any(|line| line == concat!("uns", "afe_code = \"deny\"")));
}

#[test]
fn only_the_bridges_cross_from_async_to_threads_and_pools() {
    let naming = |names: &[&str], below: &str| -> Vec<PathBuf> {
        let crosses = |path: &PathBuf| names.iter().any(|name| code(path).contains(name));
        sources(&src().join(below)).into_iter().filter(crosses).collect()
    };
    assert_eq!(naming(&["spawn_blocking", "block_in_place"], ""), [src().join("work/pool.rs")]);
    for layer in ["net", "peer", "source", "task", "verify", "server"] {
        assert_eq!(naming(&["ThreadPoolBuilder"], layer), Vec::<PathBuf>::new());
    }
}

#[test]
fn only_the_connector_builds_http_clients() {
    let builds = |path: &PathBuf| code(path).contains("Client::builder") || code(path).contains("Client::new()");
    let building: Vec<PathBuf> = sources(&src()).into_iter().filter(builds).collect();
    assert_eq!(building, [src().join("net/connector.rs")]);
}
