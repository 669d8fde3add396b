//! Files for the tests, of which it is known what the page cache holds.

use std::fs::File;
use std::io::Write as _;

use rustix::fs::{Advice, fadvise};

use super::probing::read_nothing_ahead;

pub(super) const SIZE: usize = 1 << 20;
pub(super) const HALF: usize = SIZE / 2;

/// A file of which the cache holds nothing; `None` on a file system that lies in memory.
pub(super) fn cold_file() -> Option<File> {
    let mut file = tempfile::tempfile_in("target").or_else(|_| tempfile::tempfile()).unwrap();
    file.write_all(&vec![7; SIZE]).unwrap();
    file.sync_all().unwrap();
    fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    let cold = held(&file, 0) == 0;
    if !cold {
        let why = "the cache cannot be emptied here, or the system does not say what it holds";
        crate::material::missing("cold-cache", why);
    }
    cold.then_some(file)
}

/// How many bytes from `offset` on the cache holds in one piece.
pub(super) fn held(file: &File, offset: u64) -> usize {
    let mut buffer = vec![0; SIZE];
    let mut buffers = [std::io::IoSliceMut::new(&mut buffer)];
    read_nothing_ahead(file);
    rustix::io::preadv2(file, &mut buffers, offset, rustix::io::ReadWriteFlags::NOWAIT).unwrap_or(0)
}
