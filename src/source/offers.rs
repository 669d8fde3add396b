//! Manifests a source offers: builds kept under their ids, so that a broken stream can be attached to again.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::work::{Build, BuildJob, Busy, Client, FairSlot, FairSlots, Phase};

/// How many unfinished builds a service works on at a time; a further destination is asked to come back.
const MAX_RUNNING: usize = 4;

/// How many finished manifests of an instance are kept that nobody follows; each is as large as the instance has files.
const MAX_KEPT: usize = 4;

/// How many manifests of an instance one client follows at a time: a destination follows one, and a stream of it whose end has not
/// been noticed yet.
const MAX_FOLLOWED: usize = 4;

/// How long an unfinished build goes on that no destination listens to. A destination that lost its source may find out half a
/// minute later (its idle time-out), tries for two minutes, and its last attempt may take half a minute to connect; with
/// the defaults of the Sidecar that is three minutes, and this is a little longer.
const UNFINISHED_RETENTION: Duration = Duration::from_secs(200);

/// How long a client waits for a place that it is owed, and how often it asks for it. A build stops between two blocks of its files.
const WAITS_FOR_A_PLACE: Duration = Duration::from_secs(5);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How often forgotten builds are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// A manifest offered to destinations.
#[derive(Debug)]
pub struct Offer {
    /// Its name on the wire.
    pub id: Uuid,
    /// The instance it is of.
    pub instance: u64,
    /// Who began it.
    client: Client,
    /// The build behind it.
    pub build: Build,
    /// Held as long as the build is under way.
    slot: Arc<Mutex<Option<FairSlot>>>,
    listeners: AtomicUsize,
    last_used: Mutex<Instant>,
    /// Cancelled when it is dropped from the offers: who still follows it is cut off, or the tree would stay in memory with them.
    dropped: CancellationToken,
}

impl Offer {
    fn start(
        client: Client,
        instance: u64,
        job: BuildJob,
        (slot, reclaimed): (FairSlot, CancellationToken),
    ) -> Arc<Self> {
        let build = Build::start(job);
        let slot = Arc::new(Mutex::new(Some(slot)));
        let (ended, cancel, held) = (build.ended(), build.canceller(), Arc::clone(&slot));
        tokio::spawn(async move {
            let mut ended = std::pin::pin!(ended);
            tokio::select! {
                () = ended.as_mut() => {}
                () = reclaimed.cancelled() => {
                    tracing::info!(instance, "a build gives its place to the destination of another host");
                    cancel.cancel();
                    ended.await;
                }
            }
            held.lock().take();
        });
        let (listeners, last_used) = (AtomicUsize::new(0), Mutex::new(Instant::now()));
        let dropped = CancellationToken::new();
        Arc::new(Self { id: Uuid::new_v4(), client, instance, build, slot, listeners, last_used, dropped })
    }

    /// Stops the build, makes its place free at once, and cuts off who follows it.
    fn cancel(&self) {
        self.build.cancel();
        self.slot.lock().take();
        self.dropped.cancel();
    }

    /// Counts somebody who follows the offer until the guard is dropped.
    fn listen(self: &Arc<Self>) -> Listener {
        self.listeners.fetch_add(1, Relaxed);
        self.touch();
        Listener(Arc::clone(self))
    }

    /// Cancelled when nobody is to follow it any more.
    pub fn dropped(&self) -> &CancellationToken {
        &self.dropped
    }

    /// How many destinations follow it now.
    pub fn listeners(&self) -> usize {
        self.listeners.load(Relaxed)
    }

    fn touch(&self) {
        *self.last_used.lock() = Instant::now();
    }

    fn idle(&self) -> Duration {
        match self.listeners() {
            0 => self.last_used.lock().elapsed(),
            _ => Duration::ZERO,
        }
    }

    fn is_running(&self) -> bool {
        matches!(self.build.phase(), Phase::Walking | Phase::Hashing)
    }
}

/// An offer that somebody follows, until this is dropped. Whoever gets at a manifest for others holds one.
#[derive(Debug)]
pub struct Listener(Arc<Offer>);

impl Deref for Listener {
    type Target = Offer;

    fn deref(&self) -> &Offer {
        &self.0
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.touch();
        self.0.listeners.fetch_sub(1, Relaxed);
    }
}

/// All offers of a service. Clones share them.
#[derive(Debug, Clone)]
pub struct Offers {
    offers: Arc<Mutex<HashMap<Uuid, Arc<Offer>>>>,
    slots: FairSlots,
}

impl Offers {
    /// Offers kept for `retention` after they were last used. Must be called within a tokio runtime.
    pub fn new(retention: Duration) -> Self {
        let offers = Arc::new(Mutex::new(HashMap::new()));
        tokio::spawn(sweep(Arc::downgrade(&offers), retention));
        Self { offers, slots: FairSlots::new(MAX_RUNNING) }
    }

    /// The offer a destination was following, if it is still there and of this instance; otherwise a new build for `client`. One that is
    /// owed a place waits until a build of the client that has more has stopped, for some seconds at most: to be sent away and come
    /// back would take longer.
    pub async fn attach_or_start(
        &self,
        client: Client,
        instance: u64,
        resume: Option<Uuid>,
        job: BuildJob,
    ) -> Result<Listener, Busy> {
        let until = Instant::now() + WAITS_FOR_A_PLACE;
        loop {
            match self.attach_or_start_now(client, instance, resume, job.clone()) {
                Err(Busy { owed: true }) if Instant::now() < until => tokio::time::sleep(LOOK_INTERVAL).await,
                result => return result,
            }
        }
    }

    fn attach_or_start_now(
        &self,
        client: Client,
        instance: u64,
        resume: Option<Uuid>,
        job: BuildJob,
    ) -> Result<Listener, Busy> {
        let mut offers = self.lock();
        let known = resume.and_then(|id| offers.get(&id)).filter(|offer| offer.instance == instance);
        if let Some(offer) = known.filter(|offer| !matches!(offer.build.phase(), Phase::Failed(_))) {
            return Ok(offer.listen());
        }
        drop_older(&mut offers, instance, client);
        let own = offers.values().filter(|offer| (offer.instance, offer.client) == (instance, client));
        if own.filter(|offer| offer.listeners() > 0).count() >= MAX_FOLLOWED {
            return Err(Busy { owed: false });
        }
        let reclaimed = CancellationToken::new();
        let offer = Offer::start(client, instance, job, (self.slots.take(client, reclaimed.clone())?, reclaimed));
        offers.insert(offer.id, Arc::clone(&offer));
        Ok(offer.listen())
    }

    /// An offer of this instance, to be followed.
    pub fn get(&self, instance: u64, id: Uuid) -> Option<Listener> {
        let offers = self.lock();
        Some(offers.get(&id).filter(|offer| offer.instance == instance)?.listen())
    }

    /// All offers, in no order.
    pub fn all(&self) -> Vec<Arc<Offer>> {
        self.lock().values().cloned().collect()
    }

    /// Whether a build is under way.
    pub fn are_running(&self) -> bool {
        self.lock().values().any(|offer| offer.is_running())
    }

    /// Forgets an offer and stops its build. True where there was one.
    pub fn release(&self, instance: u64, id: Uuid) -> bool {
        let mut offers = self.lock();
        match offers.get(&id).is_some_and(|offer| offer.instance == instance) {
            true => offers.remove(&id).map(|offer| offer.cancel()).is_some(),
            false => false,
        }
    }

    /// Stops every build, as the service does when it stops; streams under way are cut.
    pub fn stop_all(&self) {
        self.lock().values().for_each(|offer| offer.cancel());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Offer>>> {
        self.offers.lock()
    }
}

/// A new build makes older ones of its client worthless that nobody listens to: a destination that asks for a new one has
/// given those up. Of the finished ones the last used is kept all the same, for the branches it may still be asked for.
/// Bounds the memory of destinations that verify again and again, and frees the place of a build whose stream broke before
/// its destination learned its id. What other clients began stays, so that nobody can take a manifest away from the
/// destination; but only so many of an instance are kept.
fn drop_older(offers: &mut HashMap<Uuid, Arc<Offer>>, instance: u64, client: Client) {
    let mut unheard: Vec<&Arc<Offer>> =
        offers.values().filter(|offer| offer.instance == instance && offer.listeners() == 0).collect();
    unheard.sort_by_key(|offer| offer.idle());
    let (mut own, mut kept) = (0, 0);
    let mut doomed = Vec::new();
    for offer in unheard {
        let (is_own, finished) = (offer.client == client, !offer.is_running());
        if is_own && (!finished || own > 0) || finished && kept >= MAX_KEPT {
            doomed.push(offer.id);
        } else if finished {
            (own, kept) = (own + usize::from(is_own), kept + 1);
        }
    }
    for id in doomed {
        offers.remove(&id).iter().for_each(|offer| offer.cancel());
    }
}

/// Drops offers nobody has used for long enough. Ends with the service.
async fn sweep(offers: Weak<Mutex<HashMap<Uuid, Arc<Offer>>>>, retention: Duration) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        let Some(offers) = offers.upgrade() else { return };
        offers.lock().retain(|id, offer| {
            let limit = if offer.is_running() { UNFINISHED_RETENTION } else { retention };
            let keep = offer.idle() <= limit;
            if !keep {
                tracing::info!(manifest = %id, "a manifest nobody asked for any more was dropped");
                offer.cancel();
            }
            keep
        });
    }
}
