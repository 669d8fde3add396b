//! Reading a file so that its digest can be recorded, and recording it.

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::fs::fstat;

use super::blocks::ReadFailure;
use super::cache::{CacheView, settled};
use super::clock::now_nanos;
use super::context::Context;
use super::identity::FileIdentity;
use super::lease::{Lease, Refusal};
use super::read::{hash_leased_file, hash_open_file};
use super::steady::{Expected, ReadError, opener, steadily};
use crate::model::{Blake3Digest, Name};

/// Records the digests of the files of one open directory.
pub(super) struct Recorder<'a> {
    directory: BorrowedFd<'a>,
    view: &'a CacheView<'a>,
    context: &'a Context,
}

/// What was read.
pub(super) struct Read {
    pub digest: Blake3Digest,
    pub identity: FileIdentity,
    began: i128,
    /// Whether nobody could write meanwhile.
    undisturbed: Result<(), Refusal>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(directory: BorrowedFd<'a>, view: &'a CacheView<'a>, context: &'a Context) -> Self {
        Self { directory, view, context }
    }

    /// Whether the digest of a file like this can be recorded, where nobody writes to it.
    pub(super) fn can_record(&self, name: &Name, identity: &FileIdentity) -> bool {
        let hindrance = self.hindrance(identity, now_nanos());
        hindrance.iter().for_each(|refusal| self.say(name, *refusal));
        hindrance.is_none()
    }

    fn hindrance(&self, identity: &FileIdentity, began: i128) -> Option<Refusal> {
        if !identity.is_regular() {
            Some(Refusal::Unsettled)
        } else if self.view.telling_device(self.directory) != Some(identity.device) {
            // A link may lead to another device, of which nothing is known here.
            Some(Refusal::FileSystem)
        } else if !settled(identity, began) {
            Some(Refusal::Unsettled)
        } else {
            (!self.view.is_current()).then_some(Refusal::Dropped)
        }
    }

    /// A lease on the open file, where it is of any use: whoever wants to write waits for it.
    fn lease<'f>(&self, file: &'f File, began: i128) -> Result<Lease<'f>, Refusal> {
        let stat = fstat(file).map_err(|_| Refusal::Unsettled)?;
        match self.hindrance(&FileIdentity::of(&stat), began) {
            Some(refusal) => Err(refusal),
            None => Lease::take(file),
        }
    }

    /// Reads a file for its digest. Where it could be written meanwhile the digest is as good as any, now.
    pub(super) fn read(&self, name: &Name, expected: Expected) -> Result<Read, ReadError> {
        self.read_by(name, expected, Ok)
    }

    /// Reads a file for its record alone, and so not where it could be written meanwhile.
    pub(super) fn read_to_record(&self, name: &Name, expected: Expected) -> Result<Read, ReadError> {
        let refuse = |refusal: Refusal| Err(ReadFailure::Io(std::io::Error::other(refusal.to_string())));
        self.read_by(name, expected, refuse)
    }

    fn read_by(
        &self,
        name: &Name,
        expected: Expected,
        refused: impl Fn(Refusal) -> Result<Refusal, ReadFailure>,
    ) -> Result<Read, ReadError> {
        let began = now_nanos();
        let read = |file: &File, size| match self.lease(file, began) {
            Ok(lease) => {
                let digest = hash_leased_file(file, size, &lease, self.context)?;
                Ok((digest, lease.undisturbed()))
            }
            Err(refusal) => {
                self.say(name, refusal);
                let refusal = refused(refusal)?;
                Ok((hash_open_file(file, size, &[], self.context)?.blake3, Err(refusal)))
            }
        };
        // Written after the lease ended, and before the second look, it is another file than before.
        let read = steadily(Some(expected), self.context, opener(self.directory, name, self.context), read);
        let ((digest, undisturbed), identity) = read?;
        Ok(Read { digest, identity, began, undisturbed })
    }

    /// Records what was read, where it can stand for the file from now on: nobody could write to it during the read, and whoever writes
    /// to it later leaves a trace in its times.
    pub(super) fn record(&self, read: &Read) {
        match read.undisturbed {
            Ok(()) => self.view.record(&read.identity, read.digest, read.began),
            Err(refusal) if refusal.lasts() => self.context.progress.unrecordable(),
            Err(_) => {}
        }
    }

    /// What lasts is said once for each cause: it is the same for most files.
    fn say(&self, name: &Name, refusal: Refusal) {
        static SAID: [AtomicBool; 2] = [AtomicBool::new(false), AtomicBool::new(false)];
        if refusal.lasts() && !SAID[usize::from(refusal == Refusal::NotOwner)].swap(true, Relaxed) {
            tracing::warn!(file = %name, %refusal, "digests of such files are not recorded, and never trusted");
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::model::CacheMode;
    use crate::scan::cache::DigestCache;
    use crate::scan::file_system::telling_device;
    use crate::scan::steady::look_at;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    /// As if the read began so much later than it does.
    const LATER: i128 = 10_000_000_000;

    #[test]
    fn a_lease_is_taken_only_where_the_digest_could_be_recorded() {
        let dir = tempfile::tempdir_in("target").or_else(|_| tempfile::tempdir()).unwrap();
        let open = File::open(dir.path()).unwrap();
        if telling_device(open.as_fd()).is_none() {
            return crate::material::missing("leases", "the build lies where nothing can be recorded");
        }
        let cache = DigestCache::open(&dir.path().join("state"), CacheMode::Trust, Duration::from_secs(60)).unwrap();
        let (view, context) = (cache.view().unwrap(), Context::default());
        let recorder = Recorder::new(open.as_fd(), &view, &context);
        std::fs::write(dir.path().join("file"), b"bytes").unwrap();
        let opened = |name: &str| File::open(dir.path().join(name)).unwrap();
        let (file, now) = (opened("file"), now_nanos());
        assert_eq!(recorder.lease(&file, now).err(), Some(Refusal::Unsettled));
        assert_eq!(recorder.lease(&file, now + LATER).err(), None);
        assert_eq!(recorder.lease(&opened("."), now + LATER).err(), Some(Refusal::Unsettled));
        if let Ok(memory) = tempfile::NamedTempFile::new_in("/dev/shm") {
            symlink(memory.path(), dir.path().join("link")).unwrap();
            assert_eq!(recorder.lease(&opened("link"), now + LATER).err(), Some(Refusal::FileSystem));
        }
        view.discredit();
        assert_eq!(recorder.lease(&file, now + LATER).err(), Some(Refusal::Dropped));
    }

    /// What passes is not counted among what will be read every time.
    #[test]
    fn what_can_never_be_recorded_is_counted_and_what_is_too_young_is_not() {
        let dir = tempfile::tempdir_in("target").or_else(|_| tempfile::tempdir()).unwrap();
        let Ok(memory) = tempfile::NamedTempFile::new_in("/dev/shm") else {
            return crate::material::missing("shm", "a file system in memory at /dev/shm");
        };
        std::fs::write(dir.path().join("file"), b"bytes").unwrap();
        symlink(memory.path(), dir.path().join("link")).unwrap();
        let cache = DigestCache::open(&dir.path().join("state"), CacheMode::Trust, Duration::from_secs(60)).unwrap();
        let (open, view, context) = (File::open(dir.path()).unwrap(), cache.view().unwrap(), Context::default());
        let recorder = Recorder::new(open.as_fd(), &view, &context);
        if telling_device(open.as_fd()).is_none() {
            return crate::material::missing("leases", "the build lies where nothing can be recorded");
        }
        for (name, unrecordable) in [("file", 0), ("link", 1)] {
            let name = Name::new(name.as_bytes()).unwrap();
            let of = look_at(open.as_fd(), &name).unwrap();
            let expected = Expected { size: of.size(), modified_ms: of.modified_ms().unwrap(), look: Some(of.look()) };
            recorder.record(&recorder.read(&name, expected).unwrap_or_else(|error| panic!("{error:?}")));
            assert_eq!(context.progress.provenance().unrecordable_files, unrecordable, "{name}");
            assert!(
                recorder.read_to_record(&name, expected).is_err(),
                "{name} is not read for a record it cannot have"
            );
        }
    }
}
