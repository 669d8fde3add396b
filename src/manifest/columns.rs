//! Directories as they cross the wire: tagged columns, in the order of the table they are of.

use super::directory::{Directory, DirectoryIndex};
use super::hash::SubtreeHash;
use super::record::{ProblemColumn, RecordError, decode_problem};
use super::tagged::{Reader, TaggedError, Writer};
use crate::model::{Blake3Digest, Name};

/// The most directories in one record. Unpacked, each takes many times the bytes it crosses the wire with, and what a record
/// makes a reader hold must be bounded before it is counted.
pub const MAX_DIRECTORIES_IN_A_RECORD: usize = 1 << 16;

const PARENTS: u32 = 1;
const NAMES: u32 = 2;
const STATES: u32 = 3;
const FILES: u32 = 4;
const BYTES: u32 = 5;
const METADATA: u32 = 6;
const PROBLEMS: u32 = 7;

/// Bits of a directory's state.
const LINK: u8 = 1;
const PROVEN: u8 = 2;
const UNLISTED: u8 = 4;

/// Adds the columns of directories to a record: parents; names joined by `/`, the root's empty; states (bit 0: a symbolic link,
/// bit 1: has a metadata hash, bit 2: could not be listed); files; bytes; the metadata hashes of those that have one; the
/// problems of those that could not be listed.
pub fn encode_directories<'a>(directories: impl Iterator<Item = &'a Directory>, record: Writer) -> Writer {
    let (mut parents, mut files, mut bytes) = (Vec::<u32>::new(), Vec::<u64>::new(), Vec::<u64>::new());
    let (mut names, mut states, mut metadata) = (Vec::new(), Vec::new(), Vec::new());
    let mut problems: Vec<ProblemColumn> = Vec::new();
    for (at, directory) in directories.enumerate() {
        if at > 0 {
            names.push(b'/');
        }
        names.extend_from_slice(directory.name.as_ref().map_or(&[][..], Name::as_bytes));
        parents.push(directory.parent.0);
        files.push(directory.files);
        bytes.push(directory.bytes);
        let mut state = if directory.link { LINK } else { 0 };
        if let Some(digest) = directory.metadata.digest() {
            state |= PROVEN;
            metadata.extend_from_slice(&digest.0);
        }
        if let Some(problem) = &directory.unlisted {
            state |= UNLISTED;
            problems.push((problem.reason.code(), problem.detail.clone()));
        }
        states.push(state);
    }
    record
        .with(PARENTS, &parents)
        .with_bytes(NAMES, names)
        .with_bytes(STATES, states)
        .with(FILES, &files)
        .with(BYTES, &bytes)
        .with_bytes(METADATA, metadata)
        .with(PROBLEMS, &problems)
}

/// Takes the columns of directories out of a record. What they make of a table is not checked here.
pub fn decode_directories<const LIMIT: usize>(record: &mut Reader<LIMIT>) -> Result<Vec<Directory>, DirectoriesError> {
    let parents: Vec<u32> = record.required(PARENTS)?;
    let names = record.bytes(NAMES)?;
    let states = record.bytes(STATES)?;
    let (files, bytes): (Vec<u64>, Vec<u64>) = (record.required(FILES)?, record.required(BYTES)?);
    let metadata = record.bytes(METADATA)?;
    let problems: Vec<ProblemColumn> = record.required(PROBLEMS)?;
    let count = parents.len();
    if count > MAX_DIRECTORIES_IN_A_RECORD {
        return Err(DirectoriesError::TooMany(count));
    }
    let named = if count == 0 { 0 } else { names.split(|b| *b == b'/').count() };
    if [named, states.len(), files.len(), bytes.len()].iter().any(|length| *length != count)
        || (count == 0 && !names.is_empty())
    {
        return Err(RecordError::Columns.into());
    }
    let mut hashes = metadata.chunks_exact(32);
    let mut problems = problems.into_iter();
    let mut directories = Vec::with_capacity(count);
    for (at, name) in names.split(|b| *b == b'/').take(count).enumerate() {
        let state = states[at];
        if state & !(LINK | PROVEN | UNLISTED) != 0 {
            return Err(RecordError::State(state).into());
        }
        let hash = (state & PROVEN != 0).then(|| hashes.next().and_then(|hash| hash.try_into().ok()));
        let hash = hash.map(|hash| hash.map(Blake3Digest).ok_or(RecordError::Columns)).transpose()?;
        let problem =
            (state & UNLISTED != 0).then(|| problems.next().ok_or(RecordError::Columns).and_then(decode_problem));
        directories.push(Directory {
            parent: DirectoryIndex(parents[at]),
            name: if name.is_empty() { None } else { Some(Name::new(name).map_err(RecordError::from)?) },
            link: state & LINK != 0,
            files: files[at],
            bytes: bytes[at],
            metadata: SubtreeHash::from(hash),
            unlisted: problem.transpose()?,
        });
    }
    if hashes.next().is_some() || !hashes.remainder().is_empty() || problems.next().is_some() {
        return Err(RecordError::Columns.into());
    }
    Ok(directories)
}

/// Why columns are no directories.
#[derive(Debug, thiserror::Error)]
pub enum DirectoriesError {
    /// A column is not what it should be.
    #[error(transparent)]
    Columns(#[from] TaggedError),
    /// More directories than a record may have.
    #[error("{0} directories in one record are more than {MAX_DIRECTORIES_IN_A_RECORD}")]
    TooMany(usize),
    /// The columns do not make directories.
    #[error(transparent)]
    Record(#[from] RecordError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Problem, Reason};

    fn sample() -> Vec<Directory> {
        let directory = |parent, name: &[u8]| Directory {
            parent: DirectoryIndex(parent),
            name: Name::new(name).ok(),
            link: false,
            files: 3,
            bytes: 1 << 40,
            metadata: SubtreeHash::Proven(Blake3Digest([7; 32])),
            unlisted: None,
        };
        let problem = Some(Problem::new(Reason::Unreadable, "no"));
        vec![
            directory(0, b""),
            Directory { link: true, ..directory(0, b"a") },
            Directory { metadata: SubtreeHash::Unproven, unlisted: problem, ..directory(0, b"\xff") },
        ]
    }

    fn shown(directories: &[Directory]) -> String {
        format!("{directories:?}")
    }

    fn read(bytes: &[u8]) -> Result<Vec<Directory>, DirectoriesError> {
        decode_directories(&mut Reader::<4096>::new(bytes)?)
    }

    #[test]
    fn every_state_survives_the_way_there_and_back() {
        for directories in [sample(), sample()[..1].to_vec(), Vec::new()] {
            let bytes = encode_directories(directories.iter(), Writer::default()).finish();
            assert_eq!(shown(&read(&bytes).unwrap()), shown(&directories));
        }
    }

    /// A few bytes for each on the wire, some hundred in memory.
    #[test]
    fn a_record_of_very_many_directories_is_refused_before_they_are_made() {
        let many = |count: usize| {
            let record = Writer::default()
                .with(PARENTS, &vec![0_u32; count])
                .with_bytes(NAMES, vec![b'/'; count - 1])
                .with_bytes(STATES, vec![0; count])
                .with(FILES, &vec![0_u64; count])
                .with(BYTES, &vec![0_u64; count]);
            let record = record.with_bytes(METADATA, []).with(PROBLEMS, &Vec::<ProblemColumn>::new()).finish();
            decode_directories(&mut Reader::<{ 8 << 20 }>::new(&record)?).map(|directories| directories.len())
        };
        assert_eq!(many(MAX_DIRECTORIES_IN_A_RECORD).unwrap(), MAX_DIRECTORIES_IN_A_RECORD);
        let refused = many(MAX_DIRECTORIES_IN_A_RECORD + 1);
        assert!(matches!(refused, Err(DirectoriesError::TooMany(65_537))), "{refused:?}");
    }

    #[test]
    fn columns_that_do_not_fit_together_are_refused() {
        let bytes = encode_directories(sample().iter(), Writer::default()).finish();
        for (tag, payload) in [
            (PARENTS, vec![2, 0, 0]),
            (NAMES, b"/a".to_vec()),
            (NAMES, b"/a/../x".to_vec()),
            (NAMES, b"/a/..".to_vec()),
            (STATES, vec![2, 3]),
            (STATES, vec![2, 3, 8]),
            (STATES, vec![2, 3, 6]),
            (FILES, vec![1, 1]),
            (BYTES, vec![0]),
            (METADATA, vec![7; 63]),
            (METADATA, vec![7; 96]),
            (PROBLEMS, vec![0]),
            (PROBLEMS, vec![1, 9, 0]),
        ] {
            let mut reader = Reader::<4096>::new(&bytes).unwrap();
            let mut spoilt = Writer::default();
            for known in PARENTS..=PROBLEMS {
                let own = reader.bytes(known).unwrap();
                spoilt = spoilt.with_bytes(known, if known == tag { payload.clone() } else { own });
            }
            assert!(read(&spoilt.finish()).is_err(), "column {tag}: {payload:?}");
        }
    }
}
