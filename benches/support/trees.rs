//! Cassandra-shaped trees, the same bytes each time.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The components of an SSTable.
const COMPONENTS: [&str; 8] = [
    "Data.db",
    "Index.db",
    "Filter.db",
    "Summary.db",
    "Statistics.db",
    "CompressionInfo.db",
    "Digest.crc32",
    "TOC.txt",
];

/// How many keyspaces, tables in each, and SSTables in each, and how large their components are in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub keyspaces: usize,
    pub tables: usize,
    pub sstables: usize,
    data: (u64, u64),
    index: (u64, u64),
    other: (u64, u64),
}

impl Shape {
    /// Many small files: 40,000 in 200 tables, some 480 MB.
    pub const A: Self = Self {
        keyspaces: 20,
        tables: 10,
        sstables: 25,
        data: (16 << 10, 128 << 10),
        index: (50, 8192),
        other: (50, 8192),
    };

    /// Few large files: 360 in 9 tables, some 6.3 GB.
    pub const B: Self = Self {
        keyspaces: 3,
        tables: 3,
        sstables: 5,
        data: (64 << 20, 202 << 20),
        index: (256 << 10, 2 << 20),
        other: (50, 8192),
    };

    /// About `files` very small files, 200 in each table.
    pub fn small(files: usize) -> Self {
        let tables = files.div_ceil(200);
        let keyspaces = tables.div_ceil(50);
        let few = (50, 1000);
        Self { keyspaces, tables: tables.div_ceil(keyspaces), sstables: 25, data: few, index: few, other: few }
    }

    fn bytes(&self, component: &str) -> (u64, u64) {
        match component {
            "Data.db" => self.data,
            "Index.db" | "CompressionInfo.db" => self.index,
            "Digest.crc32" => (50, 64),
            "TOC.txt" => (80, 120),
            _ => self.other,
        }
    }
}

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, (least, most): (u64, u64)) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        least + self.0 % (most - least + 1)
    }
}

/// Makes the tree unless it is there already, and returns how many files it has.
pub fn make(home: &Path, shape: Shape) -> io::Result<usize> {
    let per_table = shape.sstables * COMPONENTS.len();
    let files = shape.keyspaces * shape.tables * per_table;
    let complete = home.with_extension("complete");
    if complete.exists() {
        return Ok(files);
    }
    let _ = fs::remove_dir_all(home);
    println!("making {} ({files} files)", home.display());
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut bytes = blake3::Hasher::new().finalize_xof();
    let mut buffer = vec![0; 1 << 20];
    for keyspace in 0..shape.keyspaces {
        for table in 0..shape.tables {
            let id = u128::from(numbers.next((1, u64::MAX - 1))) << 64 | u128::from(numbers.next((1, u64::MAX - 1)));
            let directory = home.join(format!("ks{keyspace:04}/table{table:02}-{id:032x}"));
            fs::create_dir_all(&directory)?;
            for sstable in 1..=shape.sstables {
                for component in COMPONENTS {
                    let mut left = numbers.next(shape.bytes(component));
                    let mut file = File::create(directory.join(format!("nb-{sstable}-big-{component}")))?;
                    if sparse() {
                        file.set_len(left)?;
                        continue;
                    }
                    while left > 0 {
                        let piece = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
                        bytes.fill(&mut buffer[..piece]);
                        file.write_all(&buffer[..piece])?;
                        left -= piece as u64;
                    }
                }
            }
        }
    }
    File::create(complete)?;
    Ok(files)
}

/// Whether files are made of holes (`TWINTREE_BENCH_SPARSE`): on a file system in memory they take none, so that millions of
/// them can be had. Reading and hashing them costs the same.
fn sparse() -> bool {
    std::env::var_os("TWINTREE_BENCH_SPARSE").is_some()
}

/// A copy with modification times, unless it is there already.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let complete = to.with_extension("complete");
    if complete.exists() {
        return Ok(());
    }
    let _ = fs::remove_dir_all(to);
    println!("copying {}", to.display());
    for file in files(from)? {
        let target = to.join(file.strip_prefix(from).map_err(io::Error::other)?);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(&file, &target)?;
        File::options().write(true).open(&target)?.set_modified(fs::metadata(&file)?.modified()?)?;
    }
    File::create(complete).map(drop)
}

/// All files below a directory, sorted.
pub fn files(home: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut directories) = (Vec::new(), vec![home.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => directories.push(entry.path()),
                false => found.push(entry.path()),
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Reads every file, so that what is measured next finds them in the page cache: a verification leaves the cache as it found
/// it, and some systems drop what lay there for a while.
pub fn warm(homes: &[&Path]) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    for home in homes {
        for path in files(home)? {
            let mut file = File::open(path)?;
            while file.read(&mut buffer)? > 0 {}
        }
    }
    Ok(())
}

/// A copy in which every `nth` file has another first byte, unless it is there already.
pub fn changed_copy(from: &Path, to: &Path, nth: usize) -> io::Result<()> {
    if to.with_extension("complete").exists() {
        return Ok(());
    }
    copy(from, to)?;
    invert_every(to, nth).map(drop)
}

/// Inverts the first byte of every `nth` file; its size and modification time stay. Twice, and all is as it was.
pub fn invert_every(home: &Path, nth: usize) -> io::Result<usize> {
    let changed: Vec<PathBuf> = files(home)?.into_iter().step_by(nth).collect();
    for path in &changed {
        use std::os::unix::fs::FileExt as _;
        let time = fs::metadata(path)?.modified()?;
        let file = File::options().read(true).write(true).open(path)?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, 0)?;
        file.write_all_at(&[byte[0] ^ 0xff], 0)?;
        file.set_modified(time)?;
    }
    Ok(changed.len())
}
