//! The listing a source or destination gives to a client of the per-file protocol.
//!
//! The walk comes first and is held compactly, since only a whole walk can be answered with 200; the JSON is made piece
//! by piece while it is sent.

use bytes::Bytes;

use super::error::ServeError;
use crate::manifest::RootSpec;
use crate::model::{EntryKind, FileUrl, Listed, Problem, RootId};
use crate::protocol::{ListingEntry, UnlistedEntry};
use crate::scan::{Context, WalkedDirectory, WalkedRoot, walk_root};
use crate::work::{Threads, in_pool};

/// About how many bytes of JSON are made at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Walks the roots for a listing. Dropping the future stops the walk.
///
/// The roots in `listed` stand in it as entries of their own. A link that leads nowhere is left out, and told apart from the files; a directory that cannot be listed fails it all,
/// for a client would take what is missing for absent.
pub async fn listing(roots: Vec<RootSpec>, listed: &[RootId], threads: Threads) -> Result<Listing, ServeError> {
    let context = Context::default();
    let _stop = context.cancel.clone().on_drop();
    let walked = in_pool(threads, move || {
        let walk = |spec: &RootSpec| match walk_root(&spec.home, &spec.rules, &context) {
            Ok(WalkedRoot::Present { directories, .. }) => Ok((spec.id, directories)),
            Ok(WalkedRoot::Absent) => Ok((spec.id, Vec::new())),
            Err(_) => Err(ServeError::Cancelled),
        };
        roots.iter().map(walk).collect::<Result<Vec<_>, _>>()
    });
    let walked = walked.await.map_err(|died| ServeError::Internal(died.to_string()))??;
    for (root, directory) in walked.iter().flat_map(|(id, all)| all.iter().map(move |directory| (id, directory))) {
        if let Some(problem) = &directory.unlisted {
            let entry = FileUrl::new(*root, directory.path.clone());
            return Err(ServeError::Unlistable { entry, problem: problem.clone() });
        }
    }
    Ok(Listing { roots: walked, listed: listed.to_vec() })
}

/// What a walk found, to be written as the body of a listing.
#[derive(Debug)]
pub struct Listing {
    roots: Vec<(RootId, Vec<WalkedDirectory>)>,
    listed: Vec<RootId>,
}

impl Listing {
    /// The body, piece by piece; a piece is little longer than 64 KiB, however many files a directory has.
    pub fn into_body(self) -> impl Iterator<Item = Bytes> + Send {
        let mut writer = Writer::default();
        let mut entries = self.roots.into_iter().flat_map(move |(root, directories)| {
            let lists_itself = self.listed.contains(&root);
            directories.into_iter().flat_map(move |WalkedDirectory { path, modified_ms, files, .. }| {
                let files = files.into_iter().filter_map({
                    let path = path.clone();
                    // The walk refuses paths that are too long.
                    move |file| path.join(&file.name).ok().map(|path| (path, Some(file.listed)))
                });
                let itself = (lists_itself || !path.is_root()).then_some((path, None));
                itself.into_iter().chain(files).map(move |(path, file)| (FileUrl::new(root, path), file, modified_ms))
            })
        });
        let mut ended = false;
        std::iter::from_fn(move || {
            while writer.text.len() < CHUNK_BYTES && !ended {
                match entries.next() {
                    Some((url, Some(listed), _)) => writer.file(&url, &listed),
                    Some((url, None, modified_ms)) => writer.directory(&url, modified_ms),
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

#[derive(Default)]
struct Writer {
    text: Vec<u8>,
    entries: u64,
    /// The sum of the files' sizes.
    total: i64,
    unlisted: Vec<UnlistedEntry>,
}

impl Writer {
    fn directory(&mut self, url: &FileUrl, last_modified_time: i64) {
        let (file_url, size, file_type) = (url.text(), ListingEntry::DIRECTORY_SIZE, EntryKind::Directory);
        self.entry(&ListingEntry { file_url, size, file_type, last_modified_time });
    }

    fn file(&mut self, url: &FileUrl, listed: &Listed) {
        let file_url = url.text();
        match listed {
            Listed::File { size, modified_ms, .. } => {
                let size = i64::try_from(*size).unwrap_or(i64::MAX);
                self.total = self.total.saturating_add(size);
                let (file_type, last_modified_time) = (EntryKind::File, *modified_ms);
                self.entry(&ListingEntry { file_url, size, file_type, last_modified_time });
            }
            Listed::Unlistable(Problem { reason, detail }) => {
                self.unlisted.push(UnlistedEntry { file_url, reason: *reason, detail: detail.clone() });
            }
        }
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

    #[tokio::test]
    async fn nothing_is_listed_as_nothing() {
        let listing = listing(Vec::new(), &[], Threads::choose(None, 1)).await.unwrap();
        assert_eq!(listing.into_body().collect::<Vec<_>>().concat(), br#"{"files":[],"totalSize":0}"#);
    }
}
