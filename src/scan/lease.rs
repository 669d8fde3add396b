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
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::sync::{Arc, LazyLock};

    use rustix::io::Errno;

    use super::{File, Refusal};
    use crate::scan::syscalls::{give_up_lease, has_read_lease, take_read_lease};

    /// A read lease, or what is left of one. It ends with the open file at the latest.
    pub(in crate::scan) struct Lease<'a> {
        file: &'a File,
        /// Nobody has asked for the file yet, as far as is known.
        kept: AtomicBool,
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
            Ok(Self { file, kept: AtomicBool::new(true) })
        }

        /// Gives the lease up where somebody waits for that. Called between two blocks, so that nobody waits for a whole file.
        pub(in crate::scan) fn give_up_if_asked(&self) {
            if self.kept.load(Relaxed) && !has_read_lease(self.file.as_fd()) {
                self.kept.store(false, Relaxed);
                // What fails here has ended already.
                let _ = give_up_lease(self.file.as_fd());
            }
        }

        /// Whether nobody could write from when it was taken until now; it ends here.
        pub(in crate::scan) fn end(self) -> Result<(), Refusal> {
            self.give_up_if_asked();
            if self.kept.load(Relaxed) { Ok(()) } else { Err(Refusal::InUse) }
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

    /// Never reached.
    pub(super) fn end(self) -> Result<(), Refusal> {
        Err(Refusal::FileSystem)
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::context::Context;
    use crate::scan::read::hash_leased_file;
    use crate::scan::syscalls::has_read_lease;
    use std::os::fd::AsFd as _;

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
                // Only what was given up comes to an end so soon.
                drop(writer.join().unwrap());
            });
            assert_eq!(lease.end(), Err(Refusal::InUse));
            assert!(Lease::take(&reading).is_ok_and(|lease| lease.end().is_ok()), "nobody writes any more");
        }
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
