//! The pools of one piece of work, one for each disk: all disks are read at the same time, and each as deep as suits it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rayon::ThreadPoolBuildError;

use super::disk::Disk;
use super::order::in_order;
use super::pool::Pool;
use super::threads::{MOST_READS, Threads};

/// How many threads may read on all disks together, but for many disks.
const MOST_READS_OF_ALL: usize = 2 * MOST_READS;

/// How many threads each disk may have in any case.
const FEWEST_READS: usize = 8;

thread_local! {
    /// The pools of which that of this thread is one; none where there is only ever one pool.
    static OWN: RefCell<Weak<Fleet>> = const { RefCell::new(Weak::new()) };
}

/// The pools, each with its disk once it has one.
#[derive(Debug)]
pub(super) struct Fleet {
    threads: Threads,
    pools: Mutex<Vec<(Option<Disk>, Arc<Pool>)>>,
    /// How many pools there are, for those who must not wait for the lock.
    started: Arc<AtomicUsize>,
}

impl Fleet {
    /// Starts the first pool.
    pub(super) fn start(threads: Threads) -> Result<(Arc<Self>, Arc<Pool>), ThreadPoolBuildError> {
        let fleet = Arc::new(Self { threads, pools: Mutex::default(), started: Arc::default() });
        let first = fleet.start_pool()?;
        fleet.pools.lock().push((None, Arc::clone(&first)));
        Ok((fleet, first))
    }

    /// The pool of a disk: the first one too where no threads can be had for another.
    fn pool_of(self: &Arc<Self>, disk: Disk) -> Option<Arc<Pool>> {
        let mut pools = self.pools.lock();
        let own = pools.iter().position(|(of, _)| *of == Some(disk));
        if let Some(at) = own.or_else(|| pools.iter().position(|(of, _)| of.is_none())) {
            pools[at].0 = Some(disk);
            return Some(Arc::clone(&pools[at].1));
        }
        let pool = self.start_pool().ok().or_else(|| Some(Arc::clone(&pools.first()?.1)))?;
        pools.push((Some(disk), Arc::clone(&pool)));
        Some(pool)
    }

    fn start_pool(self: &Arc<Self>) -> Result<Arc<Pool>, ThreadPoolBuildError> {
        let (own, started) = (Arc::downgrade(self), Arc::clone(&self.started));
        let join = move || OWN.set(own.clone());
        let bound = move || share(started.load(Relaxed));
        let pool = Pool::start(self.threads, join, bound)?;
        self.started.fetch_add(1, Relaxed);
        Ok(Arc::new(pool))
    }
}

/// How many reads each of so many pools may have in flight.
fn share(pools: usize) -> usize {
    (MOST_READS_OF_ALL / pools.max(1)).max(FEWEST_READS)
}

/// `work` with the position of each item and the item, in parallel and begun in their order; the results in their order. Items whose `home` lies on the same disk
/// are worked on in that disk's pool, all disks at the same time; those without one in the pool of the caller.
pub fn on_each_disk<'a, I: Sync, R: Send>(
    items: &'a [I],
    home: impl Fn(&'a I) -> Option<&'a Path>,
    work: impl Fn(usize, &I) -> R + Sync,
) -> Vec<R> {
    // There are many items and few homes.
    let mut known: Vec<(&Path, Disk)> = Vec::new();
    let disk = |item| {
        let home = home(item)?;
        let found = known.iter().find(|(path, _)| *path == home).map(|(_, disk)| *disk);
        Some(found.unwrap_or_else(|| {
            let disk = Disk::of(home);
            known.push((home, disk));
            disk
        }))
    };
    on_disks(items, disk, work)
}

fn on_disks<'a, I: Sync, R: Send>(
    items: &'a [I],
    disk: impl FnMut(&'a I) -> Option<Disk>,
    work: impl Fn(usize, &I) -> R + Sync,
) -> Vec<R> {
    let done: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::default()).collect();
    let run = |positions: &[usize]| {
        let Ok(()) = in_order(positions.len(), |number| -> Result<(), Infallible> {
            let at = positions[number];
            *done[at].lock() = Some(work(at, &items[at]));
            Ok(())
        });
    };
    let (here, elsewhere) = by_pool(items.iter().map(disk));
    side_by_side(&elsewhere, &here, &run);
    done.into_iter().filter_map(Mutex::into_inner).collect()
}

/// A pool that is not the caller's, and the positions of the items that it takes.
type Elsewhere = (Arc<Pool>, Vec<usize>);

/// The positions of the items that the pool of the caller takes, and of those that others do.
fn by_pool(disks: impl ExactSizeIterator<Item = Option<Disk>>) -> (Vec<usize>, Vec<Elsewhere>) {
    let Some(fleet) = OWN.with_borrow(Weak::upgrade) else { return ((0..disks.len()).collect(), Vec::new()) };
    let (mut here, mut elsewhere) = (Vec::new(), Vec::<Elsewhere>::new());
    for (at, disk) in disks.enumerate() {
        let pool = disk.and_then(|disk| fleet.pool_of(disk));
        match pool.filter(|pool| pool.threads.current_thread_index().is_none()) {
            None => here.push(at),
            Some(pool) => match elsewhere.iter_mut().find(|(other, _)| Arc::ptr_eq(other, &pool)) {
                Some((_, positions)) => positions.push(at),
                None => elsewhere.push((pool, vec![at])),
            },
        }
    }
    (here, elsewhere)
}

/// The others begin, and then the caller; while it waits for them its thread takes other work of its own pool, so that no pool ever
/// waits for another that waits for it.
fn side_by_side(elsewhere: &[Elsewhere], here: &[usize], run: &(dyn Fn(&[usize]) + Sync)) {
    match elsewhere {
        [] => run(here),
        [(pool, positions), others @ ..] => pool.threads.in_place_scope(|scope| {
            scope.spawn(|_| run(positions));
            side_by_side(others, here, run);
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;
    use std::sync::{Barrier, mpsc};
    use std::time::Duration;

    /// Work in the first pool of a fleet of so many threads a pool; `None` where it does not end.
    fn within<T: Send + 'static>(threads: Threads, work: impl FnOnce() -> T + Send + 'static) -> Option<(T, usize)> {
        let (done, waiting) = mpsc::channel();
        std::thread::spawn(move || {
            let (fleet, pool) = Fleet::start(threads).unwrap();
            let result = pool.threads.install(work);
            let _ = done.send((result, fleet.started.load(Relaxed)));
        });
        waiting.recv_timeout(Duration::from_secs(60)).ok()
    }

    /// So many threads a pool, and one more where they wait for a disk.
    fn few(first: usize) -> Threads {
        let [first, most] = [first, first + 1].map(|threads| std::num::NonZeroUsize::new(threads).unwrap());
        Threads { first, most, for_all_disks: false }
    }

    const DISKS: [Option<Disk>; 5] = [Some(Disk(1)), Some(Disk(2)), None, Some(Disk(1)), Some(Disk(3))];

    #[test]
    fn each_disk_is_worked_on_by_a_pool_of_its_own_at_the_same_time() {
        let work = || {
            let three = Barrier::new(3);
            for _ in 0..2 {
                let done = on_disks(
                    &DISKS,
                    |disk| *disk,
                    |at, disk| {
                        // One thread a disk: this ends only where three pools work at once.
                        if at == 0 || at == 1 || at == 4 {
                            three.wait();
                        }
                        (at, *disk, std::thread::current().id())
                    },
                );
                let threads: Vec<_> = done.iter().map(|(.., thread)| *thread).collect();
                assert!(done.iter().enumerate().all(|(at, (position, disk, _))| at == *position && DISKS[at] == *disk));
                assert_eq!(threads[0], threads[3]);
                assert!(threads[0] != threads[1] && threads[1] != threads[4] && threads[0] != threads[4]);
            }
        };
        let (_, pools) = within(few(1), work).expect("it hangs");
        assert_eq!(pools, 3, "the second call finds the pools of the first");
    }

    #[test]
    fn pools_that_wait_for_each_other_go_on() {
        let work = || {
            let outer = on_disks(
                &DISKS,
                |disk| *disk,
                |_, _| {
                    on_disks(&DISKS, |disk| *disk, |_, _| (0..1000_u64).into_par_iter().sum::<u64>())
                        .iter()
                        .sum::<u64>()
                },
            );
            outer.iter().sum::<u64>()
        };
        for asked in [1, 2] {
            assert_eq!(within(few(asked), work).expect("it hangs").0, 25 * 499_500);
        }
    }

    #[test]
    fn a_panic_on_another_disk_goes_on_to_the_caller() {
        let work = || {
            let panics = || on_disks(&DISKS, |disk| *disk, |at, _| assert_ne!(at, 4, "on purpose"));
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err()
        };
        assert!(within(few(1), work).expect("it hangs").0);
    }

    #[test]
    fn outside_of_a_fleet_all_disks_share_the_callers_threads() {
        let done = on_disks(&DISKS, |disk| *disk, |at, _| at);
        assert_eq!(done, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn reads_in_flight_are_bounded_over_all_disks() {
        assert_eq!([0, 1, 2, 4, 16, 100].map(share), [128, 128, 64, 32, 8, 8]);
    }
}
