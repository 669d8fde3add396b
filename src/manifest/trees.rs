//! The trees of an instance: its roots, walked side by side, and what they come to together.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::directory::{DirectoryIndex, Totals};
use super::hash::{HashKind, SubtreeHash};
use super::identity::Identity;
use super::links::{HardLinks, Place as At, Role};
use super::table::{DirectoryTable, hash_of_roots, totals_of_roots};
use super::table_error::TableError;
use super::tree::{Place, Tree};
use crate::exclude::RootRules;
use crate::model::{Name, RootId};
use crate::scan::{Cancelled, Context, FileId, Moment, Mounts, Walked, WalkedDirectory, WalkedRoot, walk_roots};

/// A root to be walked.
#[derive(Debug, Clone)]
pub struct RootSpec {
    /// Its name in the instance.
    pub id: RootId,
    /// Where it lies.
    pub home: PathBuf,
    /// What to leave out.
    pub rules: RootRules,
}

/// Why a manifest could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// It was asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The tree is beyond what a manifest can hold.
    #[error("{root}: {source}")]
    Table {
        /// The root.
        root: RootId,
        /// The limit.
        source: TableError,
    },
}

/// The trees of an instance.
#[derive(Debug)]
pub struct Manifest {
    /// What it is of.
    pub identity: Identity,
    roots: Vec<Root>,
    links: HardLinks,
    /// What was mounted before the last look of the walk.
    pub(super) mounts: Mounts,
    /// A moment of before that.
    pub(super) since: Moment,
}

/// One root of a manifest.
#[derive(Debug)]
pub struct Root {
    /// Its name in the instance.
    pub id: RootId,
    /// Its tree; `None` where the root is missing on disk.
    pub tree: Option<Tree>,
}

impl Root {
    /// Where it lies on this machine.
    pub fn home(&self) -> Option<&Path> {
        Some(self.tree.as_ref()?.place()?.home.as_path())
    }
}

impl Manifest {
    /// Walks all roots and hashes their metadata. Call it inside a rayon pool.
    pub fn walk(identity: Identity, roots: &[RootSpec], context: &Context) -> Result<Self, BuildError> {
        let homes: Vec<_> = roots.iter().map(|spec| (spec.home.as_path(), &spec.rules)).collect();
        let Walked { roots: walked, mounts, since } = walk_roots(&homes, context)?;
        let mut walked: Vec<(Root, Linked)> = roots
            .par_iter()
            .zip(walked)
            .map(|(spec, walked)| match walked {
                WalkedRoot::Absent => Ok((Root { id: spec.id, tree: None }, Vec::new())),
                WalkedRoot::Present { handle, mut directories } => {
                    let linked = take_linked(&mut directories);
                    let place = Place { home: spec.home.clone(), rules: spec.rules.clone(), handle };
                    let tree = Tree::new(Some(place), directories);
                    let tree = tree.map_err(|source| BuildError::Table { root: spec.id, source })?;
                    Ok((Root { id: spec.id, tree: Some(tree) }, linked))
                }
            })
            .collect::<Result<_, BuildError>>()?;
        walked.sort_by_key(|(root, _)| root.id);
        let (roots, linked): (Vec<Root>, Vec<Linked>) = walked.into_iter().unzip();
        let in_order = linked.into_iter().enumerate();
        let places = in_order.flat_map(|(root, linked)| linked.into_iter().map(move |(at, files)| ((root, at), files)));
        check_totals(&roots)?;
        let links = HardLinks::new(places.collect());
        Ok(Self { identity, roots, links, mounts, since })
    }

    /// A manifest of directories that were listed elsewhere; its files cannot be read here. Each root's directories are in
    /// pre-order, the root itself first.
    pub fn of_listed(
        identity: Identity,
        roots: impl IntoIterator<Item = (RootId, Vec<WalkedDirectory>)>,
    ) -> Result<Self, BuildError> {
        let tree = |(id, directories)| match Tree::new(None, directories) {
            Ok(tree) => Ok(Root { id, tree: Some(tree) }),
            Err(source) => Err(BuildError::Table { root: id, source }),
        };
        let mut roots: Vec<Root> = roots.into_iter().map(tree).collect::<Result<_, _>>()?;
        roots.sort_by_key(|root| root.id);
        check_totals(&roots)?;
        let (links, mounts, since) = (HardLinks::default(), Mounts::default(), Moment::now());
        Ok(Self { identity, roots, links, mounts, since })
    }

    /// The roots, sorted by id.
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// The root with this id.
    pub fn root(&self, id: RootId) -> Option<&Root> {
        self.roots.binary_search_by_key(&id, |root| root.id).ok().map(|at| &self.roots[at])
    }

    /// Which of its names this one of a directory's files is; `None` where it is the only one in the manifest.
    pub fn role(&self, root: RootId, directory: DirectoryIndex, name: &Name) -> Option<Role> {
        let at = self.at(root, directory)?;
        if !self.links.concerns(at) {
            return None;
        }
        let position = self.roots[at.0].tree.as_ref()?.position(directory, name)?;
        self.links.role(at, position)
    }

    /// Whether a directory holds a further name of a file.
    pub fn has_further_names(&self, root: RootId, directory: DirectoryIndex) -> bool {
        self.at(root, directory).is_some_and(|at| self.links.waits(at))
    }

    fn at(&self, root: RootId, directory: DirectoryIndex) -> Option<At> {
        self.roots.binary_search_by_key(&root, |root| root.id).ok().map(|number| (number, directory))
    }

    /// The files with several names.
    pub(super) fn links(&self) -> &HardLinks {
        &self.links
    }

    /// Sums over all roots.
    pub fn totals(&self) -> Totals {
        // They fit, or there would be no manifest.
        totals_of_roots(tables_of(&self.roots)).unwrap_or_default()
    }

    /// The instance's root hash of the given kind.
    pub fn instance_hash(&self, kind: HashKind) -> SubtreeHash {
        let roots = self.roots.iter().map(|root| {
            let tree = root.tree.as_ref();
            (root.id, tree.map(|tree| (tree.table(), tree.content(DirectoryIndex::ROOT))))
        });
        hash_of_roots(kind, roots)
    }
}

fn tables_of(roots: &[Root]) -> impl Iterator<Item = &DirectoryTable> {
    roots.iter().filter_map(|root| root.tree.as_ref()).map(Tree::table)
}

/// The sums of a root fit; those over all roots must, too.
fn check_totals(roots: &[Root]) -> Result<(), BuildError> {
    match (totals_of_roots(tables_of(roots)), roots.last()) {
        (None, Some(last)) => Err(BuildError::Table { root: last.id, source: TableError::Overflow(0) }),
        _ => Ok(()),
    }
}

/// A root's files with several names, by directory.
type Linked = Vec<(DirectoryIndex, Vec<(u32, FileId)>)>;

fn take_linked(directories: &mut [WalkedDirectory]) -> Linked {
    let linked =
        (0..).map(DirectoryIndex).zip(directories).map(|(index, walked)| (index, std::mem::take(&mut walked.linked)));
    linked.filter(|(_, files)| !files.is_empty()).collect()
}
