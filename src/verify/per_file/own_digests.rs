//! The digests of this side's own files: each of the file that was listed, or none.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, BorrowedFd};

use parking_lot::Mutex;
use rayon::prelude::*;

use super::pairs::{Answer, Position};
use crate::manifest::{Manifest, MatchingDirectory, Role, Root};
use crate::model::{ContentDigest, FileEntry, HashAlgorithm, Name, Problem, Reason};
use crate::scan::{
    Begun, Cancelled, Context, FileId, Look, Prefetched, ReadError, digest_file, is_further_name, jobs, on_each_disk,
    problem_of, read_job,
};

/// Calls `each` with the position and the answer of every file. Of a file with several names the first is read, and the others are
/// known by it once all first ones are, so that no thread waits for another.
pub fn hash_files(
    local: &Manifest,
    files: &[MatchingDirectory],
    algorithm: impl Into<HashAlgorithm>,
    context: &Context,
    each: &(dyn Fn(Position, Answer) + Sync),
) -> Result<(), Cancelled> {
    let hashing = OwnDigests { local, algorithm: algorithm.into(), context, known: Mutex::default() };
    for pass in [Pass::First, Pass::Further] {
        let home = |directory: &MatchingDirectory| local.root(directory.root).and_then(Root::home);
        let done = on_each_disk(files, home, |at, directory| {
            context.cancel.check()?;
            let concerned = pass == Pass::First || local.has_further_names(directory.root, directory.index);
            if !concerned {
                return Ok(());
            }
            hashing.directory(pass, directory, &|number, answer| each((at, number), answer))
        });
        done.into_iter().collect::<Result<(), Cancelled>>()?;
    }
    Ok(())
}

/// Which names have their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    First,
    Further,
}

struct OwnDigests<'a> {
    local: &'a Manifest,
    algorithm: HashAlgorithm,
    context: &'a Context,
    /// What was read of files with several names, and the look that it belongs to.
    known: Mutex<HashMap<FileId, (Look, ContentDigest)>>,
}

impl OwnDigests<'_> {
    fn directory(
        &self,
        pass: Pass,
        directory: &MatchingDirectory,
        each: &(dyn Fn(usize, Answer) + Sync),
    ) -> Result<(), Cancelled> {
        let tree = self.local.root(directory.root).and_then(|root| root.tree.as_ref());
        let opened = match tree.and_then(|tree| tree.handle()).map(|handle| handle.open_directory(&directory.path)) {
            Some(Ok(opened)) => Ok(opened),
            Some(Err(error)) => Err(problem_of(&error)),
            None => Err(Problem::new(Reason::Vanished, "its root is gone")),
        };
        let listed = |file: &FileEntry| -> Result<(u64, Look), Problem> {
            let look = tree.and_then(|tree| tree.look(directory.index, &file.name));
            look.map(|look| (file.size(), look)).ok_or_else(|| {
                Problem::new(Reason::ChangedWhileReading, "nothing is known of it from when it was listed")
            })
        };
        let one = |number: usize, held: Option<Prefetched>| {
            let file = &directory.files[number];
            let role = self.local.role(directory.root, directory.index, &file.name);
            if matches!(role, Some(Role::Further(_))) != (pass == Pass::Further) {
                return Ok(Begun::Done(()));
            }
            let begun = match (file.problem(), &opened, listed(file)) {
                (Some(problem), ..) | (None, Err(problem), _) => Begun::Done(Ok(Err(problem.clone()))),
                (None, Ok(_), Err(problem)) => Begun::Done(Ok(Err(problem))),
                (None, Ok(opened), Ok(listed)) => self.digest(opened.as_fd(), &file.name, listed, role, held),
            };
            match begun {
                Begun::Pending(held) => Ok(Begun::Pending(held)),
                Begun::Done(answer) => {
                    let answer = answer?;
                    self.context.finished_file();
                    each(number, answer);
                    Ok(Begun::Done(()))
                }
            }
        };
        let jobs = jobs(directory.files.iter().map(FileEntry::size), false, self.context);
        jobs.into_par_iter().with_max_len(1).try_for_each(|job| read_job(job, self.context, one).map(drop))
    }

    fn digest(
        &self,
        opened: BorrowedFd<'_>,
        name: &Name,
        listed: (u64, Look),
        role: Option<Role>,
        held: Option<Prefetched>,
    ) -> Begun<Result<Answer, Cancelled>> {
        // Looked up before, so that the lock is not held while the name is looked at.
        let known = match role {
            Some(Role::Further(id)) => self.known.lock().get(&id).copied(),
            Some(Role::First(_)) | None => None,
        };
        if let Some((look, digest)) = known
            && look == listed.1
            && is_further_name(opened, name, look, self.context)
        {
            return Begun::Done(Ok(Ok(digest)));
        }
        digest_file(opened, name, listed, self.algorithm, held, self.context).map(|read| match read {
            Ok(digest) => {
                if let Some(Role::First(id)) = role {
                    self.known.lock().insert(id, (listed.1, digest));
                }
                Ok(Ok(digest))
            }
            Err(ReadError::Problem(problem)) => Ok(Err(problem)),
            Err(ReadError::Cancelled) => Err(Cancelled),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exclude::{RootRules, Rules};
    use crate::manifest::{Identity, RootSpec, matching_files};
    use crate::model::DigestAlgorithm;
    use crate::model::RootId;
    use std::collections::BTreeMap;
    use std::fs::{self, File};
    use std::path::Path;
    use std::time::UNIX_EPOCH;

    const OLD: std::time::Duration = std::time::Duration::from_secs(1_700_000_000);

    fn put(path: &Path, bytes: &str) {
        fs::write(path, bytes).unwrap();
        File::options().write(true).open(path).unwrap().set_modified(UNIX_EPOCH + OLD).unwrap();
    }

    /// Puts another file in its place, of the same size and time.
    fn replace(path: &Path) {
        let beside = path.with_extension("beside");
        put(&beside, "other");
        fs::rename(beside, path).unwrap();
    }

    /// The digests of all files of a root, to which something happens after they were listed; and how many were opened.
    fn hashed(home: &Path, change: impl Fn()) -> (Vec<Answer>, u64) {
        let roots = [RootSpec { id: RootId::DATA_0, home: home.to_owned(), rules: RootRules::none() }];
        let identity = Identity::new("host".to_owned(), "instance".to_owned(), 7, &Rules::none());
        let context = Context::default();
        let manifest = Manifest::walk(identity, &roots, &context).unwrap();
        let listed = matching_files(&manifest, &manifest);
        std::thread::sleep(std::time::Duration::from_millis(20));
        change();
        let answers = Mutex::new(BTreeMap::new());
        let each = |position, answer| drop(answers.lock().insert(position, answer));
        hash_files(&manifest, &listed, DigestAlgorithm::Md5, &context, &each).unwrap();
        (answers.into_inner().into_values().collect(), context.progress.snapshot().files_opened)
    }

    /// The digests of a file and of one behind a symbolic link, to which something happens after they were listed.
    fn own_digests(change: impl Fn(&Path)) -> Vec<Answer> {
        let tmp = tempfile::tempdir().unwrap();
        let home = tmp.path().join("root");
        fs::create_dir(&home).unwrap();
        put(&home.join("file"), "bytes");
        put(&tmp.path().join("target"), "bytes");
        std::os::unix::fs::symlink("../target", home.join("link")).unwrap();
        hashed(&home, || change(&home)).0
    }

    #[test]
    fn a_file_with_several_names_is_read_once_and_has_its_digest_under_each() {
        let tmp = tempfile::tempdir().unwrap();
        let path = |name: &str| tmp.path().join(name);
        fs::create_dir_all(path("k/t")).unwrap();
        fs::create_dir_all(path("k/u")).unwrap();
        put(&path("k/t/file"), "bytes");
        put(&path("k/t/plain"), "other");
        for name in ["k/t/again", "k/u/file"] {
            fs::hard_link(path("k/t/file"), path(name)).unwrap();
        }
        let (answers, opened) = hashed(tmp.path(), || ());
        let [again, file, plain, there] = &answers[..] else { panic!("{answers:?}") };
        assert!(again.is_ok() && plain.is_ok() && again != plain);
        assert_eq!((again, file, opened), (file, there, 2));
        // Another file in the place of one name: it has none of the others' digest, and they, which lost a name, have none either.
        let (answers, _) = hashed(tmp.path(), || replace(&path("k/u/file")));
        let changed = |answer: &Answer| answer.as_ref().is_err_and(|why| why.reason == Reason::ChangedWhileReading);
        assert_eq!(answers.iter().map(changed).collect::<Vec<_>>(), [true, true, false, true]);
    }

    /// Size and time stay the same each time; which file it is does not, or when it last changed.
    #[test]
    fn a_digest_is_that_of_the_file_that_was_listed() {
        let undisturbed = own_digests(|_| ());
        assert!(
            undisturbed.len() == 2 && undisturbed[0].is_ok() && undisturbed[0] == undisturbed[1],
            "{undisturbed:?}"
        );
        let other: [fn(&Path); 3] = [
            |home| replace(&home.join("file")),
            |home| put(&home.join("file"), "other"),
            |home| replace(&home.with_file_name("target")),
        ];
        for (number, (change, at)) in other.into_iter().zip([0, 0, 1]).enumerate() {
            let answers = own_digests(change);
            assert_eq!(answers[1 - at], undisturbed[0], "the change {number} was of the other file");
            let problem = answers[at].as_ref().unwrap_err();
            assert_eq!(problem.reason, Reason::ChangedWhileReading, "{number}: {problem:?}");
        }
    }
}
