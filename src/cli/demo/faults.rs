//! The faults of the demo: one of each kind, planted in the copy and mended again.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Duration;

use super::disk::disk;
use super::instance::{Instance, copy_file, table_directory};
use crate::cli::exit_code::CommandError;
use crate::model::DifferenceKind;

/// A fault in the copy.
pub(super) struct PlantedFault {
    /// As what it must be found.
    pub kind: DifferenceKind,
    /// The entry below `data/0`.
    pub path: String,
    /// What was done to it.
    pub story: &'static str,
    /// What a person makes of finding it.
    pub meaning: &'static str,
}

/// One of each kind.
pub(super) fn all() -> Vec<PlantedFault> {
    use DifferenceKind as Kind;
    let fault = |kind, keyspace, table, name: &str, story, meaning| {
        let path = format!("{}/{name}", table_directory(keyspace, table));
        PlantedFault { kind, path, story, meaning }
    };
    vec![
        fault(
            Kind::MissingAtSource,
            "shop",
            "orders",
            "nb-9-big-Data.db",
            "only the copy has it: left over from an earlier attempt",
            "delete it at the destination, or find out who wrote it",
        ),
        fault(
            Kind::MissingAtDestination,
            "shop",
            "customers",
            "nb-2-big-Filter.db",
            "deleted: the copy stopped too early",
            "copy it",
        ),
        fault(
            Kind::Type,
            "shop",
            "products",
            "nb-1-big-Summary.db",
            "a directory stands where a file should",
            "one side has a file, the other a directory of that name",
        ),
        fault(
            Kind::Size,
            "sensors",
            "alarms",
            "nb-3-big-Index.db",
            "cut short by 100 bytes: the disk was full",
            "copy it again",
        ),
        fault(
            Kind::ModificationTime,
            "audit",
            "events",
            "nb-4-big-Statistics.db",
            "the same bytes, but two seconds younger",
            "the equal BLAKE3 digests say that only the time differs",
        ),
        fault(
            Kind::Content,
            "sensors",
            "readings",
            "nb-1-big-Data.db",
            "one byte of 48 MiB inverted; size and time are those of the source",
            "nothing but a digest of every byte shows it; copy it again",
        ),
        fault(
            Kind::Unverified,
            "system_schema",
            "tables",
            "nb-1-big-TOC.txt",
            "replaced by a symbolic link that points to nothing",
            "neither equal nor different: it could not be read, and counts as no proof",
        ),
    ]
}

impl PlantedFault {
    /// Plants the fault.
    pub(super) fn plant(&self, source: &Instance, copy: &Instance) -> Result<(), CommandError> {
        let (original, path) = (source.data(&self.path), copy.data(&self.path));
        let planted = match self.kind {
            DifferenceKind::MissingAtSource => fs::write(&path, b"left over"),
            DifferenceKind::MissingAtDestination => fs::remove_file(&path),
            DifferenceKind::Type => fs::remove_file(&path).and_then(|()| fs::create_dir(&path)),
            DifferenceKind::Size => cut(&original, &path),
            DifferenceKind::ModificationTime => make_younger(&original, &path),
            DifferenceKind::Content => invert_byte(&original, &path),
            DifferenceKind::Unverified => {
                fs::remove_file(&path).and_then(|()| std::os::unix::fs::symlink("nothing-here", &path))
            }
        };
        planted.map_err(disk(&path))
    }

    /// Takes it out again.
    pub(super) fn mend(&self, source: &Instance, copy: &Instance) -> Result<(), CommandError> {
        let path = copy.data(&self.path);
        let cleared = match self.kind {
            DifferenceKind::MissingAtDestination => Ok(()),
            DifferenceKind::Type => fs::remove_dir(&path),
            _ => fs::remove_file(&path),
        };
        cleared.map_err(disk(&path))?;
        match self.kind {
            DifferenceKind::MissingAtSource => Ok(()),
            _ => copy_file(&source.data(&self.path), &path),
        }
    }
}

fn cut(original: &Path, path: &Path) -> io::Result<()> {
    let before = fs::metadata(original)?;
    let file = File::options().write(true).open(path)?;
    file.set_len(before.len().saturating_sub(100))?;
    file.set_modified(before.modified()?)
}

fn make_younger(original: &Path, path: &Path) -> io::Result<()> {
    let modified = fs::metadata(original)?.modified()? + Duration::from_secs(2);
    File::options().write(true).open(path)?.set_modified(modified)
}

fn invert_byte(original: &Path, path: &Path) -> io::Result<()> {
    let before = fs::metadata(original)?;
    let middle = SeekFrom::Start(before.len() / 2);
    let mut file = File::options().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.seek(middle)?;
    file.read_exact(&mut byte)?;
    file.seek(middle)?;
    file.write_all(&[!byte[0]])?;
    file.set_modified(before.modified()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_difference_is_planted_once() {
        let mut kinds: Vec<_> = all().iter().map(|fault| fault.kind).collect();
        kinds.sort();
        kinds.dedup();
        assert_eq!(kinds.len(), 7);
    }
}
