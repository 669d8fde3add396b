//! The embedded store behind the digest cache. It may be lost at any time: what is not found is read.
//!
//! What proved wrong must not be found again: not by who looked before, not after the next start, and not where its file cannot be
//! removed.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use redb::Database;

use super::discard::{discard, is_marked, mark, unmark};
use super::file::{Trouble, guarded, open};

/// Which records a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edition {
    /// How often records had proved wrong before any of these was recorded.
    pub discredits: u64,
    /// How often the store was opened.
    opening: u64,
}

/// A store, be it open or not.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    /// `None` after a failed write: the store refuses everything then until it is opened again.
    database: Option<Database>,
    /// The file of the last database, which can be emptied through it whatever became of its name.
    file: Option<File>,
    edition: Edition,
    /// What stands there is not to be believed, and could not be thrown away yet.
    discredited: bool,
}

impl Store {
    /// The store of this path, not open yet.
    pub(super) fn at(path: PathBuf) -> Self {
        let discredited = is_marked(&path);
        Self { path, database: None, file: None, edition: Edition { discredits: 0, opening: 0 }, discredited }
    }

    /// The open database.
    pub(super) fn opened(&self) -> Option<(&Database, Edition)> {
        Some((self.database.as_ref()?, self.edition))
    }

    /// Opens the store where it is not open, once what is not to be believed is thrown away.
    pub(super) fn open(&mut self, discredits: u64) -> Result<(), Trouble> {
        if self.database.is_some() {
            return Ok(());
        }
        if self.discredited {
            self.throw_away(discredits).map_err(|error| Trouble::Hindered(error.to_string()))?;
        }
        let database = open(&self.path)?;
        // Not through the database, which would have to be open and sound for that. Without it the path has to do.
        self.file = File::options().write(true).open(&self.path).ok();
        self.database = Some(database);
        self.edition.opening += 1;
        Ok(())
    }

    /// Makes sure that no record is ever found again. Where that fails, none is looked for before it can be done.
    pub(super) fn throw_away(&mut self, discredits: u64) -> io::Result<()> {
        self.close();
        self.discredited = true;
        discard(&self.path, self.file.as_ref()).inspect_err(|_| mark(&self.path))?;
        unmark(&self.path);
        (self.file, self.discredited, self.edition.discredits) = (None, false, discredits);
        Ok(())
    }

    pub(super) fn is_discredited(&self) -> bool {
        self.discredited
    }

    pub(super) fn close(&mut self) {
        let closed = self.database.take();
        // Closing writes, and what fails by then is known already.
        let _ = guarded(|| {
            drop(closed);
            Ok(())
        });
    }
}
