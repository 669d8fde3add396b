//! Work on threads that may take their time: in a rayon pool, or a single piece that blocks.

use std::num::NonZeroUsize;

/// How many threads a piece of work may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads(NonZeroUsize);

impl Threads {
    /// A single one.
    pub(super) const ONE: Self = Self(NonZeroUsize::MIN);

    /// As many as the machine has cores, unless the configuration says otherwise; never more than a task asks for.
    pub fn choose(configured: Option<NonZeroUsize>, asked: u32) -> Self {
        let available = configured.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
        let asked = NonZeroUsize::new(asked as usize).unwrap_or(NonZeroUsize::MIN);
        Self(available.min(asked))
    }
}

/// The work died: no thread could be had, or it panicked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("internal error: {0}")]
pub struct Died(String);

/// Runs work in a pool of its own and waits for it without blocking the runtime.
///
/// A caller that stops waiting does not stop the work; whoever may be dropped hands the work a cancel flag.
pub async fn in_pool<T: Send + 'static>(
    threads: Threads,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Died> {
    let job = move || {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.0.get())
            .thread_name(|number| format!("scan-{number}"))
            .build()
            .map_err(|error| Died(error.to_string()))?;
        Ok(pool.install(work))
    };
    blocking(job).await?
}

/// Runs work that blocks or computes for long, and waits for it without holding up the runtime. Dropping the future does
/// not stop the work.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Died> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Died(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_gets_what_it_asks_for_up_to_what_there_is() {
        let four = NonZeroUsize::new(4);
        assert_eq!(Threads::choose(four, 20), Threads(four.unwrap()));
        assert_eq!(Threads::choose(four, 2).0.get(), 2);
        assert_eq!(Threads::choose(four, 0).0.get(), 1);
    }

    #[tokio::test]
    async fn a_panic_in_the_pool_is_an_error_and_not_the_end() {
        let threads = Threads::choose(None, 1);
        assert_eq!(in_pool(threads, || 7).await, Ok(7));
        assert!(in_pool(threads, || -> u32 { panic!("on purpose") }).await.is_err());
    }
}
