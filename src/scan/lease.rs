//! Reading a file that nobody can write meanwhile, so that its digest can be recorded and stand for it later.
//!
//! A page of a memory map that is dirty already can be written again without any trace in the file's times. A read lease is
//! refused where such a map, or a writer, exists, so that whatever writes to the file after the read has to open it, and shows in its
//! times (see `file_system`).

use std::fmt;
use std::fs::File;

/// Why a digest is not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Somebody has the file open for writing, or mapped from such a descriptor, or asked for that during the read. It passes.
    InUse,
    /// The file belongs to another user, and this process has not the privilege to take leases on such (`CAP_LEASE`).
    NotOwner,
    /// Its file system has no leases, or not those of all who can write to it, or does not note every write through a memory map.
    FileSystem,
}

impl Refusal {
    /// Whether later reads will be refused as well.
    pub(super) fn lasts(self) -> bool {
        self != Self::InUse
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InUse => "it is open for writing",
            Self::NotOwner => "it belongs to another user, and CAP_LEASE is not granted",
            Self::FileSystem => "its file system does not tell every later write",
        })
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::Lease;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::AsFd as _;
    use std::sync::{Arc, LazyLock};

    use parking_lot::Mutex;
    use rustix::io::Errno;

    use super::{File, Refusal};
    use crate::scan::syscalls::{give_up_lease, has_read_lease, take_read_lease};

    /// A read lease, or what is left of one. It ends with the open file at the latest.
    pub(in crate::scan) struct Lease<'a> {
        file: &'a File,
        state: Mutex<State>,
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum State {
        /// Nobody has asked for the file yet, as far as is known.
        Held,
        /// It was given up before the read was over, for somebody who wants to write.
        Lost,
        /// It was held until the read was over.
        Ended,
    }

    /// Whether SIGIO, which the system sends when somebody waits for the end of a lease, is received; else it would end the process.
    /// What it says is learned by asking.
    static RECEIVED: LazyLock<bool> =
        LazyLock::new(|| signal_hook::flag::register(signal_hook::consts::SIGIO, Arc::default()).is_ok());

    impl<'a> Lease<'a> {
        /// Takes a lease on a file that is open for reading only.
        pub(in crate::scan) fn take(file: &'a File) -> Result<Self, Refusal> {
            if !*RECEIVED {
                return Err(Refusal::FileSystem);
            }
            take_read_lease(file.as_fd()).map_err(|error| refusal(&error))?;
            Ok(Self { file, state: Mutex::new(State::Held) })
        }

        /// Gives the lease up where somebody waits for that. Called between two blocks and while one is waited for, so that nobody
        /// waits for a whole file.
        pub(in crate::scan) fn give_up_if_asked(&self) {
            let mut state = self.state.lock();
            if *state == State::Held && !has_read_lease(self.file.as_fd()) {
                self.give_up(&mut state, State::Lost);
            }
        }

        /// The last block is read: nobody need wait any more.
        pub(in crate::scan) fn end(&self) {
            self.give_up_if_asked();
            let mut state = self.state.lock();
            if *state == State::Held {
                self.give_up(&mut state, State::Ended);
            }
        }

        /// Whether nobody could write from when it was taken until it ended.
        pub(in crate::scan) fn undisturbed(&self) -> Result<(), Refusal> {
            if *self.state.lock() == State::Ended { Ok(()) } else { Err(Refusal::InUse) }
        }

        /// Whether somebody asked for the file, and got it.
        #[cfg(test)]
        pub(in crate::scan) fn is_lost(&self) -> bool {
            *self.state.lock() == State::Lost
        }

        fn give_up(&self, state: &mut State, left: State) {
            *state = left;
            // What fails here has ended already.
            let _ = give_up_lease(self.file.as_fd());
        }
    }

    fn refusal(error: &io::Error) -> Refusal {
        match Errno::from_io_error(error) {
            Some(Errno::AGAIN | Errno::BUSY) => Refusal::InUse,
            Some(Errno::ACCESS | Errno::PERM) => Refusal::NotOwner,
            // EINVAL, where the file system has none.
            _ => Refusal::FileSystem,
        }
    }
}

/// Other systems have nothing like it.
#[cfg(not(target_os = "linux"))]
pub(super) struct Lease<'a>(std::marker::PhantomData<&'a File>);

#[cfg(not(target_os = "linux"))]
impl<'a> Lease<'a> {
    /// There is none.
    pub(super) fn take(_: &'a File) -> Result<Self, Refusal> {
        Err(Refusal::FileSystem)
    }

    /// Nothing to give up.
    pub(super) fn give_up_if_asked(&self) {}

    /// Nothing ends.
    pub(super) fn end(&self) {}

    /// Never reached.
    pub(super) fn undisturbed(&self) -> Result<(), Refusal> {
        Err(Refusal::FileSystem)
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::blocks::ReadFailure;
    use crate::scan::cancel::Cancel;
    use crate::scan::context::Context;
    use crate::scan::engine::{Engine, ReadMode};
    use crate::scan::limit::ReadLimit;
    use crate::scan::read::hash_leased_file;
    use crate::scan::syscalls::has_read_lease;
    use std::num::NonZeroU64;
    use std::os::fd::AsFd as _;
    use std::sync::Arc;

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

    #[test]
    fn a_file_that_is_open_for_writing_has_no_lease() {
        let path = file(0);
        let writing = File::options().write(true).open(&path).unwrap();
        let reading = File::open(&path).unwrap();
        assert_eq!(Lease::take(&reading).err(), Some(Refusal::InUse));
        drop(writing);
    }
}
