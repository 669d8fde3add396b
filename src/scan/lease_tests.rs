//! Who waits for a lease, and how long: taken, given up, lost and ended.

use std::cell::RefCell;
use std::fs::File;
use std::num::NonZeroU64;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use super::blocks::{ReadFailure, Reader};
use super::buffer::BLOCK_BYTES;
use super::cancel::Cancel;
use super::context::Context;
use super::engine::{Engine, ReadMode};
use super::lease::{Lease, Refusal};
use super::limit::ReadLimit;
use super::read::hash_leased_file;
use super::syscalls::has_read_lease;

/// A file of this many MiB, beside the build: a temporary directory may lie in memory.
fn file(megabytes: u64) -> tempfile::TempPath {
    let file = tempfile::NamedTempFile::new_in("target").or_else(|_| tempfile::NamedTempFile::new()).unwrap();
    file.as_file().set_len(megabytes << 20).unwrap();
    file.into_temp_path()
}

/// The read goes on without it; somebody who waited gets the file, and the process lives on though it got SIGIO.
#[test]
fn a_lease_is_given_up_between_two_blocks_where_somebody_asks() {
    for megabytes in [2, 30] {
        let path = file(megabytes);
        let reading = File::open(&path).unwrap();
        let lease = match Lease::take(&reading) {
            Ok(lease) => lease,
            Err(refusal) => return crate::material::missing("leases", &refusal.to_string()),
        };
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| File::options().write(true).open(&path).unwrap());
            while has_read_lease(reading.as_fd()) {
                std::thread::yield_now();
            }
            assert!(!writer.is_finished(), "it waits");
            hash_leased_file(&reading, megabytes << 20, &lease, &Context::default()).unwrap();
            assert!(lease.is_lost(), "the writer need not wait for the system to take it away");
            drop(writer.join().unwrap());
        });
        assert_eq!(lease.undisturbed(), Err(Refusal::InUse));
        let again = Lease::take(&reading).unwrap_or_else(|_| panic!("nobody writes any more"));
        again.end();
        assert_eq!(again.undisturbed(), Ok(()));
    }
}

/// However slowly the file may be read.
#[test]
fn a_lease_is_given_up_while_the_read_waits_for_its_limit() {
    let path = file(1);
    let reading = File::open(&path).unwrap();
    let lease = match Lease::take(&reading) {
        Ok(lease) => lease,
        Err(refusal) => return crate::material::missing("leases", &refusal.to_string()),
    };
    // The first block is let through in some years.
    let limit = ReadLimit::new(NonZeroU64::MIN);
    limit.admit(1 << 30, &Cancel::default(), || ()).unwrap();
    let context = Context::of(&Arc::new(Engine::new(ReadMode::PageCache, Some(limit), None)));
    let (lost, read) = std::thread::scope(|scope| {
        let read = scope.spawn(|| hash_leased_file(&reading, 1 << 20, &lease, &context));
        // The system takes a lease away that is not given up, after 45 seconds.
        drop(File::options().write(true).open(&path).unwrap());
        let lost = lease.is_lost();
        context.cancel.cancel();
        (lost, read.join().unwrap())
    });
    assert!(matches!(read, Err(ReadFailure::Cancelled)) && lost);
}

/// What comes after the last block, such as the end of other threads, is nobody's to wait for.
#[test]
fn a_lease_ends_with_the_last_block_that_is_read() {
    const BLOCK: u64 = BLOCK_BYTES as u64;
    let path = file(2);
    let reading = File::open(&path).unwrap();
    for parts in [&[(0, 2 * BLOCK)][..], &[(BLOCK, BLOCK), (0, BLOCK)]] {
        let lease = match Lease::take(&reading) {
            Ok(lease) => lease,
            Err(refusal) => return crate::material::missing("leases", &refusal.to_string()),
        };
        let (context, held) = (Context::default(), RefCell::new(Vec::new()));
        let reader = Reader::new(&reading, 2 * BLOCK, &context).under(&lease);
        for (offset, length) in parts {
            reader.blocks(*offset, *length, |_| held.borrow_mut().push(has_read_lease(reading.as_fd()))).unwrap();
        }
        assert_eq!(held.take(), [true, false], "{parts:?}");
        assert_eq!(lease.undisturbed(), Ok(()));
    }
    // One whose size reads 0 is read twice, and has no last block.
    let lease = Lease::take(&reading).ok().unwrap();
    let unsized_read = hash_leased_file(&reading, 0, &lease, &Context::default());
    assert!(unsized_read.is_ok() && !has_read_lease(reading.as_fd()) && lease.undisturbed().is_ok());
}

/// Nothing is recorded of it, so nobody need wait.
#[test]
fn a_lease_ends_with_a_read_that_fails() {
    let path = file(1);
    let reading = File::open(&path).unwrap();
    let lease = match Lease::take(&reading) {
        Ok(lease) => lease,
        Err(refusal) => return crate::material::missing("leases", &refusal.to_string()),
    };
    let read = hash_leased_file(&reading, 3 << 20, &lease, &Context::default());
    assert!(matches!(read, Err(ReadFailure::Short)) && !has_read_lease(reading.as_fd()));
    assert_eq!(lease.undisturbed(), Err(Refusal::InUse));
}

#[test]
fn a_file_that_is_open_for_writing_has_no_lease() {
    let path = file(0);
    let writing = File::options().write(true).open(&path).unwrap();
    let reading = File::open(&path).unwrap();
    assert_eq!(Lease::take(&reading).err(), Some(Refusal::InUse));
    drop(writing);
}
