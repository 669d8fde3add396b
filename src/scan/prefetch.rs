//! Small files, read several at a time by one thread.
//!
//! A disk gives many small reads a second only where it has many to choose from, and a thread for each costs more than the reads. So a
//! thread opens some files of a directory one after another and reads what the page cache holds of them; of each that would wait for the
//! disk the system is left fetching the bytes, and they are read once all are asked for.

use std::fs::File;
use std::io;
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
const BATCH_BYTES: u64 = 1024 * 1024;

/// How many small files of one directory one thread reads together.
pub const FILES_PER_JOB: usize = 32;

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
    bytes: u64,
    places: Arc<Places>,
}

impl Prefetched {
    /// Gives the file back where no place is left.
    fn hold(file: File, bytes: u64, places: &Arc<Places>) -> Result<Self, File> {
        if !places.take() {
            return Err(file);
        }
        Ok(Self { file: Some(file), bytes, places: Arc::clone(places) })
    }

    fn into_file(mut self) -> Option<File> {
        self.file.take()
    }
}

impl Drop for Prefetched {
    /// What was fetched for nobody is not left in the page cache.
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
            Since::Cancelled => Begun::Done(Err(ReadError::Cancelled)),
            Since::WouldWait => match Prefetched::hold(file, size, context.engine().places()) {
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

/// The outcomes of `count` reads in their order. `read` gets the number of each, and once more together with what it left pending.
/// Ends with the first error.
pub fn in_batches<T, E>(
    count: usize,
    context: &Context,
    read: impl Fn(usize, Option<Prefetched>) -> Result<Begun<T>, E>,
) -> Result<Vec<T>, E> {
    let mut done: Vec<Option<T>> = Vec::new();
    done.resize_with(count, || None);
    let (mut pending, mut bytes) = (Vec::new(), 0);
    for at in 0..count {
        match read(at, None)? {
            Begun::Done(value) => done[at] = Some(value),
            Begun::Pending(held) => {
                bytes += held.bytes;
                pending.push((at, held));
            }
        }
        if bytes >= BATCH_BYTES || at + 1 == count {
            if !pending.is_empty() {
                context.prefetching();
            }
            bytes = 0;
            for (at, held) in pending.drain(..) {
                let mut begun = read(at, Some(held))?;
                while let Begun::Pending(held) = begun {
                    begun = read(at, Some(held))?;
                }
                if let Begun::Done(value) = begun {
                    done[at] = Some(value);
                }
            }
        }
    }
    Ok(done.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests;
