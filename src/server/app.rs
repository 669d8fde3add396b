//! What all handlers share: the configuration, the instances ready to be scanned, tasks and offers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::connections::{Connections, Cut};
use super::descriptors::{CONNECTION_BYTES, make_room, most_connections};
use super::error::ApiError;
use super::metrics::Metrics;
use super::setup::{SetupError, engine, root_specs};
use crate::config::{Config, HostName, Instance};
use crate::exclude::Rules;
use crate::manifest::{Identity, RootSpec};
use crate::model::{RootId, Selection};
use crate::net::{Endpoint, Patience, RetryPolicy};
use crate::peer::{Allowance, Peer, PeerError, PeerSettings};
use crate::protocol::{MigrationState, TaskRequest};
use crate::scan::{Engine, Threads};
use crate::source::{Completion, Offers};
use crate::task::{History, HistoryLimits, Slots, Tasks, Unfinished};
use crate::verify::{RunInput, Verification};
use crate::work::{
    BuildJob, Busy, Client, FairSlot, FairSlots, Holder, MemoryBudget, MemoryPermit, OverBudget, Turns, now_ms,
};

/// How many listings a service makes and sends at once: each is a walk, and stands in memory until it was sent.
const MAX_LISTINGS: usize = 4;

/// How many answers may read files a second time on more threads than there are cores.
const MAX_SECOND_READS: usize = 4;

/// How long a client that waits for a digest is left without a byte: well below the shortest read time-out that is in use.
const LONGEST_SILENCE: Duration = Duration::from_secs(5);

/// A service. Clones share everything.
#[derive(Debug, Clone)]
pub struct App {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    rules: Rules,
    /// By instance: what to scan.
    roots: HashMap<u64, Vec<RootSpec>>,
    host_name: String,
    tasks: Tasks<Verification>,
    offers: Offers,
    /// As many as file requests may be answered at once.
    file_slots: FairSlots,
    /// As many as listings may be made and sent at once.
    listing_slots: FairSlots,
    /// For second reads on more threads than there are cores.
    second_read_slots: FairSlots,
    /// What others can make the service hold.
    memory: MemoryBudget,
    /// For what answers compute.
    turns: Turns,
    connections: Connections,
    /// For all connections there may be.
    _connection_memory: Option<MemoryPermit>,
    requests: AtomicU64,
    /// What reads files, for whatever purpose.
    engine: Arc<Engine>,
    metrics: Metrics,
    stopping: CancellationToken,
    longest_silence: Duration,
}

impl App {
    /// Makes a service ready: compiles the exclusion rules and opens the history. Must be called within a tokio runtime.
    pub fn new(config: Config) -> Result<Self, SetupError> {
        Self::with_silence(config, LONGEST_SILENCE)
    }

    /// The same, but digests that take long are silent for this long at most.
    pub(super) fn with_silence(config: Config, longest_silence: Duration) -> Result<Self, SetupError> {
        let rules = config.live_migration.rules.clone();
        let roots = config.instances.iter().map(|instance| Ok((instance.id, root_specs(instance, &rules)?)));
        let roots = roots.collect::<Result<HashMap<_, _>, _>>().map_err(SetupError::Patterns)?;
        let settings = &config.twintree;
        let limits = HistoryLimits { max_tasks: settings.history_max_tasks, max_age: settings.history_max_age };
        let history = settings.state_dir.as_ref().map(|dir| History::open(dir, limits));
        let unfinished = if settings.resume_unfinished_tasks { Unfinished::Resume } else { Unfinished::Fail };
        let memory = MemoryBudget::new(settings.memory_limit);
        let descriptors = crate::scan::raise_limit();
        let most = most_connections(descriptors, settings.memory_limit);
        make_room(most, descriptors);
        // There is room: nobody has taken any yet.
        let connection_memory = memory.take(Holder::Service, most as u64 * CONNECTION_BYTES).ok();
        let inner = Inner {
            connections: Connections::new(most),
            _connection_memory: connection_memory,
            rules,
            roots,
            host_name: crate::scan::host_name(),
            tasks: Tasks::new(history.transpose()?, unfinished, Slots::default()),
            offers: Offers::new(settings.manifest_retention),
            file_slots: FairSlots::new(config.live_migration.max_concurrent_file_requests as usize),
            listing_slots: FairSlots::new(MAX_LISTINGS),
            second_read_slots: FairSlots::new(MAX_SECOND_READS),
            memory,
            turns: Turns::default(),
            requests: AtomicU64::new(0),
            engine: Arc::new(engine(settings)?),
            metrics: Metrics::default(),
            stopping: CancellationToken::new(),
            longest_silence,
            config,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The tasks of this service's destinations.
    pub fn tasks(&self) -> &Tasks<Verification> {
        &self.inner.tasks
    }

    /// The manifests this service's sources offer.
    pub fn offers(&self) -> &Offers {
        &self.inner.offers
    }

    /// Cancelled when the service stops. Streams that may go on for hours end then.
    pub(super) fn stopping(&self) -> &CancellationToken {
        &self.inner.stopping
    }

    /// How long a client that waits for a digest is left without a byte.
    pub(super) fn longest_silence(&self) -> Duration {
        self.inner.longest_silence
    }

    /// How many requests the service was sent, whatever it answered.
    pub fn requests(&self) -> u64 {
        self.inner.requests.load(Relaxed)
    }

    /// What reads files, for whatever purpose.
    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.inner.engine
    }

    /// What is counted for `/metrics` and nowhere else.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    pub(super) fn count_request(&self) {
        self.inner.requests.fetch_add(1, Relaxed);
    }

    /// The roots of an instance, ready to be walked.
    pub(super) fn roots(&self, instance: &Instance) -> &[RootSpec] {
        self.inner.roots.get(&instance.id).map_or(&[], Vec::as_slice)
    }

    /// Where it is kept whether an instance's migration is complete.
    pub(super) fn completion(&self, instance: &Instance) -> Completion {
        Completion::new(instance.staging_dir.as_deref())
    }

    /// Nothing is served or verified of an instance whose migration is complete.
    pub(super) async fn refuse_if_complete(&self, instance: &Instance) -> Result<(), ApiError> {
        match self.completion(instance).status().await?.state {
            MigrationState::NotCompleted => Ok(()),
            MigrationState::Completed => Err(ApiError::Complete),
        }
    }

    /// The right to answer one file request of a client, for as long as it is held. Where another client is owed it, the
    /// connection is cut.
    pub(super) fn file_slot(&self, client: Client, connection: &Cut) -> Result<FairSlot, Busy> {
        self.inner.file_slots.take(client, connection.0.clone())
    }

    /// The right to make one listing for a client, likewise.
    pub(super) fn listing_slot(&self, client: Client, connection: &Cut) -> Result<FairSlot, Busy> {
        self.inner.listing_slots.take(client, connection.0.clone())
    }

    /// Slots for second reads on more threads than there are cores; without one there are fewer threads.
    pub(super) fn second_read_slots(&self) -> &FairSlots {
        &self.inner.second_read_slots
    }

    /// The budget of what others can make the service hold.
    pub fn memory(&self) -> &MemoryBudget {
        &self.inner.memory
    }

    /// What answers compute for more than a moment is done by these turns.
    pub(super) fn turns(&self) -> &Turns {
        &self.inner.turns
    }

    /// The connections of the service.
    pub(super) fn connections(&self) -> &Connections {
        &self.inner.connections
    }

    /// Memory for a request of a client or the answer to it, in bytes.
    pub(super) fn memory_for(&self, client: Client, bytes: u64) -> Result<MemoryPermit, OverBudget> {
        let taken = self.inner.memory.take(Holder::Client(client), bytes);
        taken.inspect_err(|_| self.metrics().count_refused_memory())
    }

    /// How many threads a piece of work gets that asks for `asked`.
    pub(super) fn threads(&self, asked: u32) -> Threads {
        Threads::choose(self.config().twintree.threads, asked)
    }

    /// What a task needs to run on an instance; the text says why it cannot.
    pub(super) fn run_input(
        &self,
        instance: &Instance,
        source: &HostName,
        request: &TaskRequest,
    ) -> Result<RunInput, String> {
        let peer = self.peer(source).map_err(|error| error.to_string())?;
        let algorithm = request.algorithm().map_err(|error| error.to_string())?;
        let selection = request.selection().map_err(|error| error.to_string())?;
        let threads = self.threads(request.max_concurrency);
        let job = self.job(instance, None, selection.as_ref(), threads);
        let scratch = self.config().twintree.state_dir.clone();
        Ok(RunInput { job, peer, threads, max_concurrency: request.max_concurrency, algorithm, selection, scratch })
    }

    /// A source as this service calls it: on its own port where the migration map names one, else on ours.
    pub(super) fn peer(&self, source: &HostName) -> Result<Peer, PeerError> {
        let client = &self.config().client;
        let settings = PeerSettings {
            policy: RetryPolicy {
                max_retries: client.max_retries as usize,
                delay: client.retry_delay,
                max_delay: client.max_retry_delay,
                ..RetryPolicy::default()
            },
            connect_timeout: client.request_timeout,
            idle_timeout: client.request_idle_timeout,
            patience: Patience::USUAL,
            allowance: Allowance::of(self.memory()),
            max_idle_connections: client.connection_pool_max_size,
        };
        let port = source.port.unwrap_or(self.config().sidecar.port);
        Peer::new(Endpoint::http(source.host.clone(), port), settings)
    }

    /// What to build of an instance: all its roots or those wanted, and of them all or what is selected.
    pub(super) fn job(
        &self,
        instance: &Instance,
        wanted: Option<&[RootId]>,
        selection: Option<&Selection>,
        threads: Threads,
    ) -> BuildJob {
        let rules = selection.map_or_else(|| self.inner.rules.clone(), |only| self.inner.rules.restricted_to(only));
        let label = format!("{} (id {})", instance.host, instance.id);
        let identity = Identity::new(self.inner.host_name.clone(), label, now_ms(), &rules);
        let all = self.roots(instance).iter();
        let roots = all.filter(|root| wanted.is_none_or(|wanted| wanted.contains(&root.id)));
        let roots = roots.filter(|root| !rules.leaves_out(root.id)).cloned();
        let roots = roots.map(|root| match selection {
            Some(selection) => RootSpec { rules: root.rules.restricted_to(root.id, selection), ..root },
            None => root,
        });
        let roots = roots.collect();
        BuildJob { identity, roots, threads, engine: Arc::clone(self.engine()) }
    }
}
