//! The state file: a line for each entry, with a check before it. Only ever appended to while a run goes on, so that whatever ends this
//! program, and at whatever moment, leaves what was written before.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::state::{Entry, State, VERSION};

/// Hex digits of the check: no accident passes them.
const CHECK_DIGITS: usize = 16;

/// Separates this use of BLAKE3 from every other.
const CHECK_CONTEXT: &str = "twintree 2026 bulk state entry check v1";

/// The largest state file that is read, in bytes. A run of 50,000 comparisons stays below it.
const MAX_BYTES: u64 = 1 << 30;

/// Why a state file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("--state {}: {cause}", .path.display())]
pub struct JournalError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub cause: JournalFault,
}

/// What can be wrong with a state file.
#[derive(Debug, thiserror::Error)]
pub enum JournalFault {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Another run has it.
    #[error("another run uses it at this moment")]
    InUse,
    /// It is something else.
    #[error("this is no state of twintree bulk, and it would be overwritten")]
    NotAState,
    /// Another program wrote it.
    #[error("it is of version {0}, and this twintree reads version {VERSION}")]
    Version(u32),
    /// It is too large.
    #[error("it has more than {MAX_BYTES} bytes")]
    TooLarge,
}

/// A state file that this run alone has.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens the file, or makes it, and reads what is known of the run in it. Returns also how many of its entries are damaged; they
    /// count for nothing, so that at worst a comparison is made again. A last line that is not whole is what a death leaves, and is cut
    /// off.
    pub fn open(path: &Path) -> Result<(Self, State, u64), JournalError> {
        Self::read(path).map_err(|cause| JournalError { path: path.to_owned(), cause })
    }

    /// What is known of the run in the file, which stays as it is. Where there is none nothing is known.
    pub fn look(path: &Path) -> Result<(State, u64), JournalError> {
        let fault = |cause| JournalError { path: path.to_owned(), cause };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((State::default(), 0)),
            opened => opened.map_err(|error| fault(error.into()))?,
        };
        bounded(&file).and_then(|bytes| parse(&bytes)).map_err(fault)
    }

    fn read(path: &Path) -> Result<(Self, State, u64), JournalFault> {
        let file = File::options().read(true).append(true).create(true).open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalFault::InUse,
            TryLockError::Error(error) => error.into(),
        })?;
        let bytes = bounded(&file)?;
        let (state, damaged) = parse(&bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole < bytes.len() {
            file.set_len(whole as u64)?;
        }
        Ok((Self { file, path: path.to_owned() }, state, damaged))
    }

    /// Begins a new run: what the file held is gone.
    pub fn begin(&mut self, began_at: i64) -> Result<(), JournalError> {
        let begun = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        begun.map_err(|error| self.fault(error))?;
        self.note(&Entry::Run { version: VERSION, began_at })
    }

    /// Appends an entry; after a crash of the machine, not of the program, it may be lost.
    pub fn note(&mut self, entry: &Entry) -> Result<(), JournalError> {
        // One write, so that a death leaves all of the line or a piece of it at the end.
        self.file.write_all(line(entry).as_bytes()).map_err(|error| self.fault(error))
    }

    /// Appends an entry and everything before it to the disk.
    pub fn note_for_good(&mut self, entry: &Entry) -> Result<(), JournalError> {
        self.note(entry)?;
        self.file.sync_data().map_err(|error| self.fault(error))
    }

    fn fault(&self, error: io::Error) -> JournalError {
        JournalError { path: self.path.clone(), cause: error.into() }
    }
}

fn bounded(file: &File) -> Result<Vec<u8>, JournalFault> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        ..=MAX_BYTES => Ok(bytes),
        _ => Err(JournalFault::TooLarge),
    }
}

fn line(entry: &Entry) -> String {
    let text = serde_json::to_string(entry).unwrap_or_default();
    format!("{} {text}\n", check(text.as_bytes()))
}

fn check(text: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key(CHECK_CONTEXT);
    hasher.update(text);
    hex::encode(&hasher.finalize().as_bytes()[..CHECK_DIGITS / 2])
}

/// What the entries come to, and how many of them are damaged. A file without a single sound entry is none of ours, unless it is empty or
/// holds only the beginning of a first one.
fn parse(bytes: &[u8]) -> Result<(State, u64), JournalFault> {
    let mut state = State::default();
    let (mut sound, mut damaged) = (0_u64, 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(line) = line.strip_suffix(b"\n") else { continue };
        match entry(line) {
            None => damaged += 1,
            Some(Entry::Run { version, .. }) if version != VERSION => return Err(JournalFault::Version(version)),
            Some(entry) => {
                sound += 1;
                state.apply(entry);
            }
        }
    }
    let torn = bytes.iter().all(|byte| *byte != b'\n') && bytes.iter().take(CHECK_DIGITS).all(u8::is_ascii_hexdigit);
    match sound {
        0 if !bytes.is_empty() && !torn => Err(JournalFault::NotAState),
        _ => Ok((state, damaged)),
    }
}

fn entry(line: &[u8]) -> Option<Entry> {
    let (before, text) = line.split_at_checked(CHECK_DIGITS)?;
    let text = text.strip_prefix(b" ")?;
    (before == check(text).as_bytes()).then(|| serde_json::from_slice(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::ended;
    use super::*;
    use crate::bulk::Ending;

    fn submitted(name: &str) -> Entry {
        Entry::Submitted { name: name.to_owned(), fingerprint: "f".to_owned(), task: "t".to_owned() }
    }

    fn written(directory: &Path) -> PathBuf {
        let path = directory.join("state");
        let (mut journal, state, damaged) = Journal::open(&path).unwrap();
        assert_eq!((state, damaged), (State::default(), 0));
        journal.begin(5).unwrap();
        journal.note_for_good(&submitted("a")).unwrap();
        journal.note(&submitted("b")).unwrap();
        journal.note(&Entry::Ended(Box::new(ended("a", "f", Ending::Equal)))).unwrap();
        path
    }

    #[test]
    fn wherever_a_death_cuts_the_file_what_stands_before_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path());
        let whole = std::fs::read(&path).unwrap();
        let ends: Vec<usize> = (0..=whole.len()).filter(|end| *end == 0 || whole[end - 1] == b'\n').collect();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, state, damaged) = Journal::open(&path).unwrap_or_else(|error| panic!("{cut}: {error}"));
            let entries = ends.iter().filter(|end| **end <= cut).count() - 1;
            assert_eq!(damaged, 0);
            assert_eq!(state.began_at, (entries > 0).then_some(5));
            assert_eq!((state.begun.len(), state.ended.len()), [(0, 0), (0, 0), (1, 0), (2, 0), (1, 1)][entries]);
            // It goes on on a line of its own.
            journal.note(&submitted("c")).unwrap();
            drop(journal);
            let (_, state, damaged) = Journal::open(&path).unwrap();
            assert!(state.begun.contains_key("c") && damaged == 0, "{cut}");
        }
    }

    #[test]
    fn a_changed_byte_costs_its_entry_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path());
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            let (state, damaged) = parse(&bytes).unwrap();
            let line = whole[..at].iter().filter(|byte| **byte == b'\n').count();
            // Without its end an entry is one with the next; both are lost, or, the last one, not whole.
            assert!(damaged <= 1, "{at}");
            assert_eq!(state.began_at.is_some(), line > 0, "{at}");
        }
    }

    #[test]
    fn what_is_something_else_or_in_use_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("other");
        for text in ["comparisons:\n", "# a plan", "\n", "0123456789abcdef {}\n"] {
            std::fs::write(&path, text).unwrap();
            let error = Journal::open(&path).unwrap_err().to_string();
            assert!(error.contains("this is no state of twintree bulk"), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        std::fs::write(&path, line(&Entry::Run { version: 2, began_at: 0 })).unwrap();
        assert!(
            Journal::open(&path)
                .unwrap_err()
                .to_string()
                .ends_with("it is of version 2, and this twintree reads version 1")
        );
        let state = written(directory.path());
        let first = Journal::open(&state).unwrap();
        assert!(Journal::open(&state).unwrap_err().to_string().ends_with("another run uses it at this moment"));
        drop(first);
        assert!(Journal::open(&state).is_ok());
        assert!(
            Journal::open(Path::new("/nowhere/state")).unwrap_err().to_string().starts_with("--state /nowhere/state: ")
        );
    }

    #[test]
    fn a_new_run_forgets_the_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path());
        let (mut journal, ..) = Journal::open(&path).unwrap();
        journal.begin(6).unwrap();
        drop(journal);
        assert_eq!(Journal::open(&path).unwrap().1, State { began_at: Some(6), ..State::default() });
    }
}
