//! Walking all roots until nothing moves between their directories.
//!
//! While a walk goes by, an entry can be renamed from a directory that is not listed yet to one that is, and nobody sees it. So
//! each directory has a look before its names are read, and all have a second one once the last of all roots was listed. Where
//! none changed, everything that was there at the moment between has been seen.

use std::path::Path;
use std::time::Duration;

use rayon::prelude::*;

use super::beneath::RootHandle;
use super::cancel::Cancelled;
use super::clock::Moment;
use super::context::Context;
use super::directory_look::DirectoryLook;
use super::mounts::Mounts;
use super::readers::on_each_disk;
use super::walk::{Known, walk_root};
use super::walked::{Walked, WalkedDirectory, WalkedRoot};
use crate::exclude::RootRules;
use crate::model::{Reason, RelPath};

/// How often directories that changed are listed again before they are given up on.
pub const ROUNDS: usize = 3;

/// Walks these roots, and lists again what changed meanwhile. A directory that goes on changing is
/// [`DirectoryLook::UNSTEADY`]. Fails only where it is cancelled. Call it inside a rayon pool.
pub fn walk_roots(roots: &[(&Path, &RootRules)], context: &Context) -> Result<Walked, Cancelled> {
    let (mounts, since) = (Mounts::now(), Moment::now());
    let walk = |(home, rules): &(&Path, &RootRules)| walk_root(home, rules, Known::default(), context);
    let walked = on_each_disk(roots, |(home, _)| Some(home), |_, root| walk(root));
    let walked = walked.into_iter().collect::<Result<Vec<_>, Cancelled>>()?;
    settle(roots, Walked { roots: walked, mounts, since }, context)
}

fn settle(roots: &[(&Path, &RootRules)], mut walked: Walked, context: &Context) -> Result<Walked, Cancelled> {
    for round in 0..=ROUNDS {
        let (mounts, now) = (Mounts::now(), Moment::now());
        let changed = roots.par_iter().zip(&walked.roots).map(|((home, _), root)| {
            let mounted = walked.mounts.changed_below(&mounts, home);
            changed_in(root, home, |path| mounted.contains(path), &walked.since, context)
        });
        let changed: Vec<Changed> = changed.collect();
        (walked.mounts, walked.since) = (mounts, now);
        context.cancel.check()?;
        if changed.iter().all(|changed| matches!(changed, Changed::Nothing)) {
            break;
        }
        if round == ROUNDS {
            walked.roots.iter_mut().zip(&changed).for_each(|(root, changed)| give_up(root, changed));
            break;
        }
        std::thread::sleep(walked.roots.iter().map(wait_of).max().unwrap_or_default());
        let again = roots.par_iter().zip(walked.roots).zip(changed).map(|(((home, rules), root), changed)| {
            match (root, changed) {
                (root, Changed::Nothing) => Ok(root),
                (WalkedRoot::Present { directories, .. }, Changed::Directories(paths)) => {
                    walk_root(home, rules, Known::but(directories, &paths, context), context)
                }
                (root, _) => walk_root(home, rules, all_but_all(root, context), context),
            }
        });
        walked.roots = again.collect::<Result<_, _>>()?;
    }
    Ok(walked)
}

/// What is no longer as it was listed in a root.
enum Changed {
    Nothing,
    /// These directories, sorted.
    Directories(Vec<RelPath>),
    /// There is none now where there was one, or the other way round.
    Root,
}

/// The root is opened by its path once more: one that was exchanged for another is another one now.
fn changed_in(
    root: &WalkedRoot,
    home: &Path,
    mounted: impl Fn(&RelPath) -> bool + Sync,
    since: &Moment,
    context: &Context,
) -> Changed {
    let opened = RootHandle::open(home);
    match (root, opened) {
        (WalkedRoot::Absent | WalkedRoot::Present { handle: None, .. }, Err(_)) => Changed::Nothing,
        (WalkedRoot::Absent | WalkedRoot::Present { handle: None, .. }, Ok(_)) | (_, Err(_)) => Changed::Root,
        (WalkedRoot::Present { directories, .. }, Ok(opened)) => {
            let changed = |directory: &&WalkedDirectory| {
                let WalkedDirectory { path, files, looks, steady, .. } = directory;
                let vanished = directory.unlisted.as_ref().is_some_and(|problem| problem.reason == Reason::Vanished);
                vanished
                    || mounted(path)
                    || opened.may_have_changed(path, *steady, since, context)
                    || opened.targets_changed(path, files, looks, context)
            };
            let paths: Vec<RelPath> =
                directories.par_iter().filter(changed).map(|directory| directory.path.clone()).collect();
            if paths.is_empty() { Changed::Nothing } else { Changed::Directories(paths) }
        }
    }
}

/// Nothing of the root is taken for known.
fn all_but_all(root: WalkedRoot, context: &Context) -> Known {
    let WalkedRoot::Present { directories, .. } = root else { return Known::default() };
    let all: Vec<RelPath> = directories.iter().map(|directory| directory.path.clone()).collect();
    Known::but(directories, &all, context)
}

fn wait_of(root: &WalkedRoot) -> Duration {
    let WalkedRoot::Present { directories, .. } = root else { return Duration::ZERO };
    directories.iter().map(|directory| directory.steady.wait()).max().unwrap_or_default()
}

fn give_up(root: &mut WalkedRoot, changed: &Changed) {
    let WalkedRoot::Present { directories, .. } = root else { return };
    let concerned = |directory: &&mut WalkedDirectory| match changed {
        Changed::Nothing => false,
        Changed::Directories(paths) => paths.binary_search(&directory.path).is_ok(),
        Changed::Root => true,
    };
    let listed = directories.iter_mut().filter(concerned).filter(|directory| directory.unlisted.is_none());
    listed.filter(|directory| !directory.link).for_each(|directory| directory.steady = DirectoryLook::UNSTEADY);
}
