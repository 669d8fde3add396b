//! What a running task can already count: files that content hashes of both sides prove equal.

use crate::manifest::{DirectoryIndex, DirectoryTable};
use crate::model::Counters;
use crate::peer::Exchange;
use crate::protocol::FinishedDirectory;
use crate::work::Build;

/// Counters that can be shown before the end: what content hashes of both sides have proven so far.
///
/// Only for roots whose metadata is proven equal: there the two tables are the same, and so are the indices. Nothing counts
/// before that was looked at.
#[derive(Debug, Default)]
pub(super) struct Proven {
    pub counters: Counters,
    /// Wherever hashes of both sides agree, the tables below them do.
    pub tables_agree: bool,
    metadata_counted: bool,
    waiting: Vec<FinishedDirectory>,
}

impl Proven {
    /// Takes in what became known since the last call.
    pub(super) fn update(&mut self, build: &Build, exchange: &Exchange) {
        if !self.tables_agree {
            return;
        }
        let (Some(local), Some(remote)) = (build.manifest(), exchange.metadata_now()) else { return };
        let root = |number: u32| {
            let (id, theirs) = remote.roots.get(number as usize)?;
            let ours = local.root(*id)?.tree.as_ref()?;
            let metadata = |table: &DirectoryTable| table.get(DirectoryIndex::ROOT).metadata;
            let same = metadata(ours.table()).proves_equal(&metadata(theirs.as_ref()?));
            same.then_some(ours)
        };
        if !self.metadata_counted {
            self.metadata_counted = true;
            for tree in (0..remote.roots.len() as u32).filter_map(root) {
                let totals = tree.table().totals(DirectoryIndex::ROOT);
                self.counters.metadata_matched += totals.files + totals.directories;
            }
        }
        self.waiting.extend(exchange.take_fresh());
        let matched = &mut self.counters.files_matched;
        self.waiting.retain(|FinishedDirectory { root: number, directory, hash: theirs, .. }| {
            let Some(tree) = root(*number) else { return false };
            match tree.content_if_known(*directory) {
                None => true,
                Some(ours) => {
                    if ours.proves_equal(theirs) {
                        // Known, so the table has it.
                        *matched += tree.table().get(*directory).files;
                    }
                    false
                }
            }
        });
    }
}
