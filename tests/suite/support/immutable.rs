//! Files that nobody can change, rename or remove, root included.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

/// A file that is immutable until this is dropped (`chattr(1)`).
pub(crate) struct Immutable(File);

impl Immutable {
    /// Fails where the file system has no such files, or the right is not granted.
    pub(crate) fn make(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        ioctl_setflags(&file, ioctl_getflags(&file)? | IFlags::IMMUTABLE)?;
        Ok(Self(file))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        // Where it stays so, the test that goes on with the file fails.
        let _ = ioctl_getflags(&self.0).and_then(|flags| ioctl_setflags(&self.0, flags - IFlags::IMMUTABLE));
    }
}
