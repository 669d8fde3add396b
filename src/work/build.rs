//! A manifest being built in the background, and what others see of it while it is.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::pool::{Died, in_readers};
use crate::manifest::{BuildError, DirectoryIndex, HashError, Identity, Manifest, RootSpec, SubtreeHash};
use crate::model::{Problem, Provenance};
use crate::protocol::FinishedDirectory;
use crate::scan::{Cancel, Context, Engine, ProgressSnapshot, Threads};

/// What to build.
#[derive(Debug, Clone)]
pub struct BuildJob {
    /// What the manifest says of itself.
    pub identity: Identity,
    /// The roots.
    pub roots: Vec<RootSpec>,
    /// How many threads may work on it.
    pub threads: Threads,
    /// What reads.
    pub engine: Arc<Engine>,
}

/// Why a build ended without a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildFailure {
    /// It was asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The tree is beyond what a manifest can hold, or the work died.
    #[error("{0}")]
    Failed(String),
}

impl From<BuildError> for BuildFailure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Cancelled(_) => Self::Cancelled,
            error @ BuildError::Table { .. } => Self::Failed(error.to_string()),
        }
    }
}

impl From<HashError> for BuildFailure {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Cancelled(_) => Self::Cancelled,
            error @ (HashError::Discredited { .. } | HashError::RecordsDropped) => Self::Failed(error.to_string()),
        }
    }
}

impl From<Died> for BuildFailure {
    fn from(error: Died) -> Self {
        Self::Failed(error.to_string())
    }
}

/// How far a build is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// The roots are being listed.
    Walking,
    /// Metadata is known; files are being read.
    Hashing,
    /// Everything that could be read was read.
    Done,
    /// It ended without a manifest.
    Failed(BuildFailure),
}

/// A running or finished build. Dropping it stops the work.
#[derive(Debug)]
pub struct Build {
    identity: Identity,
    context: Context,
    engine: Arc<Engine>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    phase: watch::Sender<Phase>,
    manifest: OnceLock<Arc<Manifest>>,
    finished: Mutex<Vec<FinishedDirectory>>,
    /// Wakes whoever follows the phases. Not for each directory: that would cost a wake-up, a frame and a packet for each.
    turned: tokio::sync::Notify,
}

impl Build {
    /// Starts a build; must be called within a tokio runtime.
    pub fn start(job: BuildJob) -> Self {
        let shared = Arc::new(Shared {
            phase: watch::Sender::new(Phase::Walking),
            manifest: OnceLock::new(),
            finished: Mutex::default(),
            turned: tokio::sync::Notify::new(),
        });
        let (identity, engine) = (job.identity.clone(), Arc::clone(&job.engine));
        let build = Self { identity, context: Context::of(&engine), engine, shared: Arc::clone(&shared) };
        let context = build.context.clone();
        tokio::spawn(async move {
            let worker = Arc::clone(&shared);
            let result = in_readers(job.threads, move || worker.work(job, &context)).await;
            let phase = match result {
                Ok(Ok(())) => Phase::Done,
                Ok(Err(failure)) => Phase::Failed(failure),
                Err(died) => Phase::Failed(died.into()),
            };
            shared.phase.send_replace(phase);
            shared.turned.notify_waiters();
        });
        build
    }

    /// What the manifest says of itself.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What reads.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Asks the work to stop.
    pub fn cancel(&self) {
        self.context.cancel.cancel();
    }

    /// What asks the work to stop, also when nobody has the build any more.
    pub fn canceller(&self) -> Cancel {
        self.context.cancel.clone()
    }

    /// Completes when nothing is done for the build any more, also when nobody has it.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut phases = self.shared.phase.subscribe();
        async move {
            // Without a sender there is no work either.
            let _ = phases.wait_for(|phase| matches!(phase, Phase::Done | Phase::Failed(_))).await;
        }
    }

    /// The counters of the work.
    pub fn progress(&self) -> ProgressSnapshot {
        self.context.progress.snapshot()
    }

    /// Where what is known by now came from.
    pub fn provenance(&self) -> Provenance {
        self.context.progress.provenance()
    }

    /// The walked manifest, as soon as its metadata is known; its content may still be unread.
    pub async fn walked(&self) -> Result<Arc<Manifest>, BuildFailure> {
        self.wait(|phase| *phase != Phase::Walking).await?;
        self.manifest().ok_or_else(|| BuildFailure::Failed("the walk left no manifest".to_owned()))
    }

    /// The manifest with everything read that could be.
    pub async fn done(&self) -> Result<Arc<Manifest>, BuildFailure> {
        self.wait(|phase| *phase == Phase::Done).await?;
        self.walked().await
    }

    /// The walked manifest, if the walk is done.
    pub fn manifest(&self) -> Option<Arc<Manifest>> {
        self.shared.manifest.get().cloned()
    }

    /// How far the build is.
    pub fn phase(&self) -> Phase {
        self.shared.phase.borrow().clone()
    }

    /// The directories whose content became known after the first `position` ones, at most so many of them.
    pub fn finished_after(&self, position: usize, most: usize) -> Vec<FinishedDirectory> {
        let finished = self.shared.finished.lock();
        finished.iter().skip(position).take(most).cloned().collect()
    }

    /// Completes when the phase has changed since it was created.
    pub fn turned(&self) -> tokio::sync::futures::Notified<'_> {
        self.shared.turned.notified()
    }

    async fn wait(&self, until: impl Fn(&Phase) -> bool) -> Result<(), BuildFailure> {
        let mut phases = self.shared.phase.subscribe();
        let reached = phases.wait_for(|phase| until(phase) || matches!(phase, Phase::Failed(_))).await;
        match reached.as_deref() {
            Ok(Phase::Failed(failure)) => Err(failure.clone()),
            Ok(_) => Ok(()),
            // The sender lives as long as `self`.
            Err(_) => Err(BuildFailure::Failed("the build was given up".to_owned())),
        }
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl Shared {
    fn work(&self, job: BuildJob, context: &Context) -> Result<(), BuildFailure> {
        let manifest = Arc::new(Manifest::walk(job.identity, &job.roots, context)?);
        let _ = self.manifest.set(Arc::clone(&manifest));
        self.phase.send_replace(Phase::Hashing);
        self.turned.notify_waiters();
        let finished = |root: usize, directory: DirectoryIndex, hash: SubtreeHash, problem: Option<Problem>| {
            // A manifest has at most as many roots as a configuration names.
            let entry = FinishedDirectory { root: root as u32, directory, hash, problem };
            self.finished.lock().push(entry);
        };
        Ok(manifest.hash_contents(context, &finished)?)
    }
}
