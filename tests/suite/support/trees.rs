//! Copies of trees with their times, and single faults in them.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// Copies a tree with modification times; every copied file and directory can be written to.
pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_tree(&source, &target);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source).unwrap(), &target).unwrap();
        } else {
            fs::write(&target, fs::read(&source).unwrap()).unwrap();
            copy_time(&source, &target);
        }
    }
}

/// Gives `to` the modification time of `from`.
pub fn copy_time(from: &Path, to: &Path) {
    let time = fs::metadata(from).unwrap().modified().unwrap();
    File::options().write(true).open(to).unwrap().set_modified(time).unwrap();
}

/// Inverts one byte; size and modification time stay.
pub fn flip_byte(path: &Path, offset: u64) {
    let time = fs::metadata(path).unwrap().modified().unwrap();
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(&[byte[0] ^ 0xff]).unwrap();
    file.set_modified(time).unwrap();
}

/// `directories` tables below `data/`, each with `files` files of `bytes` bytes; every file has content of its own.
pub fn plant(storage: &Path, directories: usize, files: usize, bytes: usize) {
    for directory in 0..directories {
        let table = storage.join(format!("data/ks/table-{directory:04}"));
        fs::create_dir_all(&table).unwrap();
        for file in 0..files {
            let content: Vec<u8> = (0..bytes).map(|at| (at * 31 + file * 7 + directory * 13) as u8).collect();
            fs::write(table.join(format!("nb-{file}-big-Data.db")), content).unwrap();
        }
    }
}

/// The files of all tables that [`plant`] made, in the same order on every call.
pub fn planted(storage: &Path) -> Vec<std::path::PathBuf> {
    let list = |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let mut files: Vec<_> = list(&storage.join("data/ks")).iter().flat_map(|table| list(table)).collect();
    files.sort();
    files
}

/// A file without blocks on disk that takes hours to hash: whoever waits for its digest waits until cancelled.
pub fn endless_file(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = File::create(path).unwrap();
    file.set_len(1 << 40).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000)).unwrap();
}

/// A directory in which digests can be recorded; `None` where the build lies in a file system that has no leases, or does not note every
/// write in its times.
pub fn leased_directory() -> Option<tempfile::TempDir> {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    #[cfg(target_os = "linux")]
    {
        // ext2 to ext4, XFS, Btrfs, F2FS.
        let telling = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010];
        #[allow(clippy::unnecessary_cast, reason = "the field's type differs between systems")]
        let kind = rustix::fs::statfs(home.path()).unwrap().f_type as i64;
        if telling.contains(&(kind & 0xffff_ffff)) {
            return Some(home);
        }
    }
    super::material::missing("leases", "the build does not lie in a file system where digests can be recorded");
    None
}

/// Waits until what was written before lies unchanged as long as a file must whose digest is recorded.
pub fn settle() {
    std::thread::sleep(std::time::Duration::from_millis(2200));
}
