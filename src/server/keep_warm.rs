//! Recording digests ahead of time, round by round, as long as nobody verifies.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::app::App;
use crate::config::Instance;
use crate::verify::warm;

/// How often a round looks whether a verification began, which it gives way to.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

impl App {
    /// Records the digests of new files of every instance, again and again, where the configuration asks for it. Ends with
    /// the service.
    pub(super) async fn keep_warm(self) {
        let Some(every) = self.config().twintree.reading.warm_every else { return };
        let rounds = async {
            loop {
                for instance in &self.config().instances {
                    self.warm_instance(instance).await;
                }
                tokio::time::sleep(every).await;
            }
        };
        tokio::select! {
            () = rounds => {}
            () = self.stopping().cancelled() => {}
        }
    }

    /// One round over one instance; it begins anew where a verification came between, and passes over what is recorded by
    /// then.
    async fn warm_instance(&self, instance: &Instance) {
        loop {
            while self.is_verifying() {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
            let begun = Instant::now();
            let round = warm(self.roots(instance).to_vec(), Arc::clone(self.engine()));
            tokio::select! {
                read = round => {
                    let read_bytes = read.map(|read| read.read_bytes());
                    let elapsed_ms = begun.elapsed().as_millis() as u64;
                    tracing::info!(instance = instance.id, read_bytes, elapsed_ms, "digests are recorded ahead of time");
                    return;
                }
                () = self.verification() => {}
            }
        }
    }

    async fn verification(&self) {
        while !self.is_verifying() {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Whether a task of this service, or a manifest for another's, is under way.
    fn is_verifying(&self) -> bool {
        self.tasks().counts().under_way > 0 || self.offers().are_running()
    }
}
