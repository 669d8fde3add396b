//! The threads that read: as many as the cores where the page cache feeds them, and more where they wait for a disk.
//!
//! Each thread reads, hashes and reads again, so that there are as many reads in flight as threads; of small files it has up to 32
//! fetched at a time ([`super::prefetch`]), and then reads them one by one. Which number is best depends on
//! the disk and on who else uses it, and so it is found while reading ([`depth`]), for each disk apart ([`fleet`]).

mod crew;
mod depth;
mod disk;
mod fleet;
mod media;
mod order;
mod pool;
mod threads;

use std::sync::Arc;

use rayon::ThreadPoolBuildError;

pub(super) use crew::{count_media, in_flight, turn};
use fleet::Fleet;
pub use fleet::on_each_disk;
pub use order::in_order;
use pool::Pool;
pub use threads::Threads;

/// Rayon pools whose threads read files: one, and where [`on_each_disk`] comes across further disks one for each. While they wait for
/// a disk more of its threads are woken, as long as that brings more.
#[derive(Debug)]
pub struct Readers {
    pool: Arc<Pool>,
    /// `None` where the number of threads was asked for: it holds for all disks together.
    _fleet: Option<Arc<Fleet>>,
}

impl Readers {
    /// Starts the threads. Fails where the system has none left.
    pub fn start(threads: Threads) -> Result<Self, ThreadPoolBuildError> {
        if threads.for_all_disks {
            let pool = Pool::start(threads, || (), || usize::MAX)?;
            return Ok(Self { pool: Arc::new(pool), _fleet: None });
        }
        let (fleet, pool) = Fleet::start(threads)?;
        Ok(Self { pool, _fleet: Some(fleet) })
    }

    /// Runs the work in the pool and waits for it. Its parallel jobs may open, list and read files.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.threads.install(work)
    }
}

#[cfg(test)]
mod tests {
    use super::threads::{MOST_READS, cores};
    use super::*;
    use crate::model::Name;
    use crate::scan::context::Context;
    use crate::scan::steady::{Expected, hash_identified, look_at};
    use rayon::prelude::*;
    use std::num::NonZeroUsize;
    use std::os::fd::AsFd as _;
    use std::time::Duration;

    #[test]
    #[cfg(target_os = "linux")]
    fn threads_beyond_the_cores_give_way_to_all_others() {
        let readers = Readers::start(Threads::choose(None, 2)).unwrap();
        readers.pool.crew.allow(MOST_READS);
        let own = rustix::process::getpriority_process(None).unwrap();
        let priorities = readers.pool.threads.broadcast(|_| rustix::process::getpriority_process(None).unwrap());
        let first = cores().get().min(2);
        assert!(priorities.iter().filter(|priority| **priority == own).count() >= first, "{priorities:?}");
        let behind = priorities.iter().filter(|priority| **priority == (own + 5).min(19)).count();
        assert!(behind >= MOST_READS - first, "{priorities:?}");
    }

    #[test]
    fn work_is_done_whoever_is_awake() {
        for threads in [Threads::ONE, Threads::choose(None, 1), Threads::choose(None, 20)] {
            let readers = Readers::start(threads).unwrap();
            for _ in 0..3 {
                assert_eq!(readers.run(|| (0..100_000_u64).into_par_iter().sum::<u64>()), 4_999_950_000);
            }
        }
    }

    /// Pieces of a large file are hashed by whoever is free, and whoever waits for a piece takes other files meanwhile.
    #[test]
    fn who_reads_in_turns_waits_for_nobody_who_waits_for_a_turn() {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<Name> = (0..12).map(|number| Name::new(format!("{number}").as_bytes()).unwrap()).collect();
        for name in &names {
            std::fs::write(dir.path().join(name.to_string()), vec![7; 9 << 20]).unwrap();
        }
        let (done, waiting) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let four = NonZeroUsize::new(4);
            let readers = Readers::start(Threads::choose(four, 4)).unwrap();
            readers.pool.crew.allow(1);
            let open = std::fs::File::open(dir.path()).unwrap();
            let read = |name: &Name| {
                let look = look_at(open.as_fd(), name).unwrap();
                let expected = Expected { size: look.size(), modified_ms: look.modified_ms().unwrap(), look: None };
                hash_identified(open.as_fd(), name, expected, &[], &Context::default()).unwrap().0.blake3
            };
            let digests: Vec<_> = readers.run(|| names.par_iter().with_max_len(1).map(read).collect());
            let _ = done.send(digests);
        });
        let digests = waiting.recv_timeout(Duration::from_secs(60)).expect("it hangs");
        assert_eq!(digests, vec![blake3::hash(&vec![7; 9 << 20]).into(); 12]);
    }

    #[test]
    fn what_is_read_from_a_disk_is_counted_for_the_pool_that_reads_it() {
        let dir = tempfile::tempdir_in("target").or_else(|_| tempfile::tempdir()).unwrap();
        let path = dir.path().join("f");
        // Bytes that no file system makes fewer.
        let mut bytes = vec![0; 9 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        std::fs::write(&path, &bytes).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        file.sync_all().unwrap();
        let empty = || rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        empty();
        let read = || std::fs::read(&path).map(|_| super::media::thread_media_bytes()).unwrap();
        if std::thread::scope(|scope| scope.spawn(read).join().unwrap()) < 9 << 20 {
            return crate::material::missing("cold-cache", "the system does not count what is read here");
        }
        empty();
        let [reading, idle] = [(); 2].map(|()| Readers::start(Threads::choose(None, 1)).unwrap());
        let context = Context::default();
        reading.run(|| {
            let (open, name) = (std::fs::File::open(dir.path()).unwrap(), Name::new(b"f").unwrap());
            let look = look_at(open.as_fd(), &name).unwrap();
            let expected = Expected { size: look.size(), modified_ms: look.modified_ms().unwrap(), look: None };
            hash_identified(open.as_fd(), &name, expected, &[], &context).unwrap();
        });
        let media = context.progress.provenance().media_bytes;
        if media < 9 << 20 {
            return crate::material::missing(
                "cold-cache",
                "the build lies in memory, or the cache could not be emptied",
            );
        }
        assert!(reading.pool.crew.media_bytes() >= media);
        assert_eq!(idle.pool.crew.media_bytes(), 0);
    }

    #[test]
    fn a_panic_goes_on_to_the_caller() {
        let readers = Readers::start(Threads::choose(None, 2)).unwrap();
        let run = std::panic::AssertUnwindSafe(|| readers.run(|| -> u32 { panic!("on purpose") }));
        assert!(std::panic::catch_unwind(run).is_err());
        assert_eq!(readers.run(|| 7), 7);
    }
}
