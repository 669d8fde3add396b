//! Tasks that were under way when the last service stopped.

use super::app::App;
use crate::config::HostName;
use crate::protocol::MigrationState;
use crate::task::StoredTask;
use crate::verify::{RunInput, Verification};

impl App {
    /// Takes up again what was under way when the last service stopped: each task by itself, so that a disk that hangs
    /// holds up its own instance alone.
    pub(super) fn take_up_unfinished(&self) {
        for task in self.tasks().unfinished() {
            let app = self.clone();
            tokio::spawn(async move {
                let (asking, asked) = (app.clone(), task.clone());
                let input = tokio::spawn(async move { asking.input_again(&asked).await }).await;
                let input = input.unwrap_or_else(|died| Err(format!("internal error: {died}")));
                app.tasks().take_up(task, input).await;
            });
        }
    }

    /// The migration map may be another one by now, and the migration complete.
    async fn input_again(&self, task: &StoredTask<Verification>) -> Result<RunInput, String> {
        let unknown = || format!("the configuration has no instance with id {}", task.instance);
        let instance = self.config().instance_by_id(task.instance).ok_or_else(unknown)?;
        let status = &task.status;
        let pairs = self.config().live_migration.migration_map.pairs().iter();
        let is_ours = |(source, destination): &&(HostName, HostName)| {
            source.host == status.source
                && source.port.unwrap_or(self.config().sidecar.port) == status.port
                && destination.matches(&instance.host, destination.port)
        };
        let other = || format!("{} is no longer migrated from {}:{}", instance.host, status.source, status.port);
        let (source, _) = pairs.into_iter().find(is_ours).ok_or_else(other)?;
        match self.completion(instance).status().await {
            Ok(status) if status.state == MigrationState::NotCompleted => {}
            Ok(_) => return Err("the migration was marked complete".to_owned()),
            Err(error) => return Err(error.to_string()),
        }
        self.run_input(instance, source, &task.request)
    }
}
