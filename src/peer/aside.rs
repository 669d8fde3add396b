//! The one way from async code to a thread that may take its time.

/// The work panicked, or no thread could be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Died(String);

/// Runs work that blocks or computes for long, and waits for it without holding up the runtime. Dropping the future does not
/// stop the work.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Died> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Died(error.to_string()))
}
