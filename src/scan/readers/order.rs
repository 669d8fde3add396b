//! Jobs that begin in their order.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rayon::prelude::*;

/// Runs `job` for the numbers below `count`, in parallel, and ends with an error. Whichever thread is free takes the lowest number that is
/// left, so that all threads together read a tree from its begin to its end; rayon by itself gives each a stretch of its own, and the
/// heads of a spinning disk would go to and fro between them.
pub fn in_order<E: Send>(count: usize, job: impl Fn(usize) -> Result<(), E> + Sync) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    (0..count).into_par_iter().with_max_len(1).try_for_each(|_| job(next.fetch_add(1, Relaxed)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    /// All four threads meet in the first four jobs, which no other ones would be; and none takes a number below one it had.
    #[test]
    fn jobs_begin_in_their_order_whoever_runs_them() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        let (first, begun) = (std::sync::Barrier::new(4), Mutex::new(vec![Vec::new(); 4]));
        let done = pool.install(|| {
            in_order(100, |number| {
                begun.lock()[rayon::current_thread_index().unwrap()].push(number);
                if number < 4 {
                    first.wait();
                }
                Ok::<(), ()>(())
            })
        });
        let begun = begun.into_inner();
        assert_eq!((done, begun.iter().map(Vec::len).sum::<usize>()), (Ok(()), 100));
        assert!(begun.iter().all(|numbers| numbers.is_sorted() && numbers[0] < 4), "{begun:?}");
    }

    #[test]
    fn an_error_ends_it() {
        assert_eq!(in_order(1000, |number| if number == 3 { Err(number) } else { Ok(()) }), Err(3));
    }
}
