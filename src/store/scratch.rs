//! Bytes of one run that are more than memory should hold: appended, and read again at their positions.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// So many bytes wait in memory before they are written: a small list needs no file at all.
const IN_MEMORY: usize = 256 << 10;

/// So many bytes of a list are held in memory while they cannot be written, as on a full disk.
const UNWRITABLE: usize = 16 << 20;

/// So many bytes of all lists of the process are.
const UNWRITABLE_IN_ALL: usize = 128 << 20;

/// What all lists hold that cannot be written, in bytes.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// Bytes of one run, in memory while they are few, else in a file without a name: it is gone with the process, however
/// that ends.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Where the file is made; the system's directory for temporary files where `None`.
    directory: Option<PathBuf>,
    file: Option<File>,
    written: u64,
    /// What comes after what was written.
    memory: Vec<u8>,
    /// How much of [`HELD`] it is.
    held: usize,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.hold(0);
    }
}

impl Scratch {
    /// An empty one whose file lies in this directory once it needs one.
    pub fn new(directory: Option<PathBuf>) -> Self {
        let (file, written, memory, held) = Default::default();
        Self { directory, file, written, memory, held }
    }

    /// An empty one beside this one.
    pub fn another(&self) -> Self {
        Self::new(self.directory.clone())
    }

    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        self.written + self.memory.len() as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds bytes. Fails, and adds none, where they cannot be written and memory holds too many already.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.memory.extend_from_slice(bytes);
        if self.memory.len() < IN_MEMORY {
            return Ok(());
        }
        let written = self.write();
        let in_all = self.hold(if written.is_ok() { 0 } else { self.memory.len() });
        match written {
            Err(error) if self.memory.len() > UNWRITABLE || in_all > UNWRITABLE_IN_ALL => {
                self.memory.truncate(self.memory.len() - bytes.len());
                self.hold(self.memory.len());
                Err(error)
            }
            // There may be room again next time.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Notes that so many bytes cannot be written; what all lists hold then.
    fn hold(&mut self, bytes: usize) -> usize {
        let before = HELD.fetch_add(bytes, Relaxed);
        HELD.fetch_sub(self.held, Relaxed);
        let others = before.saturating_sub(self.held);
        self.held = bytes;
        others + bytes
    }

    /// Fills `bytes` with what stands at a position.
    pub fn read_at(&self, bytes: &mut [u8], position: u64) -> io::Result<()> {
        let on_disk = usize::try_from(self.written.saturating_sub(position)).unwrap_or(usize::MAX).min(bytes.len());
        let (from_file, from_memory) = bytes.split_at_mut(on_disk);
        if let (Some(file), false) = (&self.file, from_file.is_empty()) {
            file.read_exact_at(from_file, position)?;
        }
        let start = usize::try_from(position.saturating_sub(self.written)).unwrap_or(usize::MAX);
        let wanted = self.memory.get(start..).and_then(|rest| rest.get(..from_memory.len()));
        from_memory.copy_from_slice(wanted.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(match &self.directory {
                Some(directory) => tempfile::tempfile_in(directory)?,
                None => tempfile::tempfile()?,
            });
        }
        let Some(file) = &self.file else { return Ok(()) };
        // What a failed attempt has written is written again.
        file.write_all_at(&self.memory, self.written)?;
        self.written += self.memory.len() as u64;
        self.memory = Vec::new();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Held by tests that fill memory: the limit is that of the process.
    static ALONE: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

    fn byte(at: usize) -> u8 {
        (at.wrapping_mul(31) >> 3) as u8
    }

    #[test]
    fn what_was_added_is_read_wherever_it_stands() {
        let mut scratch = Scratch::new(None);
        let all: Vec<u8> = (0..3 * IN_MEMORY + 1000).map(byte).collect();
        all.chunks(70_000).for_each(|part| scratch.append(part).unwrap());
        assert!(scratch.file.is_some() && scratch.memory.len() < IN_MEMORY);
        assert_eq!(scratch.len(), all.len() as u64);
        let edge = usize::try_from(scratch.written).unwrap();
        for (from, to) in [(0, 10), (0, all.len()), (edge - 5, edge + 5), (edge, edge + 1), (edge - 1, edge)] {
            let mut read = vec![0; to - from];
            scratch.read_at(&mut read, from as u64).unwrap();
            assert_eq!(read, all[from..to]);
        }
        assert!(scratch.read_at(&mut [0; 2], all.len() as u64 - 1).is_err());
    }

    #[test]
    fn what_cannot_be_written_waits_in_memory_up_to_a_limit_until_it_can() {
        let _alone = ALONE.lock();
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("later");
        let mut scratch = Scratch::new(Some(directory.clone()));
        let part = vec![7; 1 << 20];
        let mut taken = 0;
        while scratch.append(&part).is_ok() {
            taken += 1;
        }
        assert_eq!(taken, UNWRITABLE / part.len());
        assert_eq!(scratch.len(), UNWRITABLE as u64, "what was refused is not half there");
        std::fs::create_dir(&directory).unwrap();
        scratch.append(&part).unwrap();
        assert!(scratch.memory.is_empty());
        let mut read = vec![0; part.len()];
        scratch.read_at(&mut read, UNWRITABLE as u64).unwrap();
        assert_eq!(read, part);
    }

    #[test]
    fn what_all_lists_hold_that_cannot_be_written_is_limited() {
        let _alone = ALONE.lock();
        let parent = tempfile::tempdir().unwrap();
        let part = vec![7; 1 << 20];
        let lists = UNWRITABLE_IN_ALL / UNWRITABLE + 3;
        let fill = |_| {
            let mut scratch = Scratch::new(Some(parent.path().join("none")));
            while scratch.append(&part).is_ok() {}
            scratch
        };
        let full: Vec<Scratch> = (0..lists).map(fill).collect();
        let held = |full: &[Scratch]| full.iter().map(|scratch| scratch.memory.len()).sum::<usize>();
        assert!((UNWRITABLE_IN_ALL - 2 * part.len()..=UNWRITABLE_IN_ALL).contains(&held(&full)), "{}", held(&full));
        assert!(full.last().unwrap().is_empty(), "there is no room for it");
        drop(full);
        assert!(!fill(0).is_empty(), "what was held is free again");
    }
}
