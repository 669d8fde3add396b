//! `twintree serve`: the service, until it is asked to stop.

use std::time::Duration;

use super::args::ServeArgs;
use super::destination::runtime;
use super::exit_code::{CommandError, ExitCode};
use super::signals::{Asked, Signals};
use crate::config::Config;
use crate::model::DirectoryType;
use crate::server::{App, Listener, SetupError};

/// How long threads that still read are waited for once everything else has stopped.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Pieces of memory above this go back to the system when they are freed, in bytes: the bodies, tables and blocks of requests that
/// come rarely and large. None of them is used in a loop.
#[cfg(target_os = "linux")]
const GIVEN_BACK_FROM: u32 = 1 << 20;

pub(super) fn run(args: &ServeArgs) -> Result<ExitCode, CommandError> {
    let config = Config::load(&args.config)?;
    #[cfg(target_os = "linux")]
    crate::scan::give_memory_back_from(GIVEN_BACK_FROM);
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let app = App::new(config).map_err(|error| match error {
            SetupError::Patterns(_) => CommandError::Usage(format!("{}: {error}", args.config.display())),
            error => error.into(),
        })?;
        let listen = &app.config().sidecar;
        let listener = Listener::bind(&listen.host, listen.port).await?;
        for (source, destination) in app.config().live_migration.migration_map.pairs() {
            tracing::info!(%source, %destination, "a migration is served");
        }
        if app.config().live_migration.migration_map.pairs().is_empty() {
            tracing::warn!("live_migration.migration_map is empty: no host has a role, and every task is refused");
        }
        warn_of_what_is_not_there(app.config());
        tracing::info!(address = %listener.address(), "twintree listens");
        let running = listener.serve(app);
        while signals.next().await == Asked::HangUp {
            tracing::warn!("SIGHUP reloads nothing yet: to read the configuration again, restart the service");
        }
        tracing::info!("twintree stops");
        tokio::select! {
            () = running.stop() => {}
            // What hangs in a write to a dead disk would hold the service up for ever.
            () = signals.end() => tracing::warn!("asked a second time: twintree stops at once; what is not on disk is lost"),
        }
        Ok(ExitCode::Equal)
    });
    // A thread that hangs in a read of a dead disk sees no cancel flag; the service stops all the same.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    ended
}

/// Nothing of this keeps a service from starting, and each is more often a mistake than meant.
fn warn_of_what_is_not_there(config: &Config) {
    let map = &config.live_migration.migration_map;
    for instance in &config.instances {
        if !map.pairs().is_empty() && !map.names(&instance.host) {
            tracing::warn!(host = instance.host, "the instance does not stand in live_migration.migration_map");
        }
        let data = instance.roots.iter().filter(|(id, _)| id.directory_type == DirectoryType::Data);
        for (id, home) in data.filter(|(_, home)| !home.exists()) {
            tracing::warn!(root = %id, directory = %home.display(), "a data directory does not exist");
        }
    }
}
