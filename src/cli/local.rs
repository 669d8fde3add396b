//! Scanning trees of this machine for the commands that need no service.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::args::ScanArgs;
use super::exit_code::CommandError;
use super::progress::{Bars, SideProgress};
use crate::config::{Config, Instance};
use crate::exclude::{Filter, RootRules, Rules};
use crate::manifest::{BuildError, HashError, Identity, Manifest, Root, RootSpec};
use crate::model::{Provenance, RootId, Selection};
use crate::scan::{
    Cancel, Cancelled, Context, Engine, ReadLimit, ReadMode, Readers, Threads, host_name, on_each_disk, raise_limit,
};
use crate::work::now_ms;

/// How often progress is shown.
const SHOW_INTERVAL: Duration = Duration::from_millis(200);

/// A tree to scan: what it is called, and its roots.
pub(super) struct Tree {
    pub label: String,
    pub rules: Rules,
    /// What of it is looked at; all of it where `None`.
    pub filter: Option<Filter>,
    pub roots: Vec<(RootId, PathBuf)>,
}

impl Tree {
    /// A bare directory as the root data/0. A path that is no directory is a mistake of the caller, not an absent root.
    pub(super) fn of_directory(path: &Path, scan: &ScanArgs) -> Result<Self, CommandError> {
        let usage = |what: String| CommandError::Usage(format!("{}: {what}", path.display()));
        let metadata = std::fs::metadata(path).map_err(|error| usage(error.to_string()))?;
        if !metadata.is_dir() {
            return Err(usage("not a directory".to_owned()));
        }
        let home = std::path::absolute(path).map_err(|error| usage(error.to_string()))?;
        let rules = rules(&Rules::none(), scan)?;
        Ok(Self { label: home.display().to_string(), rules, filter: None, roots: vec![(RootId::DATA_0, home)] })
    }

    /// A directory of another host, which was scanned there under the rules of the command line: it is what they mean here.
    pub(super) fn elsewhere(home: &str, scan: &ScanArgs) -> Result<Self, CommandError> {
        let rules = rules(&Rules::none(), scan)?;
        Ok(Self { label: home.to_owned(), rules, filter: None, roots: vec![(RootId::DATA_0, PathBuf::from(home))] })
    }

    /// The roots of a configured instance, under the configuration's rules and those of the command line.
    pub(super) fn of_instance(config: &Config, instance: &Instance, scan: &ScanArgs) -> Result<Self, CommandError> {
        Ok(Self {
            label: format!("{} (id {})", instance.host, instance.id),
            rules: rules(&config.live_migration.rules, scan)?,
            filter: None,
            roots: instance.roots.clone(),
        })
    }

    /// What is left out of a root; `None` where the tree does not have it.
    pub(super) fn rules_of(&self, root: RootId) -> Result<Option<RootRules>, CommandError> {
        let specs = self.specs()?;
        Ok(specs.into_iter().find(|spec| spec.id == root).map(|spec| spec.rules))
    }

    /// What it is, as of now.
    pub(super) fn identity(&self) -> Identity {
        Identity::new(host_name(), self.label.clone(), now_ms(), &self.rules)
    }

    fn specs(&self) -> Result<Vec<RootSpec>, CommandError> {
        let spec = |(id, home): &(RootId, PathBuf)| {
            let rules = self.rules.for_root(*id, home)?;
            let rules = self.filter.as_ref().map_or(rules.clone(), |filter| rules.filtered_by(filter));
            Ok(RootSpec { id: *id, home: home.clone(), rules })
        };
        let roots = self.roots.iter().filter(|(id, _)| !self.rules.leaves_out(*id));
        roots.map(spec).collect::<Result<_, _>>().map_err(|error| CommandError::Patterns(vec![error]))
    }
}

/// The configured rules with those of the command line.
fn rules(configured: &Rules, scan: &ScanArgs) -> Result<Rules, CommandError> {
    let given = Rules::compile(&scan.exclude_file, &scan.exclude_dir).map_err(CommandError::Patterns)?;
    let rules = configured.and(&given);
    if scan.keyspace.is_empty() {
        return Ok(rules);
    }
    let selection =
        Selection::parse(&scan.keyspace).map_err(|error| CommandError::Usage(format!("--keyspace: {error}")))?;
    Ok(rules.restricted_to(&selection))
}

/// The threads asked for, else as many as read best.
pub(super) fn readers(scan: &ScanArgs) -> Result<Readers, CommandError> {
    raise_limit();
    let readers = Readers::start(Threads::of_command(scan.threads));
    readers.map_err(|error| CommandError::Failed(format!("no threads: {error}")))
}

/// Trees being scanned side by side in one pool, each shown by the bar of a number.
pub(super) struct Scan<'a> {
    trees: Vec<(&'a Tree, Context)>,
    shown_by: Vec<usize>,
    bars: &'a Bars,
}

impl<'a> Scan<'a> {
    /// The flag stops all of them.
    pub(super) fn new(trees: Vec<(usize, &'a Tree)>, scan: &ScanArgs, bars: &'a Bars, cancel: &Cancel) -> Self {
        let shown_by = trees.iter().map(|(bar, _)| *bar).collect();
        let mode = if scan.direct { ReadMode::Direct } else { ReadMode::PageCache };
        let engine = Arc::new(Engine::new(mode, scan.read_limit.map(ReadLimit::new), None));
        let context = || {
            let mut context = Context::of(&engine);
            context.cancel = cancel.clone();
            context
        };
        Self { trees: trees.into_iter().map(|(_, tree)| (tree, context())).collect(), shown_by, bars }
    }

    /// Walks all trees.
    pub(super) fn walk(&self, readers: &Readers) -> Result<Vec<Manifest>, CommandError> {
        let jobs: Vec<(Identity, Vec<RootSpec>, &Context)> = self
            .trees
            .iter()
            .map(|(tree, context)| Ok((tree.identity(), tree.specs()?, context)))
            .collect::<Result<_, CommandError>>()?;
        let walked = self.showing(|| {
            readers.run(|| {
                on_each_disk(
                    &jobs,
                    |(_, specs, _)| specs.first().map(|spec| spec.home.as_path()),
                    |_, (identity, specs, context)| {
                        Manifest::walk(identity.clone(), specs, context).map_err(build_error)
                    },
                )
            })
        });
        walked.into_iter().collect()
    }

    /// Hashes the content of manifests that [`Scan::walk`] made, in the same order.
    pub(super) fn hash(&self, readers: &Readers, manifests: &[Manifest]) -> Result<(), CommandError> {
        let hashed = self.showing(|| {
            readers.run(|| {
                on_each_disk(
                    manifests,
                    |manifest| manifest.roots().first().and_then(Root::home),
                    |at, manifest| manifest.hash_contents(&self.trees[at].1, &|_, _, _, _| ()),
                )
            })
        });
        hashed.into_iter().collect::<Result<(), HashError>>().map_err(hash_error)
    }

    /// Reads in another way what [`Scan::walk`] found of the only tree.
    pub(super) fn read_otherwise<T: Send>(
        &self,
        readers: &Readers,
        read: impl FnOnce(&Context) -> Result<T, Cancelled> + Send,
    ) -> Result<T, CommandError> {
        let Some((_, context)) = self.trees.first() else {
            return read(&Context::default()).map_err(|Cancelled| CommandError::Cancelled);
        };
        self.showing(|| readers.run(|| read(context))).map_err(|Cancelled| CommandError::Cancelled)
    }

    /// Where what was read of each tree came from, in their order.
    pub(super) fn provenances(&self) -> Vec<Provenance> {
        self.trees.iter().map(|(_, context)| context.progress.provenance()).collect()
    }

    /// Runs blocking work while another thread moves the bars.
    fn showing<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let (done, waiting) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while let Err(mpsc::RecvTimeoutError::Timeout) = waiting.recv_timeout(SHOW_INTERVAL) {
                    for (bar, (_, context)) in self.shown_by.iter().zip(&self.trees) {
                        let now = context.progress.snapshot();
                        self.bars.show(
                            *bar,
                            SideProgress {
                                files_total: now.files_total,
                                files_hashed: now.files_hashed,
                                bytes_total: now.bytes_total,
                                bytes_hashed: now.bytes_hashed,
                            },
                        );
                    }
                }
            });
            let result = work();
            drop(done);
            result
        })
    }
}

fn hash_error(error: HashError) -> CommandError {
    match error {
        HashError::Cancelled(_) => CommandError::Cancelled,
        error @ (HashError::Discredited { .. } | HashError::RecordsDropped) => CommandError::Failed(error.to_string()),
    }
}

fn build_error(error: BuildError) -> CommandError {
    match error {
        BuildError::Cancelled(_) => CommandError::Cancelled,
        error @ BuildError::Table { .. } => CommandError::Failed(error.to_string()),
    }
}
