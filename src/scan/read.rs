//! Reading one open file and hashing it in blocks, a large one on several threads.
//!
//! BLAKE3 is a binary tree over 1 KiB chunks in which every left subtree is a power of two long, so subtrees of one
//! file can be hashed apart and merged; the result is the file's ordinary digest (BLAKE3 paper, section 2.1).

use std::fs::File;
use std::sync::atomic::Ordering::Relaxed;

use blake3::hazmat::{
    ChainingValue, HasherExt as _, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};

use super::blocks::{ReadFailure, Reader};
use super::buffer::BLOCK_BYTES;
use super::context::Context;
use super::digests::{BlockDigest, FileDigests, begin};
use super::lease::Lease;
use super::page_cache::Pace;
use crate::model::{Blake3Digest, ContentDigest, DigestAlgorithm, HashAlgorithm};

/// The largest piece of a file one thread hashes alone. A power of two of 1 KiB chunks, so that pieces are subtrees.
pub const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

/// Hashes the `size` bytes of `file` to its end with BLAKE3, and in the same pass with each of `also`. A file whose size reads 0
/// is read to its end all the same, and twice where it holds anything: nothing else tells whether it is steady.
///
/// The bytes counted into the progress are taken back where the read fails.
pub(super) fn hash_open_file(
    file: &File,
    size: u64,
    also: &[DigestAlgorithm],
    context: &Context,
) -> Result<FileDigests, ReadFailure> {
    hash(Reader::new(file, size, context), size, also)
}

/// The BLAKE3 of the same bytes of a small file, at this pace.
pub(super) fn hash_small_file(
    file: &File,
    size: u64,
    pace: Pace,
    context: &Context,
) -> Result<FileDigests, ReadFailure> {
    hash(Reader::new(file, size, context).at(pace), size, &[])
}

/// The BLAKE3 of the same bytes, read under a lease that ends with the last of them, or before where somebody asks for that.
pub(super) fn hash_leased_file(
    file: &File,
    size: u64,
    lease: &Lease<'_>,
    context: &Context,
) -> Result<Blake3Digest, ReadFailure> {
    hash(Reader::new(file, size, context).under(lease), size, &[]).map(|digests| digests.blake3)
}

fn hash(reader: Reader<'_>, size: u64, also: &[DigestAlgorithm]) -> Result<FileDigests, ReadFailure> {
    let result = if size == 0 {
        reader.unsized_file(|| reader.one_pass_to_the_end(also))
    } else if also.is_empty() && size <= BLOCK_BYTES as u64 {
        reader.one_block(size).map(|blake3| FileDigests { blake3, also: Vec::new() })
    } else if also.is_empty() && size > SEGMENT_BYTES && reader.in_any_order() {
        reader.parallel_blake3(size).map(|blake3| FileDigests { blake3, also: Vec::new() })
    } else {
        reader.one_pass(size, also)
    };
    match &result {
        Ok(_) => reader.end_lease(),
        Err(_) => reader.fail(),
    }
    result
}

/// The same with one algorithm other than BLAKE3.
pub(super) fn digest_open_file(
    file: &File,
    size: u64,
    algorithm: impl Into<HashAlgorithm>,
    pace: Pace,
    context: &Context,
) -> Result<ContentDigest, ReadFailure> {
    let (reader, algorithm) = (Reader::new(file, size, context).at(pace), algorithm.into());
    let pass = || {
        let mut digest = begin(algorithm);
        let bytes = match size {
            0 => reader.to_the_end(|block| digest.update(block))?,
            _ => reader.blocks(0, size, |block| digest.update(block)).map(|()| size)?,
        };
        Ok((digest.finish(), bytes))
    };
    let read = match size {
        0 => reader.unsized_file(pass),
        _ => pass().map(|(digest, _)| digest),
    };
    if read.is_err() {
        reader.fail();
    }
    read
}

impl Reader<'_> {
    /// Most files are small: one read, and no state of a hash that could go on.
    fn one_block(&self, size: u64) -> Result<Blake3Digest, ReadFailure> {
        let mut digest = blake3::hash(&[]);
        self.blocks(0, size, |block| digest = blake3::hash(block))?;
        Ok(digest.into())
    }

    /// All digests in order over all blocks, on this thread.
    fn one_pass(&self, size: u64, also: &[DigestAlgorithm]) -> Result<FileDigests, ReadFailure> {
        let mut blake3 = blake3::Hasher::new();
        let mut others: Vec<Box<dyn BlockDigest + Send>> = also.iter().map(|algorithm| begin(*algorithm)).collect();
        self.blocks(0, size, |block| {
            blake3.update(block);
            others.iter_mut().for_each(|digest| digest.update(block));
        })?;
        let also: Vec<ContentDigest> = others.into_iter().map(|digest| digest.finish()).collect();
        Ok(FileDigests { blake3: blake3.finalize().into(), also })
    }

    /// The same over whatever the file holds, and how much that was.
    fn one_pass_to_the_end(&self, also: &[DigestAlgorithm]) -> Result<(FileDigests, u64), ReadFailure> {
        let mut blake3 = blake3::Hasher::new();
        let mut others: Vec<Box<dyn BlockDigest + Send>> = also.iter().map(|algorithm| begin(*algorithm)).collect();
        let bytes = self.to_the_end(|block| {
            blake3.update(block);
            others.iter_mut().for_each(|digest| digest.update(block));
        })?;
        let also: Vec<ContentDigest> = others.into_iter().map(|digest| digest.finish()).collect();
        Ok((FileDigests { blake3: blake3.finalize().into(), also }, bytes))
    }

    /// What two reads of a file without a size agree about; one read, where there was nothing to read. None of it counts as
    /// read: no size announced it.
    fn unsized_file<T: PartialEq>(&self, pass: impl Fn() -> Result<(T, u64), ReadFailure>) -> Result<T, ReadFailure> {
        let (first, bytes) = pass()?;
        let steady = bytes == 0 || pass()?.0 == first;
        self.context.progress.take_back(self.counted.swap(0, Relaxed));
        if steady { Ok(first) } else { Err(ReadFailure::Short) }
    }

    /// `size` is above [`SEGMENT_BYTES`], so the root always has two children.
    fn parallel_blake3(&self, size: u64) -> Result<Blake3Digest, ReadFailure> {
        let left = left_subtree_len(size);
        let (left, right) = rayon::join(|| self.subtree(0, left), || self.subtree(left, size - left));
        Ok(merge_subtrees_root(&left?, &right?, Mode::Hash).into())
    }

    fn subtree(&self, offset: u64, length: u64) -> Result<ChainingValue, ReadFailure> {
        if length <= SEGMENT_BYTES {
            let mut hasher = blake3::Hasher::new();
            hasher.set_input_offset(offset);
            self.blocks(offset, length, |block| {
                hasher.update(block);
            })?;
            return Ok(hasher.finalize_non_root());
        }
        let left = left_subtree_len(length);
        let (left, right) = rayon::join(|| self.subtree(offset, left), || self.subtree(offset + left, length - left));
        Ok(merge_subtrees_non_root(&left?, &right?, Mode::Hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::engine::{Engine, ReadMode};
    use crate::scan::limit::ReadLimit;
    use std::io::Write as _;
    use std::sync::Arc;

    /// Beside the build, for a temporary directory may lie in memory, where there is no direct reading.
    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile_in("target").or_else(|_| tempfile::tempfile()).unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    /// Sizes around every boundary: chunk, block, segment, and a right subtree of one byte.
    #[test]
    fn digests_are_blake3s_own_at_every_boundary() {
        let segment = usize::try_from(SEGMENT_BYTES).unwrap();
        let data: Vec<u8> = (0..4 * segment + 3).map(|i| (i * 31 % 251) as u8).collect();
        for base in [0, 1, 1024, BLOCK_BYTES, segment, 2 * segment, 3 * segment, 4 * segment] {
            for size in [base.saturating_sub(1), base, base + 1] {
                let file = file_of(&data[..size]);
                let context = Context::default();
                let plain = hash_open_file(&file, size as u64, &[], &context).unwrap();
                assert_eq!(plain.blake3, blake3::hash(&data[..size]).into(), "{size} bytes");
                assert_eq!(context.progress.snapshot().bytes_hashed, size as u64);
                let both = hash_open_file(&file, size as u64, &[DigestAlgorithm::Md5], &context).unwrap();
                assert_eq!(both.blake3, plain.blake3);
                assert_eq!(both.also.len(), 1);
            }
        }
    }

    #[test]
    fn direct_reads_give_the_same_digests_and_are_counted_as_such() {
        let segment = usize::try_from(SEGMENT_BYTES).unwrap();
        let data: Vec<u8> = (0..2 * segment + 5).map(|i| (i * 37 % 253) as u8).collect();
        let engine = Arc::new(Engine::new(ReadMode::Direct, None, None));
        for size in [0, 1, 4095, 4096, 4097, BLOCK_BYTES + 1, segment, 2 * segment + 5] {
            let file = file_of(&data[..size]);
            let context = Context::of(&engine);
            let digests = hash_open_file(&file, size as u64, &[], &context).unwrap();
            assert_eq!(digests.blake3, blake3::hash(&data[..size]).into(), "{size} bytes");
            let from = context.progress.provenance();
            assert_eq!(from.read_bytes(), size as u64);
            if from.direct_bytes != size as u64 {
                eprintln!("not checked: the file system of the build has no direct reads");
            }
            let longer = hash_open_file(&file, size as u64 + 1, &[], &context);
            assert!(matches!(longer, Err(ReadFailure::Short)), "{size} bytes");
        }
    }

    #[test]
    fn a_read_limit_is_kept() {
        let file = file_of(&vec![7; 3 * BLOCK_BYTES]);
        let limit = ReadLimit::new(std::num::NonZeroU64::new(20 * BLOCK_BYTES as u64).unwrap());
        let context = Context::of(&Arc::new(Engine::new(ReadMode::PageCache, Some(limit), None)));
        let begun = std::time::Instant::now();
        hash_open_file(&file, 3 * BLOCK_BYTES as u64, &[], &context).unwrap();
        // The third block waits until the two before it are paid for.
        assert!(begun.elapsed() >= std::time::Duration::from_millis(100));
    }

    #[test]
    fn a_file_shorter_than_its_size_gives_no_digest() {
        let file = file_of(&vec![7; 5 << 20]);
        let context = Context::default();
        for size in [(5 << 20) + 1, 50 << 20] {
            assert!(matches!(hash_open_file(&file, size, &[], &context), Err(ReadFailure::Short)));
        }
        assert_eq!(context.progress.snapshot().bytes_hashed, 0, "bytes of a failed read are taken back");
    }

    /// One more byte than the size says, at every boundary and in both ways of reading.
    #[test]
    fn a_file_longer_than_its_size_gives_no_digest() {
        let segment = usize::try_from(SEGMENT_BYTES).unwrap();
        for mode in [ReadMode::PageCache, ReadMode::Direct] {
            let engine = Arc::new(Engine::new(mode, None, None));
            for size in [1, 4095, 4096, BLOCK_BYTES, segment, segment + 1, 2 * segment + 4096] {
                let file = file_of(&vec![7; size + 1]);
                for also in [&[][..], &[DigestAlgorithm::Md5]] {
                    let context = Context::of(&engine);
                    let read = hash_open_file(&file, size as u64, also, &context);
                    assert!(matches!(read, Err(ReadFailure::Longer)), "{size} bytes, {mode:?}: {read:?}");
                    assert_eq!(context.progress.snapshot().bytes_hashed, 0);
                }
            }
        }
    }

    /// Whatever is in it, its size reads 0.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_without_a_size_is_read_to_its_end() {
        let context = Context::default();
        let whole = std::fs::read("/proc/version").unwrap();
        let file = File::open("/proc/version").unwrap();
        assert_eq!((file.metadata().unwrap().len(), whole.is_empty()), (0, false));
        let digests = hash_open_file(&file, 0, &[DigestAlgorithm::Md5], &context).unwrap();
        assert_eq!(digests.blake3, blake3::hash(&whole).into());
        let md5 = digest_open_file(&file, 0, DigestAlgorithm::Md5, Pace::Waiting, &context).unwrap();
        assert_eq!(digests.also, [md5]);
        assert_eq!(context.progress.snapshot().bytes_hashed, 0, "no size announced any");
        assert_eq!(hash_open_file(&file_of(b""), 0, &[], &context).unwrap().blake3, blake3::hash(b"").into());
    }

    #[test]
    fn a_cancelled_scan_stops_before_the_next_block() {
        let file = file_of(&vec![7; 9 << 20]);
        let context = Context::default();
        context.cancel.cancel();
        assert!(matches!(hash_open_file(&file, 9 << 20, &[], &context), Err(ReadFailure::Cancelled)));
    }
}
