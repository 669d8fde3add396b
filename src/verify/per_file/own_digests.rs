//! The digests of this side's own files: each of the file that was listed, or none.

use std::os::fd::AsFd as _;

use rayon::prelude::*;

use super::pairs::{Answer, unreadable};
use crate::manifest::{Manifest, MatchingDirectory};
use crate::model::{DigestAlgorithm, FileEntry, Problem, Reason};
use crate::scan::{Cancelled, Context, Look, ReadError, digest_file, problem_of};

/// How many small files of one directory one job reads.
const FILES_PER_JOB: usize = 32;

/// Calls `each` with the position and the answer of every file of one directory.
pub(super) fn hash_directory(
    local: &Manifest,
    directory: &MatchingDirectory,
    algorithm: DigestAlgorithm,
    context: &Context,
    each: &(dyn Fn(usize, Answer) + Sync),
) -> Result<(), Cancelled> {
    let tree = local.root(directory.root).and_then(|root| root.tree.as_ref());
    let opened = match tree.and_then(|tree| tree.handle()).map(|handle| handle.open_directory(&directory.path)) {
        Some(Ok(opened)) => Ok(opened),
        Some(Err(error)) => Err(problem_of(&error)),
        None => Err(Problem::new(Reason::Vanished, "its root is gone")),
    };
    let listed = |file: &FileEntry| -> Result<Look, Problem> {
        let look = tree.and_then(|tree| tree.look(directory.index, &file.name));
        look.ok_or_else(|| Problem::new(Reason::ChangedWhileReading, "nothing is known of it from when it was listed"))
    };
    directory.files.par_iter().enumerate().with_max_len(FILES_PER_JOB).try_for_each(|(number, file)| {
        let answer = match (unreadable(file), &opened, listed(file)) {
            (Some(problem), ..) | (None, Err(problem), _) => Err(problem.clone()),
            (None, Ok(_), Err(problem)) => Err(problem),
            (None, Ok(opened), Ok(listed)) => {
                match digest_file(opened.as_fd(), &file.name, listed, algorithm, context) {
                    Ok(digest) => Ok(digest),
                    Err(ReadError::Problem(problem)) => Err(problem),
                    Err(ReadError::Cancelled) => return Err(Cancelled),
                }
            }
        };
        context.finished_file();
        each(number, answer);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exclude::{RootRules, Rules};
    use crate::manifest::{Identity, RootSpec, matching_files};
    use crate::model::RootId;
    use parking_lot::Mutex;
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

    /// The digests of a file and of one behind a symbolic link, to which something happens after they were listed.
    fn own_digests(change: impl Fn(&Path)) -> Vec<Answer> {
        let tmp = tempfile::tempdir().unwrap();
        let home = tmp.path().join("root");
        fs::create_dir(&home).unwrap();
        put(&home.join("file"), "bytes");
        put(&tmp.path().join("target"), "bytes");
        std::os::unix::fs::symlink("../target", home.join("link")).unwrap();
        let roots = [RootSpec { id: RootId::DATA_0, home: home.clone(), rules: RootRules::none() }];
        let identity = Identity::new("host".to_owned(), "instance".to_owned(), 7, &Rules::none());
        let context = Context::default();
        let manifest = Manifest::walk(identity, &roots, &context).unwrap();
        let listed = matching_files(&manifest, &manifest);
        std::thread::sleep(std::time::Duration::from_millis(20));
        change(&home);
        let answers = Mutex::new(BTreeMap::new());
        hash_directory(&manifest, &listed[0], DigestAlgorithm::Md5, &context, &|number, answer| {
            answers.lock().insert(number, answer);
        })
        .unwrap();
        answers.into_inner().into_values().collect()
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
