//! Reading a file so that its digest can be recorded, and recording it.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::blocks::ReadFailure;
use super::cache::CacheView;
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

    /// Whether a digest of the file can be recorded at all.
    pub(super) fn can_record(&self, name: &Name, identity: &FileIdentity) -> bool {
        // A link may lead to another device, of which nothing is known here.
        let can = self.view.telling_device(self.directory) == Some(identity.device);
        if !can {
            self.refused(name, Refusal::FileSystem);
        }
        can
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
        let read = |file: &std::fs::File, size| match Lease::take(file) {
            Ok(lease) => {
                let digest = hash_leased_file(file, size, &lease, self.context)?;
                lease.end();
                Ok((digest, lease.undisturbed()))
            }
            Err(refusal) => {
                if refusal.lasts() {
                    self.refused(name, refusal);
                }
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
    pub(super) fn record(&self, name: &Name, read: &Read) {
        match read.undisturbed {
            Ok(()) if self.can_record(name, &read.identity) => {
                self.view.record(&read.identity, read.digest, read.began)
            }
            Ok(()) => self.context.progress.unrecordable(),
            Err(refusal) if refusal.lasts() => self.context.progress.unrecordable(),
            Err(_) => {}
        }
    }

    /// Said once for each cause: it is the same for most files.
    fn refused(&self, name: &Name, refusal: Refusal) {
        static SAID: [AtomicBool; 2] = [AtomicBool::new(false), AtomicBool::new(false)];
        if !SAID[usize::from(refusal == Refusal::NotOwner)].swap(true, Relaxed) {
            tracing::warn!(file = %name, %refusal, "digests of such files are not recorded, and never trusted");
        }
    }
}
