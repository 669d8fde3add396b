//! `twintree serve`: the service, until it is told to stop.

use tokio::signal::unix::{SignalKind, signal};

use super::args::ServeArgs;
use super::client::runtime;
use super::exit_code::{CommandError, ExitCode};
use crate::config::Config;
use crate::server::{App, Listener};

pub(super) fn run(args: &ServeArgs) -> Result<ExitCode, CommandError> {
    let config = Config::load(&args.config)?;
    runtime()?.block_on(async {
        let app = App::new(config)?;
        let listen = &app.config().sidecar;
        let listener = Listener::bind(&listen.host, listen.port).await?;
        for (source, destination) in app.config().live_migration.migration_map.pairs() {
            tracing::info!(%source, %destination, "a migration is served");
        }
        if app.config().live_migration.migration_map.pairs().is_empty() {
            tracing::warn!("live_migration.migration_map is empty: no host has a role, and every task is refused");
        }
        tracing::info!(address = %listener.address(), "twintree listens");
        let running = listener.serve(app);
        wait_for_signal().await.map_err(|error| CommandError::Failed(format!("signals: {error}")))?;
        tracing::info!("twintree stops");
        running.stop().await;
        Ok(ExitCode::Equal)
    })
}

/// SIGINT or SIGTERM.
async fn wait_for_signal() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
