//! A Cassandra-like instance on disk: keyspaces, tables, SSTables with all their components.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::disk::disk;
use crate::cli::exit_code::CommandError;

/// Keyspaces with their tables.
const TABLES: [(&str, &[&str]); 4] = [
    ("system_schema", &["keyspaces", "tables"]),
    ("shop", &["orders", "customers", "products"]),
    ("sensors", &["readings", "alarms"]),
    ("audit", &["events"]),
];

/// SSTables in each table.
const SSTABLES: usize = 4;

/// The components of an SSTable in the `big` format with their sizes in bytes; `Data.db` varies, `Digest.crc32` and
/// `TOC.txt` follow from the others.
const COMPONENTS: [(&str, usize); 6] = [
    ("Data.db", 0),
    ("Index.db", 40_000),
    ("Filter.db", 6_000),
    ("Summary.db", 1_500),
    ("Statistics.db", 9_000),
    ("CompressionInfo.db", 2_000),
];

/// One SSTable is as large as this, so that a single file keeps several threads busy.
const LARGEST_DATA_BYTES: usize = 48 << 20;

/// The modification time of the first file: 2024-02-06 04:27:35 UTC. Each further one is a second later.
const FIRST_MODIFIED: Duration = Duration::from_millis(1_707_193_655_406);

/// An instance's storage directory.
pub(super) struct Instance {
    pub home: PathBuf,
}

/// What was made.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Made {
    pub files: u64,
    pub bytes: u64,
}

impl Instance {
    pub(super) fn new(home: PathBuf) -> Self {
        Self { home }
    }

    /// The path of an entry below `data/0`.
    pub(super) fn data(&self, path: &str) -> PathBuf {
        self.home.join("data").join(path)
    }

    /// Makes the instance. The same bytes each time.
    pub(super) fn make(&self) -> Result<Made, CommandError> {
        let mut made = Made::default();
        for (keyspace, tables) in TABLES {
            for table in tables {
                let directory = table_directory(keyspace, table);
                for generation in 1..=SSTABLES {
                    self.sstable(&directory, generation, &mut made)?;
                }
            }
        }
        // What every instance has besides: a snapshot, which the default rules leave out, and other directories.
        let mut left_out = Made::default();
        let snapshot =
            format!("data/{}/snapshots/before-migration/nb-1-big-Data.db", table_directory("shop", "orders"));
        self.file(&snapshot, b"left out by the default rules", &mut left_out)?;
        self.file("commitlog/CommitLog-7-1707193655406.log", &noise("commitlog", 3 << 20), &mut made)?;
        self.file(
            "hints/5d4a0c2e-c4a1-11ee-9f3b-0242ac120002-1707193655406-2.hints",
            &noise("hints", 70_000),
            &mut made,
        )?;
        self.file("saved_caches/KeyCache-f.db", &noise("caches", 20_000), &mut made)?;
        fs::create_dir_all(self.home.join("cdc_raw")).map_err(disk(&self.home))?;
        Ok(made)
    }

    fn sstable(&self, directory: &str, generation: usize, made: &mut Made) -> Result<(), CommandError> {
        let prefix = format!("data/{directory}/nb-{generation}-big-");
        let mut toc = String::from("Digest.crc32\nTOC.txt\n");
        for (component, size) in COMPONENTS {
            let size = match (component, directory.starts_with("sensors/readings"), generation) {
                ("Data.db", true, 1) => LARGEST_DATA_BYTES,
                ("Data.db", _, generation) => 300_000 * generation + 17,
                _ => size,
            };
            let name = format!("{prefix}{component}");
            let bytes = noise(&name, size);
            if component == "Data.db" {
                // Cassandra writes the CRC-32 of Data.db in decimal.
                let crc = crc32fast::hash(&bytes).to_string();
                self.file(&format!("{prefix}Digest.crc32"), crc.as_bytes(), made)?;
            }
            self.file(&name, &bytes, made)?;
            toc.push_str(component);
            toc.push('\n');
        }
        self.file(&format!("{prefix}TOC.txt"), toc.as_bytes(), made)
    }

    fn file(&self, path: &str, bytes: &[u8], made: &mut Made) -> Result<(), CommandError> {
        let path = self.home.join(path);
        let write = || {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            let mut file = File::create(&path)?;
            file.write_all(bytes)?;
            file.set_modified(SystemTime::UNIX_EPOCH + FIRST_MODIFIED + Duration::from_secs(made.files))
        };
        write().map_err(disk(&path))?;
        made.files += 1;
        made.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Makes this a copy of another instance, times included, as a data copy before a migration would.
    pub(super) fn copy_of(&self, other: &Self) -> Result<(), CommandError> {
        copy_directory(&other.home, &self.home)
    }
}

/// A table's directory with an id as Cassandra gives it.
pub(super) fn table_directory(keyspace: &str, table: &str) -> String {
    let id = blake3::hash(format!("{keyspace}.{table}").as_bytes()).to_hex();
    format!("{keyspace}/{table}-{}", &id[..32])
}

/// Bytes that look like nothing in particular, and are the same for the same name.
fn noise(name: &str, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new_derive_key("twintree demo file content")
        .update(name.as_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

fn copy_directory(from: &Path, to: &Path) -> Result<(), CommandError> {
    fs::create_dir_all(to).map_err(disk(to))?;
    for entry in fs::read_dir(from).map_err(disk(from))? {
        let entry = entry.map_err(disk(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().map_err(disk(&source))?.is_dir() {
            copy_directory(&source, &target)?;
        } else {
            copy_file(&source, &target)?;
        }
    }
    Ok(())
}

/// Copies a file with its modification time.
pub(super) fn copy_file(from: &Path, to: &Path) -> Result<(), CommandError> {
    let copy = || {
        fs::copy(from, to)?;
        let modified = fs::metadata(from)?.modified()?;
        File::options().write(true).open(to)?.set_modified(modified)
    };
    copy().map_err(disk(to))
}
