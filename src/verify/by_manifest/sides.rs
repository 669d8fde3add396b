//! Both sides of a comparison as the destination has them: the source's tables, its own manifest, and the way to ask.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::manifest::{
    Comparand as _, Depth, DirectoryPair, DirectoryTable, Manifest, OpenedSide, PairSide, PlannedRoot, RootHashes,
    SubtreeHash, compare_directory, plan_instance, unsteady_directories, unsteady_of,
};
use crate::model::{FileEntry, FileUrl, Findings, RootId};
use crate::peer::{Contents, Peer, PeerError, RemoteManifest};
use crate::scan::Engine;
use crate::scan::Threads;
use crate::verify::error::RunError;

/// Both sides of a comparison to some depth. Clones are cheap and share everything.
#[derive(Clone)]
pub(super) struct Sides {
    pub peer: Peer,
    pub remote: Arc<RemoteManifest>,
    /// The source's content hashes, once they are known.
    pub contents: Option<Arc<Contents>>,
    pub local: Arc<Manifest>,
    pub depth: Depth,
    pub threads: Threads,
    pub engine: Arc<Engine>,
    /// Cancelled before the source learns that it need not go on.
    pub stream_unwanted: CancellationToken,
}

impl Sides {
    /// Fails where the source contradicts itself: this side's hashes are its own.
    pub(super) fn plan(&self) -> Result<Vec<PlannedRoot>, RunError> {
        let ours: Vec<Vec<SubtreeHash>> = self.local.roots().iter().map(|root| self.local.contents(root.id)).collect();
        let source: Vec<_> = self
            .remote
            .roots
            .iter()
            .enumerate()
            .map(|(number, (id, table))| {
                let content = self.contents.as_ref().map_or(&[][..], |contents| contents.of_root(number));
                (*id, table.as_ref().map(|table| RootHashes { table, content }))
            })
            .collect();
        let destination: Vec<_> = self
            .local
            .tables()
            .into_iter()
            .zip(&ours)
            .map(|((id, table), content)| (id, table.map(|table| RootHashes { table, content })))
            .collect();
        plan_instance(&source, &destination, self.depth).map_err(|what| {
            let (peer, cause) = (self.peer.address().clone(), format!("it contradicts itself: {what}"));
            RunError::Source(PeerError::Broken { peer, cause })
        })
    }

    pub(super) fn remote_table(&self, id: RootId) -> Option<&DirectoryTable> {
        self.remote.root(id).map(|(_, table)| table)
    }

    pub(super) fn local_table(&self, id: RootId) -> Option<&DirectoryTable> {
        self.local.root(id).and_then(|root| root.tree.as_ref()).map(|tree| tree.table())
    }

    /// A directory in which the source has no files is known from its table, whose hash was checked.
    pub(super) fn needs_source(&self, id: RootId, pair: &DirectoryPair) -> bool {
        match (pair.source, self.remote.root(id)) {
            (PairSide::Directory(index), Some((_, table))) => table.get(index).files > 0,
            _ => false,
        }
    }

    pub(super) fn local_files(&self, id: RootId, side: PairSide) -> Vec<FileEntry> {
        let tree = self.local.root(id).and_then(|root| root.tree.as_ref());
        match (side, tree) {
            (PairSide::Directory(index), Some(tree)) => tree.files(index),
            _ => Vec::new(),
        }
    }

    /// The block of a directory's files; `None` where it has none.
    pub(super) fn local_block(&self, id: RootId, side: PairSide) -> Option<Arc<[u8]>> {
        let PairSide::Directory(index) = side else { return None };
        let tree = self.local.root(id)?.tree.as_ref()?;
        (tree.table().get(index).files > 0).then(|| tree.block(index))
    }

    /// Directories of which either side found only when their files were read that something is wrong with them: each is
    /// unverified, whatever its files say. Metadata alone says nothing of them.
    pub(super) fn late_problems(&self) -> Findings {
        let Some(contents) = &self.contents else { return Findings::default() };
        let theirs = contents.problems.iter().filter_map(|((id, index), problem)| {
            Some((FileUrl::new(*id, self.remote_table(*id)?.path(*index)), problem.clone()))
        });
        unsteady_directories(theirs, unsteady_of(&*self.local))
    }

    pub(super) fn compare(&self, id: RootId, pair: DirectoryPair, source_files: &[FileEntry]) -> Findings {
        let files = self.local_files(id, pair.destination);
        let source = OpenedSide { table: self.remote_table(id), files: source_files };
        compare_directory(id, pair, source, OpenedSide { table: self.local_table(id), files: &files }, self.depth)
    }
}
