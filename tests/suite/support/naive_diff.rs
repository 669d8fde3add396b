//! The comparison with nothing clever in it: both trees walked with the standard library, every byte compared.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use twintree::manifest::Depth;
use twintree::model::{Counters, DifferenceKind};

/// What the naive comparison found.
#[derive(Debug, Default)]
pub struct Naive {
    pub counters: Counters,
    /// Path below the root and kind of every difference.
    pub differences: BTreeSet<(Vec<u8>, DifferenceKind)>,
    /// Directories holding files, at source and destination, in or below which something is not the same.
    pub to_open: [u64; 2],
}

/// Compares two trees; without `keep_going`, no content once any metadata differs.
pub fn naive_diff(source: &Path, destination: &Path, keep_going: bool) -> Naive {
    let compare = |depth| {
        let mut naive = Naive::default();
        naive.directories([Some(source), Some(destination)], Path::new(""), depth);
        naive
    };
    let metadata = compare(Depth::Metadata);
    let c = metadata.counters;
    let differing = c.files_not_found_at_source + c.files_not_found_at_destination + c.metadata_mismatches;
    if differing > 0 && !keep_going { metadata } else { compare(Depth::Content) }
}

/// What stands at a path: metadata as far as links can be followed, and whether there is something to enter.
struct Entry {
    path: PathBuf,
    metadata: Option<Metadata>,
    link: bool,
}

impl Entry {
    fn is_directory(&self) -> bool {
        self.metadata.as_ref().is_some_and(Metadata::is_dir)
    }

    /// The directory to walk into; behind a link nobody looks, so it has nothing in it.
    fn to_enter(&self) -> Option<&Path> {
        (self.is_directory() && !self.link).then_some(&*self.path)
    }
}

fn list(directory: Option<&Path>) -> BTreeMap<OsString, Entry> {
    let listing = directory.into_iter().flat_map(|directory| fs::read_dir(directory).unwrap());
    listing
        .map(|entry| {
            let (path, name) = {
                let entry = entry.unwrap();
                (entry.path(), entry.file_name())
            };
            let (metadata, link) = (fs::metadata(&path).ok(), path.is_symlink());
            (name, Entry { path, metadata, link })
        })
        .collect()
}

impl Naive {
    /// Compares what is in two directories, one of which may be missing, and everything below them.
    fn directories(&mut self, sides: [Option<&Path>; 2], below: &Path, depth: Depth) {
        let [left, right] = sides.map(list);
        let differences_before = self.differences.len();
        let names: BTreeSet<&OsString> = left.keys().chain(right.keys()).collect();
        for name in names {
            let both = [left.get(name), right.get(name)];
            let path = below.join(name);
            self.entry(both[0], both[1], path.as_os_str(), depth);
            let enter = both.map(|entry| entry.and_then(Entry::to_enter));
            if enter.iter().any(Option::is_some) {
                self.directories(enter, &path, depth);
            }
        }
        if self.differences.len() > differences_before {
            for (count, list) in self.to_open.iter_mut().zip([&left, &right]) {
                *count += u64::from(list.values().any(|entry| !entry.is_directory()));
            }
        }
    }

    fn entry(&mut self, source: Option<&Entry>, destination: Option<&Entry>, path: &OsStr, depth: Depth) {
        let c = &mut self.counters;
        let found = match (source, destination) {
            (None, _) => Some((&mut c.files_not_found_at_source, DifferenceKind::MissingAtSource)),
            (_, None) => Some((&mut c.files_not_found_at_destination, DifferenceKind::MissingAtDestination)),
            (Some(s), Some(d)) => match (&s.metadata, &d.metadata) {
                (None, _) | (_, None) => Some((&mut c.digest_verification_failures, DifferenceKind::Unverified)),
                (Some(a), Some(b)) => match metadata(a, b) {
                    Some(kind) => Some((&mut c.metadata_mismatches, kind)),
                    None => {
                        c.metadata_matched += 1;
                        match content(s, d) {
                            _ if a.is_dir() || depth == Depth::Metadata => None,
                            None => Some((&mut c.digest_verification_failures, DifferenceKind::Unverified)),
                            Some(false) => Some((&mut c.digest_mismatches, DifferenceKind::Content)),
                            Some(true) => {
                                c.files_matched += 1;
                                None
                            }
                        }
                    }
                },
            },
        };
        if let Some((counter, kind)) = found {
            *counter += 1;
            self.differences.insert((path.as_bytes().to_vec(), kind));
        }
    }
}

/// How two entries of known metadata differ in it.
fn metadata(a: &Metadata, b: &Metadata) -> Option<DifferenceKind> {
    let ms = |m: &Metadata| m.mtime() * 1000 + m.mtime_nsec() / 1_000_000;
    if a.is_dir() != b.is_dir() {
        return Some(DifferenceKind::Type);
    }
    if a.is_dir() {
        return None;
    }
    if a.len() != b.len() {
        return Some(DifferenceKind::Size);
    }
    (ms(a) != ms(b)).then_some(DifferenceKind::ModificationTime)
}

/// Whether two entries have the same bytes; `None` where there are none to read.
fn content(source: &Entry, destination: &Entry) -> Option<bool> {
    let read = |entry: &Entry| entry.metadata.as_ref()?.is_file().then(|| fs::read(&entry.path).unwrap());
    Some(read(source)? == read(destination)?)
}
