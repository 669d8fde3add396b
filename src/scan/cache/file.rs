//! The file of the digest cache: made whole, opened with its pages checked, thrown away on any doubt.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Builder, Database, ReadableDatabase as _, TableDefinition};

use super::discard::discard;
use super::records::DIGESTS;
use crate::store::{Fault, Place, record, sync_directory, unpack};

/// What the store may hold of its file in memory, in bytes.
const MEMORY: usize = 16 << 20;

/// What the store says of itself: a record with its own check, and with that the version of the store. It holds the kernel's id of the
/// start of the machine during which it was made.
const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
const FORMAT: &str = "format";
const PLACE: Place<'_> = Place { owner: "digest cache", kind: 4, position: 0 };

/// The cache cannot be kept. Names the file.
#[derive(Debug, thiserror::Error)]
#[error("digest cache {}: {cause}", path.display())]
pub struct CacheError {
    /// The store's file.
    pub path: PathBuf,
    /// What went wrong.
    pub cause: String,
}

/// What can go wrong with a store.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The disk is full, another program has the file, it may not be read: nothing says that what stands there is wrong.
    #[error("{0}")]
    Hindered(String),
    /// It is of a later program.
    #[error("{0}")]
    Later(Fault),
    /// What stands there is not what was written.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The machine has started again since: where it crashed, bytes may have reached the disk and their times not.
    #[error("it is from before the last start of the machine")]
    Before,
}

/// Runs what calls the store. The store checks its pages when it is opened, and reports what it finds; but a page that goes bad
/// later can make it panic, and no panic may end a scan that needs nothing but the digests of its own reads. This is the one
/// place where panics are caught.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Trouble> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(trouble),
        Err(_) => Err(Trouble::Damaged("the store gave up on what it read".to_owned())),
    }
}

fn trouble(error: redb::Error) -> Trouble {
    match error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
            Trouble::Hindered("another twintree is using this state directory".to_owned())
        }
        // So the store says that a file is none of its own, or was cut.
        redb::Error::Io(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            Trouble::Damaged(error.to_string())
        }
        redb::Error::Io(error) => Trouble::Hindered(error.to_string()),
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => Trouble::Hindered(error.to_string()),
        error => Trouble::Damaged(error.to_string()),
    }
}

/// Opens the store, or makes an empty one where there is none, or where what is there is damaged or from before the last start of
/// the machine.
pub(super) fn open(path: &Path) -> Result<Database, Trouble> {
    make_where_none_is(path)?;
    match open_sound(path) {
        Err(trouble @ (Trouble::Damaged(_) | Trouble::Before)) => {
            tracing::warn!(path = %path.display(), cause = %trouble, "the digest cache is thrown away and begins empty");
            discard(path, None).map_err(hindered)?;
            make_where_none_is(path)?;
            open_sound(path)
        }
        opened => opened,
    }
}

fn open_sound(path: &Path) -> Result<Database, Trouble> {
    let opened = guarded(|| {
        let database = Builder::new().set_cache_size(MEMORY).set_check_integrity_on_open(true).open(path)?;
        let about = {
            let table = database.begin_read()?.open_table(ABOUT)?;
            let value = redb::ReadableTable::get(&table, FORMAT)?;
            value.map(|value| value.value().to_vec()).unwrap_or_default()
        };
        database.begin_read()?.open_table(DIGESTS)?;
        Ok((database, about))
    });
    let (database, about) = opened?;
    match unpack(PLACE, &about) {
        Ok((start, _)) if start == last_start() => Ok(database),
        Ok(_) => Err(Trouble::Before),
        Err(later @ Fault::Later(_)) => Err(Trouble::Later(later)),
        Err(fault) => Err(Trouble::Damaged(fault.to_string())),
    }
}

/// An empty file stands where one could not be removed. That it cannot be replaced either is the rule then, and it is filled.
fn make_where_none_is(path: &Path) -> Result<(), Trouble> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path),
        Err(error) => Err(hindered(error)),
        Ok(found) if found.is_file() && found.len() == 0 => make(path).or_else(|_| fill(path)),
        Ok(_) => Ok(()),
    }
}

/// Makes an empty store beside its place, and puts it there whole: a death in between leaves nothing that counts.
fn make(path: &Path) -> Result<(), Trouble> {
    let beside = path.with_extension("redb.unfinished");
    // What a death left.
    if fs::symlink_metadata(&beside).is_ok() {
        discard(&beside, None).map_err(hindered)?;
    }
    fill(&beside)?;
    fs::rename(&beside, path).map_err(hindered)?;
    path.parent().map_or(Ok(()), sync_directory).map_err(hindered)
}

/// Makes an empty store of an empty file. What a death leaves of it is damaged, and thrown away.
fn fill(path: &Path) -> Result<(), Trouble> {
    guarded(|| {
        let database = Builder::new().set_cache_size(MEMORY).create(path)?;
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        transaction.open_table(DIGESTS)?;
        transaction.open_table(ABOUT)?.insert(FORMAT, record(PLACE, &last_start()).as_slice())?;
        Ok(transaction.commit()?)
    })
}

fn hindered(error: io::Error) -> Trouble {
    Trouble::Hindered(error.to_string())
}

/// The kernel's id of the last start of the machine; empty where there is none to read, and there no digest is recorded either:
/// leases are Linux's as well.
fn last_start() -> Vec<u8> {
    fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}
