//! Small files read several at a time: in which order, how many, and what becomes of those that change or are given up.

use super::*;
use crate::scan::steady::between_looks;
use std::cell::RefCell;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// So many files of a few hundred bytes, each with bytes of its own, of which the page cache holds nothing; `None` where it cannot be
/// emptied.
fn cold_files(count: usize) -> Option<(tempfile::TempDir, Vec<PathBuf>)> {
    let dir = tempfile::tempdir_in("target").or_else(|_| tempfile::tempdir()).unwrap();
    let paths: Vec<PathBuf> = (0..count).map(|number| dir.path().join(number.to_string())).collect();
    for (number, path) in paths.iter().enumerate() {
        let mut file = File::create(path).unwrap();
        file.write_all(&bytes_of(number)).unwrap();
        file.sync_all().unwrap();
        drop_fetched(&file);
    }
    let waits = |path: &PathBuf| matches!(begin(path, &look(path), None, &Context::default()), Begun::Pending(_));
    if cfg!(target_os = "linux") && waits(&paths[0]) {
        return Some((dir, paths));
    }
    crate::material::missing("cold-cache", "the build lies where nothing has to be waited for");
    None
}

fn bytes_of(number: usize) -> Vec<u8> {
    vec![(number % 251) as u8; 100 + number]
}

fn look(path: &Path) -> FileIdentity {
    FileIdentity::of(&rustix::fs::stat(path).unwrap())
}

type Outcome = Result<(blake3::Hash, FileIdentity), ReadError>;

/// Hashes the file at this path, as the walk saw it.
fn begin(path: &Path, seen: &FileIdentity, held: Option<Prefetched>, context: &Context) -> Begun<Outcome> {
    let open = || File::open(path);
    let read = |file: &File, size, pace| {
        let digests = crate::scan::read::hash_small_file(file, size, pace, context)?;
        Ok(blake3::Hash::from(digests.blake3.0))
    };
    let fits = |identity: &FileIdentity| identity.size() == seen.size();
    let otherwise = || between_looks(fits, context, open, |file, size| read(file, size, Pace::Waiting));
    small_file((seen.size(), seen.look()), held, context, open, read, otherwise)
}

fn done(begun: Begun<Outcome>) -> Outcome {
    match begun {
        Begun::Done(outcome) => outcome,
        Begun::Pending(_) => panic!("it is left pending once more"),
    }
}

#[test]
fn files_are_begun_before_the_first_is_waited_for() {
    let Some((_dir, paths)) = cold_files(40) else { return };
    let (order, context) = (RefCell::new(Vec::new()), Context::default());
    let read = |at: usize, held: Option<Prefetched>| {
        order.borrow_mut().push((at, held.is_some()));
        Ok::<_, ()>(begin(&paths[at], &look(&paths[at]), held, &context))
    };
    for (number, outcome) in read_job(0..paths.len(), &context, read).unwrap() {
        assert_eq!(outcome.unwrap().0, blake3::hash(&bytes_of(number)), "file {number}");
    }
    let order = order.into_inner();
    let begun = order.iter().position(|(_, held)| *held).unwrap();
    let waited = order.iter().filter(|(_, held)| *held).count();
    assert!(begun == 40 && waited >= 20, "{order:?}");
    assert_eq!(context.progress.provenance().reads_in_flight, waited as u64);
    assert_eq!(context.engine().places().taken(), 0);
    let cold_again = paths
        .iter()
        .filter(|path| matches!(begin(path, &look(path), None, &Context::default()), Begun::Pending(_)))
        .count();
    assert!(cold_again >= waited * 9 / 10, "the page cache holds {} of {waited} files now", waited - cold_again);
}

/// It is not the file that the walk saw, and its bytes pass for nobody else's.
#[test]
fn a_file_that_changes_while_it_is_pending_is_read_again() {
    let other = vec![0xff; 100];
    let changes: [&dyn Fn(&Path); 2] = [&|path| std::fs::write(path, &other).unwrap(), &|path| {
        let beside = path.with_extension("beside");
        std::fs::write(&beside, &other).unwrap();
        std::fs::rename(beside, path).unwrap();
    }];
    for change in changes {
        let Some((_dir, paths)) = cold_files(1) else { return };
        let seen = look(&paths[0]);
        drop_fetched(&File::open(&paths[0]).unwrap());
        let context = Context::default();
        let Begun::Pending(held) = begin(&paths[0], &seen, None, &context) else { continue };
        // Or the change would have the time of the walk's look.
        std::thread::sleep(std::time::Duration::from_millis(20));
        change(&paths[0]);
        let (digest, identity) = done(begin(&paths[0], &seen, Some(held), &context)).unwrap();
        assert_eq!((digest, identity), (blake3::hash(&other), look(&paths[0])));
    }
}

#[test]
fn what_is_given_up_is_no_longer_held() {
    let Some((_dir, paths)) = cold_files(8) else { return };
    let context = Context::default();
    let read = |at: usize, _: Option<Prefetched>| match at {
        7 => Err("stopped"),
        _ => Ok(begin(&paths[at], &look(&paths[at]), None, &context)),
    };
    assert_eq!(read_job(0..paths.len(), &context, read).err(), Some("stopped"));
    assert_eq!(context.engine().places().taken(), 0);
}

/// A process that may open no more files waits for each.
#[test]
fn no_more_files_are_held_than_may_be() {
    let Some((_dir, paths)) = cold_files(1) else { return };
    let seen = look(&paths[0]);
    drop_fetched(&File::open(&paths[0]).unwrap());
    let context = Context::default();
    let places = context.engine().places();
    while places.take() {}
    let most = places.taken();
    let (digest, _) = done(begin(&paths[0], &seen, None, &context)).unwrap();
    assert_eq!((digest, places.taken()), (blake3::hash(&bytes_of(0)), most));
}

/// Small neighbours go together, up to a number and a sum of bytes; whatever is large, or may not wait, has a job of its own.
#[test]
fn jobs_are_runs_of_small_files_and_single_others() {
    let context = Context::default();
    let of = |sizes: &[u64]| jobs(sizes.iter().copied(), false, &context);
    let large = SMALL_BYTES + 1;
    assert!(of(&[]).is_empty());
    assert_eq!(of(&[5, 5, large, 5, 5, 5, 0, 5]), [0..2, 2..3, 3..6, 6..7, 7..8]);
    assert_eq!(of(&[large, large]), [0..1, 1..2]);
    assert_eq!(of(&[1; 70]), [0..32, 32..64, 64..70]);
    assert_eq!(of(&[SMALL_BYTES; 20]), [0..8, 8..16, 16..20]);
    assert_eq!(jobs([5, 5].into_iter(), true, &context), [0..1, 1..2]);
}

#[test]
fn only_small_files_that_nothing_holds_back_are_read_together() {
    use crate::scan::{Engine, ReadLimit};
    use std::sync::Arc;
    let context = Context::default();
    let small = [0, 1, SMALL_BYTES, SMALL_BYTES + 1].map(|size| is_small(size, &context));
    assert_eq!(small, [false, true, true, false]);
    let limit = ReadLimit::new(std::num::NonZeroU64::new(1 << 30).unwrap());
    for engine in [Engine::new(ReadMode::Direct, None, None), Engine::new(ReadMode::PageCache, Some(limit), None)] {
        assert!(!is_small(1, &Context::of(&Arc::new(engine))));
    }
}
