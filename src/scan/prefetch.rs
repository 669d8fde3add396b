//! Small files, read several at a time by one thread.
//!
//! A disk gives many small reads a second only where it has many to choose from, and a thread for each costs more than the reads. So a
//! thread opens some files of a directory one after another and reads what the page cache holds of them; of each that would wait for the
//! disk the system is left fetching the bytes, and they are read once all are asked for.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::blocks::ReadFailure;
use super::context::Context;
use super::engine::ReadMode;
use super::identity::{FileIdentity, Look};
use super::page_cache::{Pace, drop_fetched};
use super::places::Places;
use super::steady::{ReadError, Since, since_the_walk};

/// The largest file that is read in this way, in bytes: what systems read ahead of a file by default.
const SMALL_BYTES: u64 = 128 * 1024;

/// How many bytes a thread has fetched for it at a time, but for one file more.
const JOB_BYTES: u64 = 1024 * 1024;

/// How many small files of one directory one thread reads together.
pub(super) const FILES_PER_JOB: usize = 32;

/// A read that began.
pub enum Begun<T> {
    /// It is over.
    Done(T),
    /// It would wait for a disk.
    Pending(Prefetched),
}

impl<T> Begun<T> {
    /// The same with another outcome.
    pub fn map<U>(self, then: impl FnOnce(T) -> U) -> Begun<U> {
        match self {
            Self::Done(value) => Begun::Done(then(value)),
            Self::Pending(prefetched) => Begun::Pending(prefetched),
        }
    }
}

/// An open file of which the system fetches what the page cache lacks.
pub struct Prefetched {
    /// `None` once it is read.
    file: Option<File>,
    places: Arc<Places>,
}

impl Prefetched {
    /// Gives the file back where no place is left.
    fn hold(file: File, places: &Arc<Places>) -> Result<Self, File> {
        if !places.take() {
            return Err(file);
        }
        Ok(Self { file: Some(file), places: Arc::clone(places) })
    }

    fn into_file(mut self) -> Option<File> {
        self.file.take()
    }
}

impl Drop for Prefetched {
    /// What was fetched for nobody is dropped from the page cache, as far as it has come by now.
    fn drop(&mut self) {
        self.places.give_back();
        self.file.iter().for_each(drop_fetched);
    }
}

/// Whether a file of this size is read together with others. With a limit every read is paid for before it begins.
pub(super) fn is_small(size: u64, context: &Context) -> bool {
    let engine = context.engine();
    (1..=SMALL_BYTES).contains(&size) && engine.mode() == ReadMode::PageCache && engine.limit().is_none()
}

/// Begins to read a small file that did not change since the walk looked at it, or ends that where it was `held`. Where anything is
/// not as it was, `otherwise` finds out what that is.
pub(super) fn small_file<T>(
    (size, seen): (u64, Look),
    held: Option<Prefetched>,
    context: &Context,
    open: impl FnOnce() -> io::Result<File>,
    read: impl Fn(&File, u64, Pace) -> Result<T, ReadFailure>,
    otherwise: impl FnOnce() -> Result<(T, FileIdentity), ReadError>,
) -> Begun<Result<(T, FileIdentity), ReadError>> {
    let (file, mut pace) = match held {
        Some(held) => (held.into_file(), Pace::Fetched),
        None => (open().ok(), Pace::AtOnce),
    };
    let Some(mut file) = file else { return Begun::Done(otherwise()) };
    loop {
        return match since_the_walk(&file, (size, seen), context, |file, size| read(file, size, pace)) {
            Since::Unchanged(value, identity) => Begun::Done(Ok((value, identity))),
            Since::Cancelled => {
                if pace == Pace::Fetched {
                    drop_fetched(&file);
                }
                Begun::Done(Err(ReadError::Cancelled))
            }
            Since::WouldWait => match Prefetched::hold(file, context.engine().places()) {
                Ok(held) => Begun::Pending(held),
                Err(back) => {
                    (file, pace) = (back, Pace::Fetched);
                    continue;
                }
            },
            Since::Otherwise => {
                drop(file);
                Begun::Done(otherwise())
            }
        };
    }
}

/// The files of a directory as jobs, by their positions: small ones that stand side by side are read together, and every other one is a
/// job of its own, so that large files have a thread each. `alone` where no read may be left pending.
pub fn jobs(sizes: impl Iterator<Item = u64>, alone: bool, context: &Context) -> Vec<Range<usize>> {
    let mut jobs: Vec<Range<usize>> = Vec::new();
    let (mut joins, mut bytes) = (false, 0);
    for (at, size) in sizes.enumerate() {
        let small = !alone && is_small(size, context);
        match jobs.last_mut() {
            Some(job) if joins && small && job.len() < FILES_PER_JOB && bytes < JOB_BYTES => {
                job.end = at + 1;
                bytes += size;
            }
            _ => {
                jobs.push(at..at + 1);
                bytes = size;
            }
        }
        joins = small;
    }
    jobs
}

/// Reads the files of one job: begins each, and ends those that were left pending in the order they were begun. `read` gets the position
/// of each, and once more together with what it left pending; the outcomes stand beside theirs. Ends with the first error.
pub fn read_job<T, E>(
    job: Range<usize>,
    context: &Context,
    read: impl Fn(usize, Option<Prefetched>) -> Result<Begun<T>, E>,
) -> Result<Vec<(usize, T)>, E> {
    let (mut done, mut pending) = (Vec::with_capacity(job.len()), Vec::new());
    for at in job {
        match read(at, None)? {
            Begun::Done(value) => done.push((at, value)),
            Begun::Pending(held) => pending.push((at, held)),
        }
    }
    let _fetching = (!pending.is_empty()).then(|| context.fetching(pending.len()));
    for (at, held) in pending {
        let mut begun = read(at, Some(held))?;
        loop {
            match begun {
                Begun::Done(value) => break done.push((at, value)),
                Begun::Pending(held) => begun = read(at, Some(held))?,
            }
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests;
