//! The digest of one file, between two looks that are the same. Where it would wait for a disk, the read of a small one can be left pending.

use std::fs::File;
use std::os::fd::BorrowedFd;

use super::context::Context;
use super::digests::FileDigests;
use super::identity::{FileIdentity, Look};
use super::page_cache::Pace;
use super::prefetch::{Begun, Prefetched, is_small, small_file};
use super::read::{digest_open_file, hash_small_file};
use super::steady::{Expected, ReadError, between_looks, hash_identified, opener};
use crate::model::{ContentDigest, HashAlgorithm, Name};

/// A digest other than BLAKE3 of the file `name`, as the per-file protocol and checksum lists compare them: of the file of exactly the `listed` size and
/// look and of no other one, for the metadata that was compared is that file's. A small file's read may be left pending; it ends with what
/// is then `held`.
pub fn digest_file(
    directory: BorrowedFd<'_>,
    name: &Name,
    listed: (u64, Look),
    algorithm: impl Into<HashAlgorithm>,
    held: Option<Prefetched>,
    context: &Context,
) -> Begun<Result<ContentDigest, ReadError>> {
    let algorithm = algorithm.into();
    let read = |file: &File, size, pace| digest_open_file(file, size, algorithm, pace, context);
    let is_listed = |identity: &FileIdentity| identity.look() == listed.1;
    let open = opener(directory, name, context);
    let otherwise = || between_looks(is_listed, context, &open, |file, size| read(file, size, Pace::Waiting));
    let begun = match is_small(listed.0, context) {
        true => small_file(listed, held, context, &open, read, otherwise),
        false => Begun::Done(otherwise()),
    };
    begun.map(|read| read.map(|(digest, _)| digest))
}

/// The BLAKE3 of the file `name` as [`hash_identified`] gives it, but the read of a small file may be left pending; it ends with what is
/// then `held`.
pub(super) fn hash_begun(
    directory: BorrowedFd<'_>,
    name: &Name,
    expected: Expected,
    held: Option<Prefetched>,
    context: &Context,
) -> Begun<Result<(FileDigests, FileIdentity), ReadError>> {
    let ordinary = || hash_identified(directory, name, expected, &[], context);
    match expected.look.filter(|_| is_small(expected.size, context)) {
        None => Begun::Done(ordinary()),
        Some(look) => {
            let read = |file: &File, size, pace| hash_small_file(file, size, pace, context);
            let open = opener(directory, name, context);
            let otherwise = || hash_identified(directory, name, Expected { look: None, ..expected }, &[], context);
            small_file((expected.size, look), held, context, open, read, otherwise)
        }
    }
}
