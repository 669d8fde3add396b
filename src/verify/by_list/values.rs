//! The values of files, by their positions: what a list says of them, and what they are when they are read.

use parking_lot::Mutex;

use super::expected::{Expected, met};
use crate::checksums::ChecksumList;
use crate::manifest::{DirectoryIndex, Manifest, MatchedDirectory, MatchingDirectory};
use crate::model::{ChecksumAlgorithm, FileEntry, Problem, Reason};
use crate::scan::{Cancelled, Context};
use crate::verify::per_file::{Answer, hash_files};

/// Where the values of a side come from.
#[derive(Clone, Copy)]
pub enum Values<'a> {
    /// A list has them.
    List(&'a ChecksumList),
    /// Its files are read.
    Disk(&'a Manifest),
}

/// A value for each file of each directory.
pub(super) type Answers = Vec<Vec<Answer>>;

impl Values<'_> {
    /// What the list says; `None` where there is none.
    pub(super) fn listed(&self, files: &[MatchedDirectory], algorithm: ChecksumAlgorithm) -> Option<Answers> {
        let Self::List(list) = self else { return None };
        let one = |directory: &MatchedDirectory, file: &FileEntry| {
            let value = directory.path.join(&file.name).ok().and_then(|path| list.digest(&path, algorithm));
            value.ok_or_else(|| Problem::new(Reason::PeerError, format!("the list has no {algorithm} of it")))
        };
        let of = |directory: &MatchedDirectory| directory.files.iter().map(|(file, _)| one(directory, file)).collect();
        Some(files.iter().map(of).collect())
    }

    /// What the files are that are there, asked for in the way in which the other side has its values.
    pub(super) fn read(
        &self,
        files: &[MatchedDirectory],
        others: &Answers,
        own: impl Fn(&(FileEntry, FileEntry)) -> &FileEntry,
        place: impl Fn(&MatchedDirectory) -> DirectoryIndex,
        context: &Context,
    ) -> Result<Answers, Cancelled> {
        let Self::Disk(manifest) = self else { return Ok(Vec::new()) };
        let expected: Vec<Vec<Expected>> = files
            .iter()
            .zip(others)
            .map(|(directory, others)| {
                let pairs = directory.files.iter().zip(others);
                pairs.map(|(pair, other)| Expected::of(other, own(pair).size())).collect()
            })
            .collect();
        let not_read = || Err(Problem::new(Reason::Unreadable, "it was not read"));
        let answers: Answers =
            files.iter().map(|directory| directory.files.iter().map(|_| not_read()).collect()).collect();
        let answers = Mutex::new(answers);
        for algorithm in Expected::all(expected.iter().flatten()) {
            let (mut wanted, mut positions) = (Vec::new(), Vec::new());
            for (at, directory) in files.iter().enumerate() {
                let is_wanted = |number: &usize| {
                    let known = &answers.lock()[at][*number];
                    expected[at][*number].algorithms().contains(&algorithm) && !met(&others[at][*number], known)
                };
                let numbers: Vec<usize> = (0..directory.files.len()).filter(is_wanted).collect();
                if numbers.is_empty() {
                    continue;
                }
                let index = place(directory);
                let files = numbers.iter().map(|number| own(&directory.files[*number]).clone()).collect();
                wanted.push(MatchingDirectory { root: directory.root, path: directory.path.clone(), index, files });
                positions.push((at, numbers));
            }
            hash_files(manifest, &wanted, algorithm, context, &|(directory, number), answer| {
                let (at, numbers) = &positions[directory];
                answers.lock()[*at][numbers[number]] = answer;
            })?;
        }
        let mut answers = answers.into_inner();
        for ((answers, others), expected) in answers.iter_mut().zip(others).zip(&expected) {
            for ((answer, other), expected) in answers.iter_mut().zip(others).zip(expected) {
                expected.settle(other, answer);
            }
        }
        Ok(answers)
    }

    /// Looks once more at what lies on this machine, behind the last read.
    pub(super) fn look_again(&self, context: &Context) -> Result<(), Cancelled> {
        match self {
            Self::List(_) => Ok(()),
            Self::Disk(manifest) => manifest.look_again(context, &|_, _, _| ()),
        }
    }
}
