//! The listing a source or destination gives to a client of the per-file protocol.
//!
//! The walk comes first and is held compactly, since only a whole walk can be answered with 200; the JSON is made piece
//! by piece while it is sent.

use bytes::Bytes;

use super::error::ServeError;
use crate::manifest::RootSpec;
use crate::model::{EntryKind, FileUrl, Listed, Problem, Reason, RootId};
use crate::protocol::{ListingEntry, UnlistedEntry};
use crate::scan::{Context, DirectoryLook, Threads, WalkedDirectory, WalkedRoot, walk_roots};
use crate::work::in_readers;

/// About how many bytes of JSON are made at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Walks the roots for a listing. Dropping the future stops the walk.
///
/// The roots in `listed` stand in it as entries of their own. A link that leads nowhere is left out, and told apart from the files, as are
/// directories that change all the while: clients copy from a running source. A directory that cannot be listed fails it all, for a
/// client would take what is missing for absent.
pub async fn listing(roots: Vec<RootSpec>, listed: &[RootId], threads: Threads) -> Result<Listing, ServeError> {
    let context = Context::default();
    let _stop = context.cancel.clone().on_drop();
    let walked = in_readers(threads, move || {
        let homes: Vec<_> = roots.iter().map(|spec| (spec.home.as_path(), &spec.rules)).collect();
        let walked = walk_roots(&homes, &context).map_err(|_| ServeError::Cancelled)?;
        let directories = walked.roots.into_iter().map(|root| match root {
            WalkedRoot::Present { directories, .. } => directories,
            WalkedRoot::Absent => Vec::new(),
        });
        Ok(roots.iter().map(|spec| spec.id).zip(directories).collect::<Vec<_>>())
    });
    let walked = walked.await.map_err(|died| ServeError::Internal(died.to_string()))??;
    for (root, directory) in walked.iter().flat_map(|(id, all)| all.iter().map(move |directory| (id, directory))) {
        if let Some(problem) = directory.unlisted.as_ref().filter(|problem| problem.reason != Reason::Vanished) {
            let entry = FileUrl::new(*root, directory.path.clone());
            return Err(ServeError::Unlistable { entry, problem: problem.clone() });
        }
    }
    let total = total_size(walked.iter().flat_map(|(_, directories)| directories)).ok_or(ServeError::TooLarge)?;
    Ok(Listing { roots: walked, listed: listed.to_vec(), total })
}

/// The sum of all sizes; `None` where the protocol's signed 64 bits do not hold it.
fn total_size<'a>(mut directories: impl Iterator<Item = &'a WalkedDirectory>) -> Option<i64> {
    directories.try_fold(0_i64, |sum, directory| {
        directory.files.iter().try_fold(sum, |sum, file| sum.checked_add(i64::try_from(file.size()).ok()?))
    })
}

/// What a walk found, to be written as the body of a listing.
#[derive(Debug)]
pub struct Listing {
    roots: Vec<(RootId, Vec<WalkedDirectory>)>,
    listed: Vec<RootId>,
    /// The sum of the files' sizes.
    total: i64,
}

impl Listing {
    /// The body, piece by piece; a piece is little longer than 64 KiB, however many files a directory has.
    pub fn into_body(self) -> impl Iterator<Item = Bytes> + Send {
        let mut writer = Writer { total: self.total, ..Writer::default() };
        let mut entries = self.roots.into_iter().flat_map(move |(root, directories)| {
            let lists_itself = self.listed.contains(&root);
            directories.into_iter().flat_map(
                move |WalkedDirectory { path, modified_ms, files, steady, unlisted, .. }| {
                    let files = files.into_iter().filter_map({
                        let path = path.clone();
                        // The walk refuses paths that are too long.
                        move |file| path.join(&file.name).ok().map(|path| (path, Entry::File(file.listed)))
                    });
                    let problem =
                        unlisted.or_else(|| changing(steady)).map(|problem| (path.clone(), Entry::Told(problem)));
                    let itself = (lists_itself || !path.is_root()).then_some((path, Entry::Directory(modified_ms)));
                    itself
                        .into_iter()
                        .chain(problem)
                        .chain(files)
                        .map(move |(path, entry)| (FileUrl::new(root, path), entry))
                },
            )
        });
        let mut ended = false;
        std::iter::from_fn(move || {
            while writer.text.len() < CHUNK_BYTES && !ended {
                match entries.next() {
                    Some((url, Entry::File(listed))) => writer.file(&url, &listed),
                    Some((url, Entry::Directory(modified_ms))) => writer.directory(&url, modified_ms),
                    Some((url, Entry::Told(problem))) => writer.told(&url, problem),
                    None => {
                        writer.end();
                        ended = true;
                    }
                }
            }
            (!writer.text.is_empty()).then(|| Bytes::from(std::mem::take(&mut writer.text)))
        })
    }
}

/// What stands in a listing of one path.
enum Entry {
    /// With its modification time.
    Directory(i64),
    File(Listed),
    /// The path could not be listed as it is, and why.
    Told(Problem),
}

/// Why a directory of which files are listed is not known to hold just these.
fn changing(steady: DirectoryLook) -> Option<Problem> {
    let changes = matches!(steady, DirectoryLook::Unsteady { .. });
    changes.then(|| Problem::new(Reason::ChangedWhileReading, "it changed each time it was listed"))
}

#[derive(Default)]
struct Writer {
    text: Vec<u8>,
    entries: u64,
    total: i64,
    unlisted: Vec<UnlistedEntry>,
}

impl Writer {
    fn directory(&mut self, url: &FileUrl, last_modified_time: i64) {
        let (file_url, size, file_type) = (url.text(), ListingEntry::DIRECTORY_SIZE, EntryKind::Directory);
        self.entry(&ListingEntry { file_url, size, file_type, last_modified_time });
    }

    fn file(&mut self, url: &FileUrl, listed: &Listed) {
        match listed {
            Listed::File { size, modified_ms, .. } => {
                let file_url = url.text();
                // It was part of the sum.
                let size = i64::try_from(*size).unwrap_or(i64::MAX);
                let (file_type, last_modified_time) = (EntryKind::File, *modified_ms);
                self.entry(&ListingEntry { file_url, size, file_type, last_modified_time });
            }
            Listed::Unlistable(problem) => self.told(url, problem.clone()),
        }
    }

    fn told(&mut self, url: &FileUrl, Problem { reason, detail }: Problem) {
        self.unlisted.push(UnlistedEntry { file_url: url.text(), reason, detail });
    }

    fn entry(&mut self, entry: &ListingEntry) {
        self.text.extend_from_slice(if self.entries == 0 { b"{\"files\":[" } else { b"," });
        self.entries += 1;
        self.value(entry);
    }

    fn end(&mut self) {
        if self.entries == 0 {
            self.text.extend_from_slice(b"{\"files\":[");
        }
        self.text.extend_from_slice(format!("],\"totalSize\":{}", self.total).as_bytes());
        let unlisted = std::mem::take(&mut self.unlisted);
        if !unlisted.is_empty() {
            self.text.extend_from_slice(b",\"unverified\":");
            self.value(&unlisted);
        }
        self.text.push(b'}');
    }

    /// Our own values always serialise, and a vector takes whatever is written.
    fn value(&mut self, value: &impl serde::Serialize) {
        let _ = serde_json::to_writer(&mut self.text, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exclude::RootRules;
    use crate::model::{Content, FileEntry, Name, RelPath};

    #[tokio::test]
    async fn a_directory_of_many_files_never_stands_as_one_text() {
        const FILES: usize = 5_000;
        let home = tempfile::tempdir().unwrap();
        for number in 0..FILES {
            std::fs::write(home.path().join(format!("{number:0100}")), "x").unwrap();
        }
        let root = RootSpec { id: RootId::DATA_0, home: home.path().to_owned(), rules: RootRules::none() };
        let listing = listing(vec![root], &[], Threads::choose(None, 1)).await.unwrap();
        let pieces: Vec<Bytes> = listing.into_body().collect();
        assert!(pieces.iter().all(|piece| piece.len() < CHUNK_BYTES + 1024), "{}", pieces.len());
        let body: crate::protocol::ListingBody = serde_json::from_slice(&pieces.concat()).unwrap();
        assert_eq!((body.files.len(), body.total_size), (FILES, FILES as i64));
    }

    /// Clients copy from a running source: what changed is named, and everything is listed.
    #[test]
    fn a_directory_that_changes_all_the_while_is_listed_and_named() {
        let at = |path: &str, steady, unlisted| WalkedDirectory {
            path: RelPath::new(path.as_bytes()).unwrap(),
            steady,
            unlisted,
            ..WalkedDirectory::empty_root()
        };
        let vanished = Some(Problem::new(Reason::Vanished, "gone"));
        let directories = vec![
            at("", DirectoryLook::UNSTEADY, None),
            at("changing", DirectoryLook::UNSTEADY, None),
            at("gone", DirectoryLook::None, vanished),
            at("still", DirectoryLook::None, None),
        ];
        let listing = Listing { roots: vec![(RootId::DATA_0, directories)], listed: Vec::new(), total: 0 };
        let pieces: Vec<Bytes> = listing.into_body().collect();
        let body: serde_json::Value = serde_json::from_slice(&pieces.concat()).unwrap();
        let texts = |list: &str, field: &str| -> Vec<String> {
            let entries = body[list].as_array().unwrap().iter();
            entries.map(|entry| entry[field].as_str().unwrap().replace("/api/v1/live-migration/files/", "")).collect()
        };
        assert_eq!(texts("files", "fileUrl"), ["data/0/changing", "data/0/gone", "data/0/still"]);
        assert_eq!(texts("unverified", "fileUrl"), ["data/0/", "data/0/changing", "data/0/gone"]);
        let changed = "changed-while-reading";
        assert_eq!(texts("unverified", "reason"), [changed, changed, "vanished"]);
    }

    /// A sum that is cut off at what 64 bits hold would be believed.
    #[test]
    fn sizes_whose_sum_is_beyond_64_bits_have_none() {
        let file = |name: &str, size| FileEntry {
            name: Name::new(name.as_bytes()).unwrap(),
            listed: Listed::File { size, modified_ms: 5, content: Content::NotRead },
        };
        let of = |sizes: &[u64]| WalkedDirectory {
            files: sizes.iter().zip(["a", "b"]).map(|(size, name)| file(name, *size)).collect(),
            ..WalkedDirectory::empty_root()
        };
        let most = i64::MAX as u64;
        assert_eq!(total_size([of(&[most - 7, 3]), of(&[4])].iter()), Some(i64::MAX));
        assert_eq!(total_size([of(&[most - 7, 3]), of(&[5])].iter()), None);
        assert_eq!(total_size([of(&[most, most])].iter()), None);
        assert_eq!(total_size([of(&[most + 1])].iter()), None);
    }

    #[tokio::test]
    async fn nothing_is_listed_as_nothing() {
        let listing = listing(Vec::new(), &[], Threads::choose(None, 1)).await.unwrap();
        assert_eq!(listing.into_body().collect::<Vec<_>>().concat(), br#"{"files":[],"totalSize":0}"#);
    }
}
