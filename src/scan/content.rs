//! What is known of one file's bytes: by reading it, by an earlier read, or by another of its names.

use std::os::fd::BorrowedFd;

use super::cache::CacheView;
use super::context::Context;
use super::digest_file::hash_begun;
use super::digests::FileDigests;
use super::identity::FileIdentity;
use super::prefetch::{Begun, Prefetched};
use super::recording::Recorder;
use super::steady::{Expected, ReadError, hash_identified, look_at};
use crate::model::{Blake3Digest, DigestAlgorithm, Name};

/// A file's digest, and the state of the file it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileContent {
    /// The BLAKE3 of its bytes.
    pub digest: Blake3Digest,
    /// What the file was then.
    pub identity: FileIdentity,
    /// It was not read now: an earlier read is trusted.
    pub trusted: bool,
}

/// Why a file's content is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentError {
    /// It could not be read.
    Read(ReadError),
    /// Its bytes are not those of its recorded digest, though nothing says that it changed: no recorded digest can be
    /// believed, and all were dropped.
    Discredited,
}

impl From<ReadError> for ContentError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// The content of the file `name` in the open directory, which the walk saw as `expected`.
///
/// Where recorded digests are used and there is one of exactly this file, it is trusted, or checked by reading the file;
/// otherwise the file is read, and its digest recorded where it can stand for the file from then on. The read of a small file may be left
/// pending; it ends with what is then `held`.
pub fn file_content(
    directory: BorrowedFd<'_>,
    name: &Name,
    expected: Expected,
    recorded: Option<&CacheView<'_>>,
    held: Option<Prefetched>,
    context: &Context,
) -> Begun<Result<FileContent, ContentError>> {
    match recorded {
        // A lease keeps writers waiting, and so is not held while further files are begun.
        Some(view) => Begun::Done(recorded_content(directory, name, expected, view, context)),
        None => hash_begun(directory, name, expected, held, context).map(|read| {
            let (digests, identity) = read?;
            Ok(FileContent { digest: digests.blake3, identity, trusted: false })
        }),
    }
}

fn recorded_content(
    directory: BorrowedFd<'_>,
    name: &Name,
    expected: Expected,
    view: &CacheView<'_>,
    context: &Context,
) -> Result<FileContent, ContentError> {
    let known = match view.is_asked() {
        true => look(directory, name, expected).and_then(|identity| Some((identity, view.digest(&identity)?))),
        false => None,
    };
    if let Some((identity, digest)) = known
        && !view.reads_recorded(&identity)
    {
        context.progress.trusted(identity.size());
        return Ok(FileContent { digest, identity, trusted: true });
    }
    let recorder = Recorder::new(directory, view, context);
    let read = recorder.read(name, expected)?;
    if let Some((before, recorded)) = known
        && before == read.identity
    {
        if recorded != read.digest {
            view.discredit();
            return Err(ContentError::Discredited);
        }
        context.progress.audited();
    }
    recorder.record(&read);
    Ok(FileContent { digest: read.digest, identity: read.identity, trusted: false })
}

/// Reads a file whatever is recorded of it, with another digest besides: the evidence for a difference. A record that proves
/// wrong takes all others with it.
pub fn file_evidence(
    directory: BorrowedFd<'_>,
    name: &Name,
    expected: Expected,
    also: DigestAlgorithm,
    recorded: Option<&CacheView<'_>>,
    context: &Context,
) -> Result<FileDigests, ReadError> {
    let (digests, identity) = hash_identified(directory, name, expected, &[also], context)?;
    if let Some(view) = recorded
        && view.digest(&identity).is_some_and(|recorded| recorded != digests.blake3)
    {
        tracing::error!(file = %name, "a recorded digest is wrong; all are dropped");
        view.discredit();
    }
    Ok(digests)
}

/// The content of a further name of a file whose content is known; `None` where it is no longer that file in that state,
/// and so has to be read.
pub fn linked_content(
    directory: BorrowedFd<'_>,
    name: &Name,
    expected: Expected,
    known: &FileContent,
    context: &Context,
) -> Option<FileContent> {
    let same = look(directory, name, expected)? == known.identity;
    same.then(|| {
        match known.trusted {
            true => context.progress.trusted(known.identity.size()),
            false => context.progress.linked(known.identity.size()),
        }
        *known
    })
}

/// The file as it is now; `None` where it is not what the walk saw.
fn look(directory: BorrowedFd<'_>, name: &Name, expected: Expected) -> Option<FileIdentity> {
    look_at(directory, name).filter(|identity| identity.is_regular() && expected.fits(identity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CacheMode;
    use crate::scan::cache::DigestCache;
    use crate::scan::clock::now_nanos;
    use std::os::fd::AsFd as _;
    use std::time::Duration;

    const WRONG: Blake3Digest = Blake3Digest([7; 32]);

    /// A directory with the file `f`, of which a wrong digest is recorded.
    fn wrongly_recorded(mode: CacheMode) -> (tempfile::TempDir, DigestCache, FileIdentity) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), b"bytes").unwrap();
        let identity = FileIdentity::of(&rustix::fs::stat(dir.path().join("f")).unwrap());
        let cache = DigestCache::open(&dir.path().join("state"), mode, Duration::from_secs(3600)).unwrap();
        // As if the file had been read long after it was written.
        cache.view().unwrap().record(&identity, WRONG, now_nanos() + 10_000_000_000);
        cache.flush();
        (dir, cache, identity)
    }

    fn content(dir: &tempfile::TempDir, cache: &DigestCache, of: &FileIdentity) -> Result<FileContent, ContentError> {
        let open = std::fs::File::open(dir.path()).unwrap();
        let expected = Expected { size: of.size(), modified_ms: of.modified_ms().unwrap(), look: None };
        let name = Name::new(b"f").unwrap();
        recorded_content(open.as_fd(), &name, expected, &cache.view().unwrap(), &Context::default())
    }

    #[test]
    fn an_audit_finds_what_trust_believes_and_recording_reads() {
        let (dir, cache, identity) = wrongly_recorded(CacheMode::Trust);
        let trusting = content(&dir, &cache, &identity).unwrap();
        assert_eq!((trusting.digest, trusting.trusted), (WRONG, true));

        let (dir, cache, identity) = wrongly_recorded(CacheMode::Record);
        let reading = content(&dir, &cache, &identity).unwrap();
        assert_eq!((reading.digest, reading.trusted), (blake3::hash(b"bytes").into(), false));

        let (dir, cache, identity) = wrongly_recorded(CacheMode::Audit(100));
        assert_eq!(content(&dir, &cache, &identity), Err(ContentError::Discredited));
        assert_eq!(cache.view().unwrap().digest(&identity), None, "nothing is believed any more");
        assert!(content(&dir, &cache, &identity).is_ok());
    }

    #[test]
    fn evidence_is_read_and_finds_a_wrong_record() {
        let (dir, cache, identity) = wrongly_recorded(CacheMode::Trust);
        let open = std::fs::File::open(dir.path()).unwrap();
        let expected = Expected { size: identity.size(), modified_ms: identity.modified_ms().unwrap(), look: None };
        let (name, view) = (Name::new(b"f").unwrap(), cache.view());
        let context = Context::default();
        let evidence = file_evidence(open.as_fd(), &name, expected, DigestAlgorithm::Md5, view.as_ref(), &context);
        assert_eq!(evidence.unwrap().blake3, blake3::hash(b"bytes").into());
        assert_eq!(cache.view().unwrap().digest(&identity), None);
        assert_eq!(view.unwrap().digest(&identity), None, "nor is it in what was seen before");
    }

    /// The walk saw another file than there is now: its record is not asked.
    #[test]
    fn a_record_of_another_file_than_the_walk_saw_is_not_used() {
        let (dir, cache, identity) = wrongly_recorded(CacheMode::Trust);
        let grown = FileIdentity { size: 6, ..identity };
        assert!(matches!(content(&dir, &cache, &grown), Err(ContentError::Read(ReadError::Problem(_)))));
    }
}
