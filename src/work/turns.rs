//! Work of a moment that many may ask for at once, done by turns: the threads that answer everybody else find a core all the while.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::pool::{Died, blocking};

/// As many turns at a time as there are cores. Clones share them.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self::of(std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
    }
}

impl Turns {
    fn of(number: usize) -> Self {
        Self(Arc::new(Semaphore::new(number)))
    }

    /// Waits for a turn and does the work on a thread that may take its time. Dropping the future gives up the place in the queue; work
    /// that has begun ends, and has its turn until then.
    pub async fn take<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Died> {
        // Nobody closes the semaphore; work without a turn would still be done.
        let turn = Arc::clone(&self.0).acquire_owned().await.ok();
        let done = blocking(move || {
            let _turn = turn;
            work()
        });
        done.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn no_more_work_than_there_are_turns_is_under_way() {
        let turns = Turns::of(1);
        let (go_on, wait) = mpsc::channel::<()>();
        let first = tokio::spawn({
            let turns = turns.clone();
            async move { turns.take(move || wait.recv().is_ok()).await }
        });
        while turns.0.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let mut second = Box::pin(turns.take(|| 2));
        tokio::select! {
            biased;
            _ = &mut second => panic!("the first one is not done"),
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
        }
        go_on.send(()).unwrap();
        assert_eq!((first.await.unwrap(), second.await), (Ok(true), Ok(2)));
        // A turn comes back from work that died.
        assert!(turns.take(|| -> u32 { panic!("on purpose") }).await.is_err());
        assert_eq!(turns.take(|| 3).await, Ok(3));
    }
}
