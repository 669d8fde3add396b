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
    /// It changed so shortly before that a further change might not show, or it is another kind of file by now. It passes.
    Unsettled,
    /// Recorded digests proved wrong since it was looked for one of this file. It passes.
    Dropped,
    /// The file belongs to another user, and this process has not the privilege to take leases on such (`CAP_LEASE`).
    NotOwner,
    /// Its file system has no leases, or not those of all who can write to it, or does not note every write through a memory map.
    FileSystem,
}

impl Refusal {
    /// Whether later reads will be refused as well.
    pub(super) fn lasts(self) -> bool {
        matches!(self, Self::NotOwner | Self::FileSystem)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InUse => "it is open for writing",
            Self::Unsettled => "it changed a moment ago",
            Self::Dropped => "recorded digests proved wrong a moment ago",
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
        /// It was given up before the read was over, for somebody who wants to write or because the read failed.
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

        /// The read failed: nothing of it will be recorded.
        pub(in crate::scan) fn lose(&self) {
            let mut state = self.state.lock();
            if *state == State::Held {
                self.give_up(&mut state, State::Lost);
            }
        }

        /// Whether nobody could write from when it was taken until it ended.
        pub(in crate::scan) fn undisturbed(&self) -> Result<(), Refusal> {
            if *self.state.lock() == State::Ended { Ok(()) } else { Err(Refusal::InUse) }
        }

        /// Whether it was given up before the read was over.
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

    /// Nothing is lost.
    pub(super) fn lose(&self) {}

    /// Never reached.
    pub(super) fn undisturbed(&self) -> Result<(), Refusal> {
        Err(Refusal::FileSystem)
    }
}
