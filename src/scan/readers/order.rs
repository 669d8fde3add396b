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

    #[test]
    fn jobs_begin_in_their_order_whoever_runs_them() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        let begun = Mutex::new(Vec::new());
        let done = pool.install(|| {
            in_order(100, |number| {
                let mut begun = begun.lock();
                begun.push(number);
                drop(begun);
                std::thread::sleep(std::time::Duration::from_millis(1));
                Ok::<(), ()>(())
            })
        });
        let begun = begun.into_inner();
        assert_eq!((done, begun.len()), (Ok(()), 100));
        // Between taking a number and saying so another thread may be faster.
        let far = begun.iter().enumerate().find(|(at, number)| at.abs_diff(**number) > 8);
        assert_eq!(far, None);
    }

    #[test]
    fn an_error_ends_it() {
        assert_eq!(in_order(1000, |number| if number == 3 { Err(number) } else { Ok(()) }), Err(3));
    }
}
