//! Recording digests ahead of time, round by round, as long as nobody verifies.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::app::App;
use crate::config::{Instance, Reading};
use crate::protocol::MigrationState;
use crate::scan::{Engine, ReadLimit};
use crate::work::warm;

/// How often a round looks whether a verification began, which it gives way to.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

impl App {
    /// Records the digests of new files of every instance, again and again, where the configuration asks for it. Ends with
    /// the service.
    pub(super) async fn keep_warm(self) {
        let Reading { warm_every, warm_limit, limit, .. } = self.config().twintree.reading;
        let Some(every) = warm_every else { return };
        // Of its own, so that a verification need not be as slow as what runs beside the database.
        let engine = match warm_limit.or(limit) {
            Some(limit) => Arc::new(self.engine().limited(Some(ReadLimit::new(limit)))),
            None => Arc::clone(self.engine()),
        };
        let rounds = async {
            loop {
                for instance in &self.config().instances {
                    if self.is_migrating(instance).await {
                        self.warm_instance(instance, &engine).await;
                    }
                }
                tokio::time::sleep(every).await;
            }
        };
        tokio::select! {
            () = rounds => {}
            () = self.stopping().cancelled() => {}
        }
    }

    /// One round over one instance; it begins again where a verification came between, and passes over what is recorded by
    /// then.
    async fn warm_instance(&self, instance: &Instance, engine: &Arc<Engine>) {
        loop {
            while self.is_verifying() {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
            let begun = Instant::now();
            let round = warm(self.roots(instance).to_vec(), Arc::clone(engine));
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

    /// Whether the instance stands in the migration map and its migration is not complete; a record that cannot be read does not
    /// say that it is.
    async fn is_migrating(&self, instance: &Instance) -> bool {
        let map = &self.config().live_migration.migration_map;
        let status = self.completion(instance).status().await;
        map.names(&instance.host) && status.is_ok_and(|status| status.state == MigrationState::NotCompleted)
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
