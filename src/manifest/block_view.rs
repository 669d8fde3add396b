//! The files of a block one by one where they stand, so that a large directory, or what a peer says is one, is never unpacked
//! as a whole.

use std::cmp::Ordering;

use super::block::{BLAKE3, BlockError, MAX_BLOCK_BYTES, NAMES, PROBLEMS, SIZES, STATES, TIMES, encode_block};
use super::codec::Elements;
use super::compare::leaves_differ;
use super::record::{DIGEST, NOT_READ, RecordError, UNLISTABLE, UNVERIFIED, decode_problem};
use super::tagged::Reader;
use crate::model::{Blake3Digest, Content, FileEntry, Listed, Name, check_name};

/// A file of a block.
pub(super) struct FileView<'a> {
    pub name: &'a [u8],
    /// With a problem that is unpacked already.
    pub listed: Listed,
}

impl FileView<'_> {
    pub(super) fn entry(self) -> Result<FileEntry, RecordError> {
        Ok(FileEntry { name: Name::new(self.name)?, listed: self.listed })
    }
}

/// The files of a block in their order, checked as they come: names valid and in ascending order, columns that fit together.
/// Nothing is true of a block whose last file was not reached.
pub(super) struct FileViews<'a> {
    /// What is left of the names, which are joined by `/`; none where the last was taken.
    names: Option<&'a [u8]>,
    last: Option<&'a [u8]>,
    states: &'a [u8],
    sizes: Elements<'a, u64>,
    times: Elements<'a, i64>,
    digests: &'a [u8],
    problems: Elements<'a, (u8, &'a str)>,
}

impl<'a> FileViews<'a> {
    /// The files of a block.
    pub(super) fn of(bytes: &'a [u8]) -> Result<Self, BlockError> {
        if bytes.len() > MAX_BLOCK_BYTES {
            return Err(BlockError::TooLarge(bytes.len()));
        }
        let mut columns = Reader::<MAX_BLOCK_BYTES>::new(bytes)?;
        let (names, states) = (columns.slice(NAMES)?, columns.slice(STATES)?);
        let views = Self {
            names: (!states.is_empty() || !names.is_empty()).then_some(names),
            last: None,
            states,
            sizes: Elements::new(columns.slice(SIZES)?)?,
            times: Elements::new(columns.slice(TIMES)?)?,
            digests: columns.slice(BLAKE3)?,
            problems: Elements::new(columns.slice(PROBLEMS)?)?,
        };
        columns.finish()?;
        let count = states.len() as u64;
        match (views.sizes.left(), views.times.left()) == (count, count) {
            true => Ok(views),
            false => Err(RecordError::Columns.into()),
        }
    }

    /// The next file; none after the last, and only where nothing is left over.
    pub(super) fn take(&mut self) -> Result<Option<FileView<'a>>, BlockError> {
        let Some((state, states)) = self.states.split_first() else {
            self.finish()?;
            return Ok(None);
        };
        self.states = states;
        let name = self.name()?;
        let sizes = (self.sizes.take()?, self.times.take()?);
        let (Some(size), Some(modified_ms)) = sizes else { return Err(RecordError::Columns.into()) };
        let content = match *state {
            DIGEST => {
                let (digest, rest) = self.digests.split_first_chunk().ok_or(RecordError::Columns)?;
                self.digests = rest;
                Content::Digest(Blake3Digest(*digest))
            }
            NOT_READ => Content::NotRead,
            state @ (UNVERIFIED | UNLISTABLE) => {
                let (reason, detail) = self.problems.take()?.ok_or(RecordError::Columns)?;
                let problem = decode_problem((reason, detail.to_owned()))?;
                if state == UNLISTABLE && (size, modified_ms) != (0, 0) {
                    return Err(RecordError::Unexamined.into());
                }
                if state == UNLISTABLE {
                    return Ok(Some(FileView { name, listed: Listed::Unlistable(problem) }));
                }
                Content::Unverified(problem)
            }
            state => return Err(RecordError::State(state).into()),
        };
        Ok(Some(FileView { name, listed: Listed::File { size, modified_ms, content } }))
    }

    fn name(&mut self) -> Result<&'a [u8], RecordError> {
        let names = self.names.ok_or(RecordError::Columns)?;
        let (name, rest) = match names.iter().position(|byte| *byte == b'/') {
            Some(end) => (&names[..end], Some(&names[end + 1..])),
            None => (names, None),
        };
        check_name(name)?;
        if self.last.is_some_and(|last| last >= name) {
            return Err(RecordError::Order);
        }
        (self.names, self.last) = (rest, Some(name));
        Ok(name)
    }

    fn finish(&self) -> Result<(), BlockError> {
        if self.names.is_some() || !self.digests.is_empty() || self.problems.left() > 0 {
            return Err(RecordError::Columns.into());
        }
        let ends = [self.sizes.finish(), self.times.finish(), self.problems.finish()];
        Ok(ends.into_iter().collect::<Result<(), _>>()?)
    }
}

/// The files of a block, checked: names valid and in ascending order, columns that fit together.
pub fn decode_block(bytes: &[u8]) -> Result<Vec<FileEntry>, BlockError> {
    let mut views = FileViews::of(bytes)?;
    let mut files = Vec::with_capacity(views.states.len());
    while let Some(view) = views.take()? {
        files.push(view.entry()?);
    }
    Ok(files)
}

/// A sound block as several blocks of at most `files` consecutive files; ends early where it is not sound.
pub fn split_block(bytes: &[u8], files: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut views = FileViews::of(bytes).ok();
    std::iter::from_fn(move || {
        let views = views.as_mut()?;
        let page = (0..files).map_while(|_| views.take().ok().flatten()?.entry().ok()).collect::<Vec<_>>();
        (!page.is_empty()).then(|| encode_block(&page))
    })
}

/// The source's files that both sides list with the same metadata and with different digests: what is worth a second read. Both
/// are blocks, and neither is unpacked as a whole.
pub fn differing_files(source: &[u8], destination: &[u8]) -> Result<Vec<FileEntry>, BlockError> {
    let (mut ours, mut theirs) = (FileViews::of(source)?, FileViews::of(destination)?);
    let (mut our, mut their) = (ours.take()?, theirs.take()?);
    let mut differing = Vec::new();
    while let (Some(left), Some(right)) = (&our, &their) {
        match left.name.cmp(right.name) {
            Ordering::Less => our = ours.take()?,
            Ordering::Greater => their = theirs.take()?,
            Ordering::Equal => {
                let differs = leaves_differ(&left.listed, &right.listed);
                differing.extend(our.filter(|_| differs).map(FileView::entry).transpose()?);
                (our, their) = (ours.take()?, theirs.take()?);
            }
        }
    }
    // What is left of the peer's is checked all the same.
    while theirs.take()?.is_some() {}
    Ok(differing)
}

#[cfg(test)]
mod tests {
    use super::super::block::encode_records;
    use super::super::record::FileRecords;
    use super::*;
    use crate::model::{PathError, Problem, Reason};

    fn sample() -> Vec<FileEntry> {
        let problem = || Problem::new(Reason::Unreadable, "no");
        let listed = |content| Listed::File { size: 3, modified_ms: -4, content };
        [
            (&b"a"[..], listed(Content::Digest(Blake3Digest([9; 32])))),
            (b"b", listed(Content::NotRead)),
            (b"c", listed(Content::Unverified(problem()))),
            (b"\xff", Listed::Unlistable(problem())),
        ]
        .map(|(name, listed)| FileEntry { name: Name::new(name).unwrap(), listed })
        .to_vec()
    }

    #[test]
    fn every_state_survives_the_way_there_and_back() {
        assert_eq!(decode_block(&encode_block(&sample())).unwrap(), sample());
        assert_eq!(decode_block(&encode_block(&[])).unwrap(), []);
    }

    #[test]
    fn columns_that_do_not_fit_together_are_refused() {
        let refused = |spoil: fn(&mut FileRecords)| {
            let mut records = FileRecords::of(&sample());
            spoil(&mut records);
            match decode_block(&encode_records(records)) {
                Err(BlockError::Record(error)) => error,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(refused(|r| r.sizes.truncate(3)), RecordError::Columns);
        assert_eq!(refused(|r| r.digests.truncate(31)), RecordError::Columns);
        assert_eq!(refused(|r| r.digests.push(0)), RecordError::Columns);
        assert_eq!(refused(|r| r.problems.truncate(1)), RecordError::Columns);
        assert_eq!(refused(|r| r.problems.push((0, String::new()))), RecordError::Columns);
        assert_eq!(refused(|r| r.states[0] = 4), RecordError::State(4));
        assert_eq!(refused(|r| r.problems[0].0 = 5), RecordError::Reason(5));
        assert_eq!(refused(|r| r.sizes[3] = 1), RecordError::Unexamined);
        assert_eq!(refused(|r| r.times[3] = -1), RecordError::Unexamined);
        assert_eq!(refused(|r| r.names = b"b/a/c/d".to_vec()), RecordError::Order);
        assert_eq!(refused(|r| r.names = b"a/b/b/c".to_vec()), RecordError::Order);
        assert_eq!(refused(|r| r.names = b"a/b/c".to_vec()), RecordError::Columns);
        assert_eq!(refused(|r| r.names = b"../b/c/d".to_vec()), RecordError::Name(PathError::Dots));
        assert_eq!(refused(|r| r.names = b"a//b/c".to_vec()), RecordError::Name(PathError::EmptyName));
    }

    #[test]
    fn a_block_is_split_into_blocks_of_consecutive_files() {
        let block = encode_block(&sample());
        let pages: Vec<Vec<FileEntry>> = split_block(&block, 3).map(|page| decode_block(&page).unwrap()).collect();
        assert_eq!(pages, [&sample()[..3], &sample()[3..]]);
        assert_eq!(split_block(&encode_block(&[]), 3).count(), 0);
    }

    #[test]
    fn of_two_blocks_the_files_with_other_digests_differ_and_nothing_else() {
        let file = |name: &[u8], size, digest: Option<u8>| {
            let content = digest.map_or(Content::NotRead, |byte| Content::Digest(Blake3Digest([byte; 32])));
            FileEntry { name: Name::new(name).unwrap(), listed: Listed::File { size, modified_ms: 0, content } }
        };
        let ours = [
            file(b"a", 1, Some(1)),
            file(b"b", 1, Some(1)),
            file(b"d", 1, Some(1)),
            file(b"e", 1, None),
            file(b"f", 1, Some(1)),
            file(b"g", 1, Some(1)),
        ];
        let theirs = [
            file(b"a", 1, Some(1)),
            file(b"b", 1, Some(2)),
            file(b"c", 1, Some(2)),
            file(b"d", 2, Some(2)),
            file(b"e", 1, Some(2)),
            file(b"g", 1, Some(3)),
        ];
        let differing = |source: &[u8], destination: &[u8]| {
            let files = differing_files(source, destination)?;
            Ok::<_, BlockError>(files.iter().map(|file| file.name.to_string()).collect::<Vec<_>>().concat())
        };
        let (source, destination) = (encode_block(&ours), encode_block(&theirs));
        assert_eq!(differing(&source, &destination).unwrap(), "bg");
        assert_eq!(differing(&source, &encode_block(&[])).unwrap(), "");
        assert_eq!(differing(&encode_block(&[]), &destination).unwrap(), "");
        // A block is checked to its end, also behind the last file of the other.
        let mut unsound = FileRecords::of(&theirs);
        unsound.digests.push(0);
        assert!(differing(&encode_block(&ours[..1]), &encode_records(unsound)).is_err());
    }
}
