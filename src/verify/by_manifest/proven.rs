//! What a running task can already count: files that content hashes of both sides prove equal.

use crate::manifest::{DirectoryIndex, DirectoryTable, Manifest, Tree};
use crate::model::Counters;
use crate::peer::RemoteManifest;
use crate::protocol::FinishedDirectory;

/// Counters that can be shown before the end: what content hashes of both sides have proven so far, and neither side has withdrawn.
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
    standings: Standings,
    /// How many directories of each root this side is known to have withdrawn.
    withdrawn_here: Vec<usize>,
}

impl Proven {
    /// Takes in what became known since the last call: `fresh` of the source, and of this side by itself.
    pub(super) fn update(&mut self, local: &Manifest, remote: &RemoteManifest, fresh: Vec<FinishedDirectory>) {
        let trees: Vec<Option<&Tree>> =
            (0..remote.roots.len()).map(|number| same_tree(local, remote, number)).collect();
        if !self.metadata_counted {
            self.metadata_counted = true;
            for tree in trees.iter().flatten() {
                let totals = tree.table().totals(DirectoryIndex::ROOT);
                self.counters.metadata_matched += totals.files + totals.directories;
            }
        }
        self.withdraw_here(&trees);
        self.waiting.extend(fresh);
        let (standings, matched) = (&mut self.standings, &mut self.counters.files_matched);
        self.waiting.retain(|FinishedDirectory { root: number, directory, hash: theirs, .. }| {
            let Some(tree) = trees.get(*number as usize).copied().flatten() else { return false };
            // The assembly has refused directories that do not exist.
            let (at, files) = ((*number as usize, *directory), tree.table().get(*directory).files);
            if !theirs.is_proven() {
                *matched -= if standings.withdraw(at) { files } else { 0 };
                return false;
            }
            let Some(ours) = tree.content_if_known(*directory) else { return true };
            *matched += if ours.proves_equal(theirs) && standings.prove(at) { files } else { 0 };
            false
        });
    }

    fn withdraw_here(&mut self, trees: &[Option<&Tree>]) {
        self.withdrawn_here.resize(trees.len(), 0);
        for (number, tree) in trees.iter().enumerate() {
            let Some(tree) = tree else { continue };
            let withdrawn = tree.withdrawn_after(self.withdrawn_here[number]);
            self.withdrawn_here[number] += withdrawn.len();
            for directory in withdrawn.into_iter().filter(|directory| self.standings.withdraw((number, *directory))) {
                self.counters.files_matched -= tree.table().get(directory).files;
            }
        }
    }
}

/// The tree here of a root at the source, where the metadata of both is proven equal.
fn same_tree<'a>(local: &'a Manifest, remote: &RemoteManifest, number: usize) -> Option<&'a Tree> {
    let (id, theirs) = remote.roots.get(number)?;
    let ours = local.root(*id)?.tree.as_ref()?;
    let metadata = |table: &DirectoryTable| table.get(DirectoryIndex::ROOT).metadata;
    metadata(ours.table()).proves_equal(&metadata(theirs.as_ref()?)).then_some(ours)
}

/// Which directories count, by number of the root and directory. What was withdrawn once never counts again in this run.
#[derive(Debug, Default)]
struct Standings(Vec<Vec<Standing>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Standing {
    #[default]
    Open,
    Counted,
    Withdrawn,
}

impl Standings {
    /// Both sides prove a directory; whether it counts from now on and did not before.
    fn prove(&mut self, at: (usize, DirectoryIndex)) -> bool {
        let standing = self.of(at);
        let counts = *standing == Standing::Open;
        if counts {
            *standing = Standing::Counted;
        }
        counts
    }

    /// A side withdraws a directory, or never proved it; whether it counted until now.
    fn withdraw(&mut self, at: (usize, DirectoryIndex)) -> bool {
        std::mem::replace(self.of(at), Standing::Withdrawn) == Standing::Counted
    }

    fn of(&mut self, (root, directory): (usize, DirectoryIndex)) -> &mut Standing {
        if self.0.len() <= root {
            self.0.resize(root + 1, Vec::new());
        }
        let root = &mut self.0[root];
        if root.len() <= directory.at() {
            root.resize(directory.at() + 1, Standing::Open);
        }
        &mut root[directory.at()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exclude::{RootRules, Rules};
    use crate::manifest::{Comparand as _, Identity, RootSpec, SubtreeHash};
    use crate::model::RootId;
    use crate::scan::Context;
    use parking_lot::Mutex;
    use std::fs;

    /// Two directories of a file each, and one of three in the root, at rest.
    fn walked() -> (tempfile::TempDir, Manifest, RemoteManifest) {
        let home = tempfile::tempdir().unwrap();
        for path in ["a", "b"].map(|name| home.path().join(name)) {
            fs::create_dir(&path).unwrap();
            fs::write(path.join("f"), "bytes").unwrap();
        }
        ["1", "2", "3"].iter().for_each(|name| fs::write(home.path().join(name), name).unwrap());
        std::thread::sleep(std::time::Duration::from_millis(25));
        let identity = Identity::new("host".to_owned(), "instance".to_owned(), 7, &Rules::none());
        let spec = RootSpec { id: RootId::DATA_0, home: home.path().to_owned(), rules: RootRules::none() };
        let local = Manifest::walk(identity.clone(), &[spec], &Context::default()).unwrap();
        let roots = local.tables().into_iter().map(|(id, table)| (id, table.cloned())).collect();
        (home, local, RemoteManifest { id: uuid::Uuid::nil(), identity, roots })
    }

    fn record(directory: u32, hash: SubtreeHash) -> FinishedDirectory {
        FinishedDirectory { root: 0, directory: DirectoryIndex(directory), hash, problem: None }
    }

    /// Hashes, tells the source's records once all is read here, and then lets something change.
    fn counted(
        tell: impl Fn(&mut Proven, &Manifest, &RemoteManifest) + Sync,
        change: impl Fn(&std::path::Path) + Sync,
    ) -> Proven {
        let (home, local, remote) = walked();
        let proven = Mutex::new(Proven::default());
        let finished = Mutex::new(0);
        let on_finished = |_, _, _, _: Option<_>| {
            *finished.lock() += 1;
            if *finished.lock() == 3 {
                tell(&mut proven.lock(), &local, &remote);
                change(home.path());
            }
        };
        local.hash_contents(&Context::default(), &on_finished).unwrap();
        let mut proven = proven.into_inner();
        proven.update(&local, &remote, Vec::new());
        proven
    }

    fn all(local: &Manifest) -> Vec<FinishedDirectory> {
        (0..).zip(local.contents(RootId::DATA_0)).map(|(number, hash)| record(number, hash)).collect()
    }

    #[test]
    fn what_changed_here_after_it_was_proven_is_counted_no_more() {
        let tell = |proven: &mut Proven, local: &Manifest, remote: &RemoteManifest| {
            proven.update(local, remote, all(local));
            assert_eq!((proven.counters.files_matched, proven.counters.metadata_matched), (5, 7));
        };
        assert_eq!(counted(tell, |_| ()).counters.files_matched, 5);
        // With what stands above it: nobody knows what the root holds.
        let changed = counted(tell, |home| fs::write(home.join("b/new"), "").unwrap());
        assert_eq!(changed.counters.files_matched, 1);
    }

    #[test]
    fn what_the_source_withdraws_is_counted_no_more_and_never_again() {
        let unproven = |number| record(number, SubtreeHash::Unproven);
        let tell = |proven: &mut Proven, local: &Manifest, remote: &RemoteManifest| {
            proven.update(local, remote, all(local));
            proven.update(local, remote, vec![unproven(1), unproven(0)]);
            assert_eq!(proven.counters.files_matched, 1);
            proven.update(local, remote, [vec![unproven(1)], all(local)].concat());
        };
        assert_eq!(counted(tell, |_| ()).counters.files_matched, 1);
    }

    /// The source is ahead of this side.
    #[test]
    fn what_the_source_withdraws_before_it_is_known_here_does_not_count() {
        let (_home, local, remote) = walked();
        let (_same, hashed, _) = walked();
        hashed.hash_contents(&Context::default(), &|_, _, _, _| ()).unwrap();
        let mut proven = Proven::default();
        proven.update(&local, &remote, [all(&hashed), vec![record(2, SubtreeHash::Unproven)]].concat());
        assert_eq!(proven.counters.files_matched, 0);
        local.hash_contents(&Context::default(), &|_, _, _, _| ()).unwrap();
        proven.update(&local, &remote, Vec::new());
        assert_eq!(proven.counters.files_matched, 4);
    }
}
