//! Hashing what a manifest lists: every file once, in parallel, and each directory as soon as everything in it is known.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::OnceLock;

use rayon::prelude::*;

use super::directory::DirectoryIndex;
use super::hash::SubtreeHash;
use super::links::{HardLinks, Role};
use super::tree::Tree;
use super::trees::{Manifest, Root};
use crate::model::{Content, FileEntry, Listed, Problem, RelPath, RootId};
use crate::scan::{
    Begun, CacheView, Cancelled, ContentError, Context, DigestCache, Expected, FileContent, Look, Prefetched,
    ReadError, file_content, in_order, jobs, linked_content, on_each_disk, problem_of, read_job,
};

/// Why a manifest's content is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// It was asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// An audit found that a recorded digest is not that of the file's bytes.
    #[error(
        "{root}: the file {path} has other bytes than when its digest was recorded, though its size and times say that \
         nothing changed: the medium, or something beneath the file system, changed it. No recorded digest is believed \
         any more, and all were dropped; verify again to have every file read"
    )]
    Discredited {
        /// The root.
        root: RootId,
        /// The file.
        path: RelPath,
    },
    /// Recorded digests were trusted here, and meanwhile one of them proved wrong elsewhere.
    #[error(
        "recorded digests were trusted, and one of them proved wrong in another verification at the same time; all were \
         dropped; verify again to have every file read"
    )]
    RecordsDropped,
}

/// Learns of each directory whose content hash is known: number of the root, directory, hash; and once more of each whose hash was
/// withdrawn, with the problem where it is one of the directory itself.
pub(super) type Finished<'a> = dyn Fn(usize, DirectoryIndex, SubtreeHash, Option<Problem>) + Sync + 'a;

/// One pass over a manifest.
struct Hashing<'a> {
    manifest: &'a Manifest,
    links: &'a HardLinks,
    context: &'a Context,
    finished: &'a Finished<'a>,
    /// Why a root is not read to its end.
    failed: OnceLock<HashError>,
}

impl Manifest {
    /// Reads and hashes every file. `finished` learns of each directory once its content hash is known, children
    /// before their parents, and after the last file of
    /// those that changed meanwhile. Call it inside a rayon pool, once.
    pub fn hash_contents(&self, context: &Context, finished: &Finished<'_>) -> Result<(), HashError> {
        let hashing = Hashing { manifest: self, links: self.links(), context, finished, failed: OnceLock::new() };
        let discredits = || context.cache().map(DigestCache::discredits);
        let before = discredits();
        let done = hashing.all();
        if let Some(cache) = context.cache() {
            cache.flush();
        }
        done?;
        self.look_again(context, &|root, index, problem| finished(root, index, SubtreeHash::Unproven, problem))?;
        // Found by somebody else while this was under way.
        match discredits() != before && context.progress.provenance().trusted_files > 0 {
            true => Err(HashError::RecordsDropped),
            false => Ok(()),
        }
    }
}

impl Hashing<'_> {
    /// What waits for other names comes last: by then every first name was read, so that no thread ever waits for another.
    fn all(&self) -> Result<(), HashError> {
        let done = on_each_disk(self.manifest.roots(), Root::home, |number, root| {
            let Some(tree) = &root.tree else { return Ok(()) };
            let indices: Vec<DirectoryIndex> = tree.table().indices().collect();
            in_order(indices.len(), |at| {
                self.directory(number, root.id, tree, indices[at]).inspect_err(|error| {
                    // What is read on other disks ends with it.
                    let _ = self.failed.set(error.clone());
                })
            })
        });
        done.into_iter().collect::<Result<(), HashError>>()?;
        self.links.waiting().into_par_iter().try_for_each(|(number, index)| {
            let root = &self.manifest.roots()[number];
            root.tree.as_ref().map_or(Ok(()), |tree| self.further_names(number, root.id, tree, index))
        })
    }

    fn directory(&self, number: usize, root: RootId, tree: &Tree, index: DirectoryIndex) -> Result<(), HashError> {
        self.context.cancel.check()?;
        if let Some(error) = self.failed.get() {
            return Err(error.clone());
        }
        let waits = self.links.waits((number, index));
        let contents =
            self.contents(root, tree, index, Pass::First, |position, open, file, expected, view, held| {
                match self.links.role((number, index), position) {
                    Some(Role::Further(_)) => Begun::Done(Ok(Learnt::nothing())),
                    role => file_content(open.as_fd(), &file.name, expected, view, held, self.context).map(|read| {
                        if let (Some(Role::First(id)), Ok(content)) = (role, &read) {
                            self.links.learn(id, *content);
                        }
                        known(read)
                    }),
                }
            })?;
        tree.set_contents(
            index,
            contents,
            (!waits).then_some(&|index, hash| (self.finished)(number, index, hash, None)),
        );
        Ok(())
    }

    fn further_names(&self, number: usize, root: RootId, tree: &Tree, index: DirectoryIndex) -> Result<(), HashError> {
        self.context.cancel.check()?;
        let contents =
            self.contents(root, tree, index, Pass::Further, |position, open, file, expected, view, held| {
                let Some(Role::Further(id)) = self.links.role((number, index), position) else {
                    return Begun::Done(Ok(Learnt::nothing()));
                };
                // What was trusted of a name in one root is not where recorded digests are not used.
                let shared = self.links.content(id).filter(|known| !known.trusted || view.is_some());
                let shared =
                    shared.and_then(|known| linked_content(open.as_fd(), &file.name, expected, &known, self.context));
                match shared {
                    Some(content) => Begun::Done(known(Ok(content))),
                    None => file_content(open.as_fd(), &file.name, expected, view, held, self.context).map(known),
                }
            })?;
        tree.set_contents(index, contents, Some(&|index, hash| (self.finished)(number, index, hash, None)));
        Ok(())
    }

    /// What becomes known of the files of a directory that are not read yet, by their positions; `None` for all others and
    /// where `learn` leaves a file unread.
    fn contents(
        &self,
        root: RootId,
        tree: &Tree,
        index: DirectoryIndex,
        pass: Pass,
        learn: impl Fn(usize, &OwnedFd, &FileEntry, Expected, Option<&CacheView<'_>>, Option<Prefetched>) -> Learning + Sync,
    ) -> Result<Vec<Option<Content>>, HashError> {
        let (files, looks) = (tree.listed(index), tree.looks(index));
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let opened = match tree.handle().map(|handle| handle.open_directory(&tree.table().path(index))) {
            Some(Ok(directory)) => Ok(directory),
            Some(Err(error)) => Err(Content::Unverified(problem_of(&error))),
            None => Err(Content::NotRead),
        };
        let view = self.recorded(root).and_then(DigestCache::view);
        let one = |position: usize, held: Option<Prefetched>| {
            let file = &files[position];
            let Listed::File { size, modified_ms, content: Content::NotRead } = file.listed else {
                // Never read, and counted the first time.
                if pass == Pass::First {
                    self.context.finished_file();
                }
                return Ok(Begun::Done(None));
            };
            let seen = looks.files.get(position).copied().flatten();
            let begun = match &opened {
                Ok(open) => {
                    // What waits for another name is not the first to be looked at.
                    let look = seen.filter(|_| pass == Pass::First);
                    learn(position, open, file, Expected { size, modified_ms, look }, view.as_ref(), held)
                }
                Err(unreadable) => Begun::Done(Ok(Learnt { content: unreadable.clone(), of: None })),
            };
            let learnt = match begun {
                Begun::Pending(held) => return Ok(Begun::Pending(held)),
                Begun::Done(learnt) => learnt.map_err(|unreadable| unreadable.told_of(root, tree, index, file))?,
            };
            let Learnt { content, of } = learnt;
            if let Some(look) = of.filter(|look| Some(*look) != seen) {
                tree.note_look(index, position, look);
            }
            // One that waits for another of its names is not done.
            if content == Content::NotRead {
                return Ok(Begun::Done(None));
            }
            self.context.finished_file();
            Ok(Begun::Done(Some(content)))
        };
        let jobs = jobs(files.iter().map(FileEntry::size), view.is_some(), self.context);
        let done = jobs.into_par_iter().with_max_len(1).map(|job| read_job(job, self.context, one));
        let mut contents = vec![None; files.len()];
        for (position, content) in done.collect::<Result<Vec<_>, HashError>>()?.into_iter().flatten() {
            contents[position] = content;
        }
        Ok(contents)
    }

    fn recorded(&self, root: RootId) -> Option<&DigestCache> {
        self.context.cache().filter(|_| root.directory_type.is_written_once())
    }
}

/// How often a directory was gone through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// The first time.
    First,
    /// Once more, for the further names in it.
    Further,
}

/// Why nothing more is read.
enum Unreadable {
    Cancelled,
    Discredited,
}

impl Unreadable {
    fn told_of(self, root: RootId, tree: &Tree, index: DirectoryIndex, file: &FileEntry) -> HashError {
        match self {
            Self::Cancelled => Cancelled.into(),
            Self::Discredited => {
                let directory = tree.table().path(index);
                let path = directory.join(&file.name).unwrap_or(directory);
                HashError::Discredited { root, path }
            }
        }
    }
}

/// The outcome of reading a file, or the read that has begun.
type Learning = Begun<Result<Learnt, Unreadable>>;

/// What became known of a file, and of which file that is.
struct Learnt {
    content: Content,
    of: Option<Look>,
}

impl Learnt {
    /// The file waits for another of its names.
    fn nothing() -> Self {
        Self { content: Content::NotRead, of: None }
    }
}

fn known(read: Result<FileContent, ContentError>) -> Result<Learnt, Unreadable> {
    match read {
        Ok(known) => Ok(Learnt { content: Content::Digest(known.digest), of: Some(known.identity.look()) }),
        Err(ContentError::Read(ReadError::Problem(problem))) => {
            Ok(Learnt { content: Content::Unverified(problem), of: None })
        }
        Err(ContentError::Read(ReadError::Cancelled)) => Err(Unreadable::Cancelled),
        Err(ContentError::Discredited) => Err(Unreadable::Discredited),
    }
}
