//! Work on threads that may take their time: in a rayon pool, or a single piece that blocks.

use std::cell::Cell;

use crate::scan::{Readers, Threads, give_way};

/// The work died: no thread could be had, or it panicked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("internal error: {0}")]
pub struct Died(String);

/// Runs work that computes in a pool of its own and waits for it without blocking the runtime.
///
/// A caller that stops waiting does not stop the work; whoever may be dropped hands the work a cancel flag.
pub async fn in_pool<T: Send + 'static>(
    threads: Threads,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Died> {
    in_readers(threads.computing(), work).await
}

/// The same with work that reads files, and so has more threads where they wait for a disk.
pub async fn in_readers<T: Send + 'static>(
    threads: Threads,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Died> {
    blocking(move || Readers::start(threads).map(|readers| readers.run(work)).map_err(|error| Died(error.to_string())))
        .await?
}

/// Runs work that blocks or computes for long, and waits for it without holding up the runtime. Dropping the future does
/// not stop the work. Where cores are scarce the threads that answer requests come first, however many such pieces of work there are.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Died> {
    thread_local! {
        static GAVE_WAY: Cell<bool> = const { Cell::new(false) };
    }
    let later = move || {
        if !GAVE_WAY.replace(true) {
            give_way();
        }
        work()
    };
    tokio::task::spawn_blocking(later).await.map_err(|error| Died(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn work_gives_way_to_answers_once() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let own = priority();
        for _ in 0..3 {
            let (one, in_a_pool) = (blocking(priority).await, in_pool(Threads::ONE, priority).await);
            assert_eq!((one.clone(), in_a_pool), (Ok((own + 5).min(19)), one));
        }
        assert_eq!(priority(), own);
    }

    #[tokio::test]
    async fn a_panic_in_the_pool_is_an_error_and_not_the_end() {
        let threads = Threads::choose(None, 1);
        assert_eq!(in_pool(threads, || 7).await, Ok(7));
        assert!(in_pool(threads, || -> u32 { panic!("on purpose") }).await.is_err());
    }
}
