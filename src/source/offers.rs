//! Manifests a source offers: builds kept under their ids, so that a broken stream can be attached to again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;

use crate::work::{Build, BuildJob, Phase};

/// How many unfinished builds a service works on at a time; a further destination is asked to come back.
const MAX_RUNNING: usize = 4;

/// How long a build goes on that no destination listens to: longer than the two minutes for which a destination tries to
/// reach its source again, and the time a last connection may take.
const ORPHAN_GRACE: Duration = Duration::from_secs(180);

/// How often forgotten builds are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The source works on as many manifests as it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Server is busy processing live migration file requests, please try again later")]
pub struct Busy;

/// A manifest offered to destinations.
#[derive(Debug)]
pub struct Offer {
    /// Its name on the wire.
    pub id: Uuid,
    /// The instance it is of.
    pub instance: u64,
    /// The build behind it.
    pub build: Build,
    listeners: AtomicUsize,
    last_used: Mutex<Instant>,
}

impl Offer {
    /// Counts somebody who follows the offer until the guard is dropped.
    pub(super) fn listen(self: &Arc<Self>) -> Listener {
        self.listeners.fetch_add(1, Relaxed);
        Listener(Arc::clone(self))
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

/// Somebody follows an offer.
#[derive(Debug)]
pub(super) struct Listener(Arc<Offer>);

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
}

impl Offers {
    /// Offers kept for `retention` after they were last used. Must be called within a tokio runtime.
    pub fn new(retention: Duration) -> Self {
        let offers = Arc::new(Mutex::new(HashMap::new()));
        tokio::spawn(sweep(Arc::downgrade(&offers), retention));
        Self { offers }
    }

    /// The offer a destination was following, if it is still there and of this instance; otherwise a new build.
    pub fn attach_or_start(&self, instance: u64, resume: Option<Uuid>, job: BuildJob) -> Result<Arc<Offer>, Busy> {
        let mut offers = self.lock();
        let known = resume.and_then(|id| offers.get(&id)).filter(|offer| offer.instance == instance);
        if let Some(offer) = known.filter(|offer| !matches!(offer.build.phase(), Phase::Failed(_))) {
            offer.touch();
            return Ok(Arc::clone(offer));
        }
        drop_older(&mut offers, instance);
        if offers.values().filter(|offer| offer.is_running()).count() >= MAX_RUNNING {
            return Err(Busy);
        }
        let offer = Arc::new(Offer {
            id: Uuid::new_v4(),
            instance,
            build: Build::start(job),
            listeners: AtomicUsize::new(0),
            last_used: Mutex::new(Instant::now()),
        });
        offers.insert(offer.id, Arc::clone(&offer));
        Ok(offer)
    }

    /// An offer of this instance.
    pub fn get(&self, instance: u64, id: Uuid) -> Option<Arc<Offer>> {
        let offers = self.lock();
        let offer = offers.get(&id).filter(|offer| offer.instance == instance)?;
        offer.touch();
        Some(Arc::clone(offer))
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
            true => offers.remove(&id).map(|offer| offer.build.cancel()).is_some(),
            false => false,
        }
    }

    /// Stops every build, as the service does when it stops; streams under way are cut.
    pub fn stop_all(&self) {
        self.lock().values().for_each(|offer| offer.build.cancel());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Offer>>> {
        self.offers.lock()
    }
}

/// A new build of an instance makes older ones worthless that nobody listens to: a migration map gives a source one
/// destination, and that one has just asked again. Of the finished ones the last used is kept all the same, for the
/// branches it may still be asked for. Bounds the memory of destinations that verify again and again, and frees the place
/// of a build whose stream broke before its destination learned its id.
fn drop_older(offers: &mut HashMap<Uuid, Arc<Offer>>, instance: u64) {
    let unheard = |offer: &Offer| offer.instance == instance && offer.listeners() == 0;
    let finished = offers.values().filter(|offer| unheard(offer) && !offer.is_running());
    let newest = finished.min_by_key(|offer| offer.idle()).map(|offer| offer.id);
    offers.retain(|id, offer| {
        let keep = !unheard(offer) || Some(*id) == newest;
        if !keep {
            offer.build.cancel();
        }
        keep
    });
}

/// Drops offers nobody has used for long enough. Ends with the service.
async fn sweep(offers: Weak<Mutex<HashMap<Uuid, Arc<Offer>>>>, retention: Duration) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        let Some(offers) = offers.upgrade() else { return };
        offers.lock().retain(|id, offer| {
            let limit = if offer.is_running() { ORPHAN_GRACE } else { retention };
            let keep = offer.idle() <= limit;
            if !keep {
                tracing::info!(manifest = %id, "a manifest nobody asked for any more was dropped");
                offer.build.cancel();
            }
            keep
        });
    }
}
