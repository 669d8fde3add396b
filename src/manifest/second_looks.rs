//! Second looks at the directories of a manifest, once all its roots are listed and its last file is read.
//!
//! The first look at a directory comes before its names are read. Where all second looks find what the first ones did, every
//! directory held just what was listed at the moment between the last listing and the first of the second looks. Where one does
//! not, the directory is listed again, and that moment moves: all second looks are taken once more.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd as _;

use rayon::prelude::*;

use super::directory::DirectoryIndex;
use super::links::Place as At;
use super::tree::Tree;
use super::trees::Manifest;
use crate::model::{Content, FileEntry, Listed, Name, Problem, Reason};
use crate::scan::{
    Cancelled, Context, DirectoryLook, Expected, Listing, Look, Looks, Moment, Mounts, ROUNDS, ReadError, RootHandle,
    digest_again, list_directory,
};

/// Learns of a directory that is not known to have held what was listed: number of the root, directory, and the problem; `None`
/// for a directory that is concerned only because it stands above such a one.
pub(super) type Withdrawn<'a> = dyn Fn(usize, DirectoryIndex, Option<Problem>) + Sync + 'a;

impl Manifest {
    /// Takes the second looks, and lists again what changed. What goes on changing, or is no longer what was listed, is
    /// [`Reason::ChangedWhileReading`], and [`Tree::unsteady`] from then on. Call it inside a rayon pool, after the last read.
    pub fn look_again(&self, context: &Context, withdrawn: &Withdrawn<'_>) -> Result<(), Cancelled> {
        let (mounts, since) = (self.mounts.clone(), self.since);
        let mut looks = SecondLooks { manifest: self, context, lost: BTreeMap::new(), mounts, since };
        looks.all()?;
        for ((number, index), problem) in looks.lost {
            let Some(tree) = &self.roots()[number].tree else { continue };
            for concerned in tree.withdraw(index, problem.clone()) {
                withdrawn(number, concerned, (concerned == index).then(|| problem.clone()));
            }
        }
        self.roots().iter().filter_map(|root| root.tree.as_ref()).for_each(Tree::forget_looks);
        Ok(())
    }
}

struct SecondLooks<'a> {
    manifest: &'a Manifest,
    context: &'a Context,
    /// What is given up on.
    lost: BTreeMap<At, Problem>,
    /// What was mounted before the last looks.
    mounts: Mounts,
    /// A moment of before them.
    since: Moment,
}

impl SecondLooks<'_> {
    fn all(&mut self) -> Result<(), Cancelled> {
        for round in 0..=ROUNDS {
            let changed = self.changed();
            self.context.cancel.check()?;
            if changed.is_empty() {
                break;
            }
            if round == ROUNDS {
                let problem = || Problem::new(Reason::ChangedWhileReading, "it changed each time it was listed");
                self.lost.extend(changed.into_iter().map(|(at, _)| (at, problem())));
                break;
            }
            std::thread::sleep(changed.iter().map(|(_, look)| look.wait()).max().unwrap_or_default());
            let again: Vec<(At, Result<(), Problem>)> = changed
                .into_par_iter()
                .map(|(at, look)| Ok((at, self.list_again(at, look.seen())?)))
                .collect::<Result<_, Cancelled>>()?;
            self.lost.extend(again.into_iter().filter_map(|(at, again)| Some((at, again.err()?))));
        }
        Ok(())
    }

    /// The directories that are no longer as they were listed, of those that are not given up on. Each root is opened by its path
    /// once more: one that was exchanged for another is another one now.
    fn changed(&mut self) -> Vec<(At, DirectoryLook)> {
        let (mounts, now) = (Mounts::now(), Moment::now());
        let roots = self.manifest.roots().par_iter().enumerate();
        let changed = roots.filter_map(|(number, root)| {
            let tree = root.tree.as_ref()?;
            let home = &tree.place()?.home;
            let mounted = self.mounts.changed_below(&mounts, home);
            let opened = RootHandle::open(home).ok();
            let steady = tree.steady().into_par_iter().enumerate();
            let changed = steady.filter_map(|(position, look)| {
                let at = (number, DirectoryIndex(position as u32));
                if look == DirectoryLook::None || self.lost.contains_key(&at) {
                    return None;
                }
                let path = tree.table().path(at.1);
                let same = !mounted.contains(&path)
                    && opened.as_ref().is_some_and(|root| {
                        !root.may_have_changed(&path, look, &self.since, self.context)
                            && !tree.targets_changed(at.1, root, self.context)
                    });
                (!same).then_some((at, look))
            });
            Some(changed.collect::<Vec<_>>())
        });
        let changed = changed.flatten().collect();
        (self.mounts, self.since) = (mounts, now);
        changed
    }

    /// Lists a directory again. It is what it was where it holds the same entries, and the same bytes under the name of each
    /// file that is not the one that was read. The wait after the look that is `rested` is over.
    fn list_again(&self, (number, index): At, rested: Option<Look>) -> Result<Result<(), Problem>, Cancelled> {
        self.context.cancel.check()?;
        let Some((tree, place)) =
            self.manifest.roots()[number].tree.as_ref().and_then(|tree| Some((tree, tree.place()?)))
        else {
            return Ok(Ok(()));
        };
        let changed = |detail: String| Ok(Err(Problem::new(Reason::ChangedWhileReading, detail)));
        let root = match RootHandle::open(&place.home) {
            Ok(root) => root,
            Err(error) => return changed(format!("its root was listed, and is not there any more: {error}")),
        };
        let listing = list_directory(&root, &place.rules, &tree.table().path(index), rested, self.context);
        if let Some(problem) = &listing.directory.unlisted {
            return changed(format!("it was listed, and cannot be any more: {}", problem.detail));
        }
        let files = tree.files(index);
        if !same_entries(tree, index, &files, &listing) {
            return changed("entries came or went, or changed, while it was read".to_owned());
        }
        if let Some(name) = self.other_bytes(&root, tree, index, &files, &listing.directory.looks)? {
            return changed(format!("{name} was another file when it was read"));
        }
        tree.settle(index, listing.directory.steady, listing.directory.looks);
        Ok(Ok(()))
    }

    /// A file that is not the one that was read, and cannot be shown to hold the same bytes.
    fn other_bytes(
        &self,
        root: &RootHandle,
        tree: &Tree,
        index: DirectoryIndex,
        files: &[FileEntry],
        looks: &Looks,
    ) -> Result<Option<Name>, Cancelled> {
        let before = tree.looks(index);
        let others: Vec<usize> = (0..files.len()).filter(|at| before.files.get(*at) != looks.files.get(*at)).collect();
        if others.is_empty() {
            return Ok(None);
        }
        let Ok(directory) = root.open_directory(&tree.table().path(index)) else {
            return Ok(Some(files[others[0]].name.clone()));
        };
        let other = others.into_par_iter().find_map_any(|at| {
            let file = &files[at];
            let same = match &file.listed {
                Listed::File { size, modified_ms, content: Content::Digest(digest) } => {
                    let expected = Expected { size: *size, modified_ms: *modified_ms, look: looks.files[at] };
                    digest_again(directory.as_fd(), &file.name, expected, self.context)
                        .map(|again| again == Some(*digest))
                }
                // Nothing is known of it that could be another thing now.
                Listed::File { content: Content::Unverified(_), .. } | Listed::Unlistable(_) => Ok(true),
                Listed::File { content: Content::NotRead, .. } => Ok(false),
            };
            match same {
                Ok(true) => None,
                Ok(false) | Err(ReadError::Problem(_)) => Some(Ok(file.name.clone())),
                Err(ReadError::Cancelled) => Some(Err(Cancelled)),
            }
        });
        other.transpose()
    }
}

/// Whether a directory holds what it did: the same names, of the same kinds, sizes and times.
fn same_entries(tree: &Tree, index: DirectoryIndex, files: &[FileEntry], now: &Listing) -> bool {
    let same_file = |(before, now): (&FileEntry, &FileEntry)| {
        before.name == now.name
            && match (&before.listed, &now.listed) {
                (Listed::Unlistable(_), Listed::Unlistable(_)) => true,
                (Listed::File { size, modified_ms, .. }, Listed::File { size: s, modified_ms: m, .. }) => {
                    (size, modified_ms) == (s, m)
                }
                _ => false,
            }
    };
    let table = tree.table();
    let before: BTreeSet<(Vec<u8>, bool)> =
        table.children(index).map(|(child, name)| (name.as_bytes().to_vec(), table.get(child).link)).collect();
    let directories = now.subdirectories.iter().map(|path| (path, false));
    let children = directories.chain(now.links.iter().map(|(path, _)| (path, true)));
    let now_there: BTreeSet<(Vec<u8>, bool)> =
        children.filter_map(|(path, link)| Some((path.names().last()?.to_vec(), link))).collect();
    files.len() == now.directory.files.len()
        && files.iter().zip(&now.directory.files).all(same_file)
        && before == now_there
}
