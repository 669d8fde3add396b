//! Who may read a file that takes another's place: whoever could read that one.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::Path;

/// Gives a new file the owner, as far as that is allowed, and the permissions of the file at `path`, whose place it is to take. Where
/// none stands there it stays as it is.
pub(super) fn take_over(path: &Path, new: &File) -> io::Result<()> {
    let old = match path.metadata() {
        Ok(old) => old,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let now = new.metadata()?;
    // Each by itself: who may not give files away may still be in the group. Before the mode, for this clears bits of it.
    let owner = now.uid() == old.uid() || fchown(new, Some(old.uid()), None).is_ok();
    let group = now.gid() == old.gid() || fchown(new, None, Some(old.gid())).is_ok();
    new.set_permissions(Permissions::from_mode(allowed(old.mode(), owner, group)))
}

/// The mode of the new file. Bits that ran as owner or group mean others where those could not be kept, and another group is
/// allowed no more than everybody.
fn allowed(old: u32, owner: bool, group: bool) -> u32 {
    let mode = old & 0o777;
    let special = old & 0o7000;
    match (owner, group) {
        (true, true) => mode | special,
        (_, true) => mode,
        (_, false) => mode & (0o707 | ((mode & 0o007) << 3)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_group_is_allowed_what_everybody_is() {
        for (old, owner, group, new) in [
            (0o100_640, true, true, 0o640),
            (0o104_755, true, true, 0o4755),
            (0o104_755, false, true, 0o755),
            (0o100_640, true, false, 0o600),
            (0o100_664, false, false, 0o644),
            (0o100_606, true, false, 0o606),
        ] {
            assert_eq!(allowed(old, owner, group), new, "{old:o} {owner} {group}");
        }
    }
}
