//! Second looks: whether a directory, and what its links lead to, is still what it was when its names were read.

use std::io;
use std::os::fd::AsFd as _;

use rustix::fs::fstat;

use super::beneath::RootHandle;
use super::clock::Moment;
use super::context::Context;
use super::directory_look::DirectoryLook;
use super::identity::FileIdentity;
use super::steady::look_at;
use super::walked::Looks;
use crate::model::{FileEntry, RelPath};

impl RootHandle {
    /// Whether the directory at `path` may not be what it was at this first look any more, or at the last second look of after `since`.
    /// It costs the opening of the directory, the look and its closing, whatever it holds.
    pub fn may_have_changed(&self, path: &RelPath, first: DirectoryLook, since: &Moment, context: &Context) -> bool {
        if matches!(first, DirectoryLook::None | DirectoryLook::Unsteady { .. }) {
            return first != DirectoryLook::None;
        }
        context.progress.looked_again();
        let found = self.look_at_directory(path);
        // Behind the look: the clock must not have come to any other reading before it.
        let at = Moment::now();
        found.map_or(true, |found| first.may_have_changed(&found, since, &at))
    }

    /// Whether a symbolic link in the directory leads to another file than at the first looks. One look for each link.
    pub fn targets_changed(&self, path: &RelPath, files: &[FileEntry], first: &Looks, context: &Context) -> bool {
        if first.targets.is_empty() {
            return false;
        }
        let Ok(directory) = self.open_directory(path) else { return true };
        first.at_targets(files).any(|(name, first)| {
            context.progress.looked_again();
            look_at(directory.as_fd(), name).map(|now| now.look()) != Some(first)
        })
    }

    fn look_at_directory(&self, path: &RelPath) -> io::Result<FileIdentity> {
        let stat = match path.is_root() {
            true => fstat(self.as_fd())?,
            false => fstat(self.open_directory(path)?)?,
        };
        Ok(FileIdentity::of(&stat))
    }
}
