//! Opening directories below a root without ever following a symbolic link out of it.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::file_system::has_own_clock;
use crate::model::RelPath;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// An open root. Everything below is reached through its descriptor, so a root that is renamed or mounted over during
/// a scan does not mix two trees.
#[derive(Debug)]
pub struct RootHandle {
    home: PathBuf,
    fd: OwnedFd,
    /// The devices that were come across, and whether change times there are by this machine's clock.
    clocks: Mutex<Vec<(u64, bool)>>,
}

impl RootHandle {
    /// Opens the root at `home`, which may itself be a symbolic link.
    pub fn open(home: &Path) -> io::Result<Self> {
        let fd = openat(CWD, home, DIRECTORY, Mode::empty())?;
        Ok(Self { home: home.to_owned(), fd, clocks: Mutex::default() })
    }

    /// The open root itself.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Where the root lies.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Whether change times in an open directory on this device are known to be by the clock of this machine. Each device is asked
    /// about once: it costs a request where it is a server.
    pub(super) fn has_own_clock(&self, directory: BorrowedFd<'_>, device: u64) -> bool {
        let mut clocks = self.clocks.lock();
        if let Some((_, own)) = clocks.iter().find(|(known, _)| *known == device) {
            return *own;
        }
        let own = has_own_clock(directory);
        clocks.push((device, own));
        own
    }

    /// Opens the directory at `path`; fails where any name on the way is a symbolic link.
    pub fn open_directory(&self, path: &RelPath) -> io::Result<OwnedFd> {
        if path.is_root() {
            return self.fd.try_clone();
        }
        match open_beneath(&self.fd, path) {
            Err(Errno::NOSYS | Errno::PERM) => open_name_by_name(&self.fd, path),
            opened => opened,
        }
        .map_err(io::Error::from)
    }
}

/// One call, resolved by the kernel (Linux 5.6 and later).
#[cfg(target_os = "linux")]
fn open_beneath(root: &OwnedFd, path: &RelPath) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path.as_bytes(), DIRECTORY, Mode::empty(), resolve)
}

#[cfg(not(target_os = "linux"))]
fn open_beneath(_: &OwnedFd, _: &RelPath) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

/// The same, a call for each name: older kernels, sandboxes that forbid the new call, other systems.
fn open_name_by_name(root: &OwnedFd, path: &RelPath) -> Result<OwnedFd, Errno> {
    let mut current: Option<OwnedFd> = None;
    for name in path.names() {
        let parent = current.as_ref().unwrap_or(root);
        current = Some(openat(parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?);
    }
    current.ok_or(Errno::NOENT)
}

#[cfg(test)]
impl RootHandle {
    /// The root at `home`, with another machine's clock behind the change times of its device.
    pub(super) fn by_another_clock(home: &Path) -> Self {
        let root = Self::open(home).unwrap();
        let device = rustix::fs::fstat(&root.fd).unwrap().st_dev;
        #[allow(clippy::unnecessary_cast, reason = "the field's type differs between systems")]
        root.clocks.lock().push((device as u64, false));
        root
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn neither_way_of_opening_follows_a_link_inside_or_outside() {
        let tmp = tempfile::tempdir().unwrap();
        fs::create_dir_all(tmp.path().join("root/a/b")).unwrap();
        fs::create_dir(tmp.path().join("outside")).unwrap();
        std::os::unix::fs::symlink("../outside", tmp.path().join("root/out")).unwrap();
        std::os::unix::fs::symlink("a", tmp.path().join("root/in")).unwrap();
        let root = RootHandle::open(&tmp.path().join("root")).unwrap();
        for open in [open_beneath, open_name_by_name] {
            let open = |path: &[u8]| open(&root.fd, &RelPath::new(path).unwrap());
            if matches!(open(b"a"), Err(Errno::NOSYS | Errno::PERM)) {
                continue;
            }
            assert!(open(b"a/b").is_ok());
            assert!(open(b"out").is_err());
            assert!(open(b"in/b").is_err());
            assert_eq!(open(b"none").unwrap_err(), Errno::NOENT);
        }
    }
}
