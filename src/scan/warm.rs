//! Reading ahead of time: recording the digests of files that have none yet, so that a later scan need not read them.

use std::collections::HashSet;
use std::os::fd::AsFd as _;
use std::path::Path;

use parking_lot::Mutex;
use rayon::prelude::*;

use super::cache::{CacheView, DigestCache};
use super::cancel::Cancelled;
use super::context::Context;
use super::identity::{FileId, FileIdentity};
use super::prefetch::FILES_PER_JOB;
use super::recording::Recorder;
use super::steady::{Expected, ReadError, look_at};
use super::walk::{Known, walk_root};
use super::walked::{WalkedDirectory, WalkedRoot};
use crate::exclude::RootRules;
use crate::model::{FileEntry, Listed};

/// Records the digests of all files of these roots that have none and changed long enough ago; a file with several names once.
/// What cannot be read is left to the scan that needs it, and so is what cannot be recorded. Call it inside a rayon pool.
pub fn warm_roots<'a>(
    roots: impl Iterator<Item = (&'a Path, &'a RootRules)>,
    cache: &DigestCache,
    context: &Context,
) -> Result<(), Cancelled> {
    let round = Round { cache, context, linked: Mutex::default() };
    let mut roots = roots;
    let warmed = roots.try_for_each(|(home, rules)| round.root(home, rules));
    cache.flush();
    cache.prune();
    warmed
}

struct Round<'a> {
    cache: &'a DigestCache,
    context: &'a Context,
    /// The files with several names of which one was come across: their records are not in any view yet.
    linked: Mutex<HashSet<FileId>>,
}

impl Round<'_> {
    fn root(&self, home: &Path, rules: &RootRules) -> Result<(), Cancelled> {
        let WalkedRoot::Present { handle: Some(handle), directories } =
            walk_root(home, rules, Known::default(), self.context)?
        else {
            return Ok(());
        };
        directories.par_iter().with_max_len(1).try_for_each(|directory| {
            let view = self.cache.view();
            let (Ok(open), Some(view)) = (handle.open_directory(&directory.path), view) else { return Ok(()) };
            let further = self.further_names(directory);
            let files = directory.files.par_iter().enumerate().with_max_len(FILES_PER_JOB);
            let recorder = Recorder::new(open.as_fd(), &view, self.context);
            files.filter(|(position, _)| !further.contains(position)).try_for_each(|(_, file)| {
                let identity = look_at(open.as_fd(), &file.name).filter(|identity| is_wanted(identity, &view));
                let wanted = identity.filter(|identity| recorder.can_record(&file.name, identity));
                wanted.map_or(Ok(()), |identity| record(&recorder, file, &identity, self.context))
            })
        })
    }

    /// The positions of names of files that were come across under another one.
    fn further_names(&self, directory: &WalkedDirectory) -> HashSet<usize> {
        let mut linked = self.linked.lock();
        let names = directory.linked.iter().filter(|(_, id)| !linked.insert(*id));
        names.map(|(position, _)| *position as usize).collect()
    }
}

fn is_wanted(identity: &FileIdentity, view: &CacheView<'_>) -> bool {
    identity.is_regular() && view.digest(identity).is_none()
}

fn record(
    recorder: &Recorder<'_>,
    file: &FileEntry,
    identity: &FileIdentity,
    context: &Context,
) -> Result<(), Cancelled> {
    let Listed::File { .. } = file.listed else { return Ok(()) };
    let Some(modified_ms) = identity.modified_ms() else { return Ok(()) };
    let expected = Expected { size: identity.size(), modified_ms, look: Some(identity.look()) };
    match recorder.read_to_record(&file.name, expected) {
        Ok(read) => {
            recorder.record(&read);
            context.finished_file();
            Ok(())
        }
        Err(ReadError::Problem(_)) => Ok(()),
        Err(ReadError::Cancelled) => Err(Cancelled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CacheMode;
    use crate::scan::file_system::telling_device;
    use std::fs;
    use std::time::Duration;

    /// Two names in one directory, one in another, one in another root; and a second round over all.
    #[test]
    fn a_file_with_several_names_is_read_once() {
        let dir = tempfile::tempdir_in("target").or_else(|_| tempfile::tempdir()).unwrap();
        if telling_device(fs::File::open(dir.path()).unwrap().as_fd()).is_none() {
            return crate::material::missing(
                "leases",
                "the build does not lie in a file system where digests can be recorded",
            );
        }
        let homes = ["a", "b"].map(|name| dir.path().join(name));
        fs::create_dir_all(homes[0].join("sub")).unwrap();
        fs::create_dir(&homes[1]).unwrap();
        fs::write(homes[0].join("f"), b"bytes").unwrap();
        fs::write(homes[0].join("alone"), b"other").unwrap();
        for link in [homes[0].join("g"), homes[0].join("sub/f"), homes[1].join("f")] {
            fs::hard_link(homes[0].join("f"), link).unwrap();
        }
        std::thread::sleep(Duration::from_millis(2100));
        let cache = DigestCache::open(&dir.path().join("state"), CacheMode::Trust, Duration::from_secs(3600)).unwrap();
        let context = Context::default();
        let rules = RootRules::none();
        for _ in 0..2 {
            let roots = homes.iter().map(|home| (home.as_path(), &rules));
            warm_roots(roots, &cache, &context).unwrap();
            assert_eq!(context.progress.snapshot().files_opened, 2);
        }
        let of = FileIdentity::of(&rustix::fs::stat(homes[1].join("f")).unwrap());
        assert_eq!(cache.view().unwrap().digest(&of), Some(blake3::hash(b"bytes").into()));
    }
}
