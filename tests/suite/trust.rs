//! Where recorded digests are trusted, and where they must not be: another root, and a run in which one proved wrong.

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use twintree::exclude::{RootRules, Rules};
use twintree::manifest::{HashError, Identity, Manifest, RootSpec};
use twintree::model::{CacheMode, DigestAlgorithm, DirectoryType, Name, RootId};
use twintree::scan::{Context, DigestCache, Engine, Expected, ReadMode, file_evidence};

use crate::support::records::give_a_wrong_digest;
use crate::support::trees::leased_directory;

/// Longer than a file must lie unchanged before its digest is recorded.
const SETTLED: Duration = Duration::from_millis(2200);

const DAY: Duration = Duration::from_secs(24 * 3600);

fn cache(home: &Path, mode: CacheMode) -> Arc<DigestCache> {
    Arc::new(DigestCache::open(&home.join("state"), mode, DAY).unwrap())
}

/// Walks and hashes the roots data/0 and commitlog/0 of a directory; `finished` is called for each directory that is hashed.
fn hash(home: &Path, cache: &Arc<DigestCache>, finished: impl Fn() + Sync) -> (Result<(), HashError>, Context) {
    let context = Context::of(&Arc::new(Engine::new(ReadMode::PageCache, None, Some(Arc::clone(cache)))));
    let root = |directory_type, name: &str| RootSpec {
        id: RootId::new(directory_type, 0),
        home: home.join(name),
        rules: RootRules::none(),
    };
    let roots = [root(DirectoryType::Data, "data"), root(DirectoryType::Commitlog, "commitlog")];
    let identity = Identity::new("host".to_owned(), "instance".to_owned(), 7, &Rules::none());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let hashed = pool.install(|| {
        Manifest::walk(identity, &roots, &context).unwrap().hash_contents(&context, &|_, _, _, _| finished())
    });
    (hashed, context)
}

/// A commit log is written through memory maps, which its times do not tell. One of its files has a name among the data, too.
#[test]
fn what_is_trusted_in_one_root_is_read_in_a_root_where_nothing_is_trusted() {
    let Some(home) = leased_directory() else { return };
    for root in ["data", "commitlog"] {
        fs::create_dir(home.path().join(root)).unwrap();
    }
    fs::write(home.path().join("data/file"), b"bytes").unwrap();
    fs::hard_link(home.path().join("data/file"), home.path().join("data/again")).unwrap();
    fs::hard_link(home.path().join("data/file"), home.path().join("commitlog/log")).unwrap();
    std::thread::sleep(SETTLED);
    let cache = cache(home.path(), CacheMode::Trust);
    for (opened, trusted, linked) in [(1, 0, 2), (1, 2, 0)] {
        let (hashed, context) = hash(home.path(), &cache, || ());
        hashed.unwrap();
        let from = context.progress.provenance();
        assert_eq!((from.trusted_files, from.linked_files), (trusted, linked));
        assert_eq!(context.progress.snapshot().files_opened, opened);
    }
}

/// Another verification reads `known` while this one is under way, and finds that its recorded digest is wrong.
#[test]
fn a_run_that_trusted_records_is_void_once_one_of_them_proved_wrong() {
    let Some(home) = leased_directory() else { return };
    for table in ["a", "b"] {
        fs::create_dir_all(home.path().join("data").join(table)).unwrap();
    }
    fs::write(home.path().join("data/a/trusted"), b"bytes").unwrap();
    fs::write(home.path().join("data/b/wrong"), b"other").unwrap();
    std::thread::sleep(SETTLED);
    for mode in [CacheMode::Trust, CacheMode::Record] {
        hash(home.path(), &cache(home.path(), mode), || ()).0.unwrap();
        let database = redb::Database::open(home.path().join("state/digests.redb")).unwrap();
        let inode = fs::metadata(home.path().join("data/b/wrong")).unwrap().ino();
        give_a_wrong_digest(&database, |recorded| recorded == inode);
        drop(database);

        let cache = cache(home.path(), mode);
        let finished = AtomicU64::new(0);
        let (hashed, context) = hash(home.path(), &cache, || {
            if finished.fetch_add(1, SeqCst) == 0 {
                read_as_evidence(&home.path().join("data/b"), "wrong", &cache);
            }
        });
        assert_eq!(cache.discredits(), 1);
        // One that only records read everything itself.
        match mode {
            CacheMode::Trust => assert_eq!(hashed, Err(HashError::RecordsDropped)),
            _ => assert_eq!((hashed, context.progress.provenance().trusted_files), (Ok(()), 0)),
        }
    }
}

fn read_as_evidence(directory: &Path, name: &str, cache: &DigestCache) {
    let metadata = fs::metadata(directory.join(name)).unwrap();
    let modified_ms = metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000;
    let expected = Expected { size: metadata.len(), modified_ms, look: None };
    let (open, name, view) = (File::open(directory).unwrap(), Name::new(name.as_bytes()).unwrap(), cache.view());
    file_evidence(open.as_fd(), &name, expected, DigestAlgorithm::Md5, view.as_ref(), &Context::default()).unwrap();
}
