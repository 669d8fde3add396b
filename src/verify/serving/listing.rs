//! The listing a source or destination gives to a client of the per-file protocol.
//!
//! The walk comes first and is held compactly, since only a whole walk can be answered with 200; the JSON is made piece
//! by piece while it is sent.

use bytes::Bytes;

use crate::manifest::RootSpec;
use crate::model::{EntryKind, FileUrl, Listed, Problem, RootId};
use crate::protocol::{ListingEntry, UnlistedEntry};
use crate::scan::{Context, WalkedDirectory, WalkedRoot, walk_root};
use crate::verify::blocking::{Threads, in_pool};
use crate::verify::error::ServeError;

/// About how many bytes of JSON are made at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Walks the roots for a listing. Dropping the future stops the walk.
///
/// A link that leads nowhere is left out, and told apart from the files; a directory that cannot be listed fails it all,
/// for a client would take what is missing for absent.
pub async fn listing(roots: Vec<RootSpec>, threads: Threads) -> Result<Listing, ServeError> {
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
    Ok(Listing { roots: walked })
}

/// What a walk found, to be written as the body of a listing.
#[derive(Debug)]
pub struct Listing {
    roots: Vec<(RootId, Vec<WalkedDirectory>)>,
}

impl Listing {
    /// The body, piece by piece.
    pub fn into_body(self) -> impl Iterator<Item = Bytes> + Send {
        let mut writer = Writer::default();
        let mut directories = self
            .roots
            .into_iter()
            .flat_map(|(root, directories)| directories.into_iter().map(move |directory| (root, directory)));
        let mut ended = false;
        std::iter::from_fn(move || {
            while writer.text.len() < CHUNK_BYTES && !ended {
                match directories.next() {
                    Some((root, directory)) => writer.directory(root, &directory),
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
    fn directory(&mut self, root: RootId, directory: &WalkedDirectory) {
        if !directory.path.is_root() {
            self.entry(&ListingEntry {
                file_url: FileUrl::new(root, directory.path.clone()).text(),
                size: ListingEntry::DIRECTORY_SIZE,
                file_type: EntryKind::Directory,
                last_modified_time: directory.modified_ms,
            });
        }
        for file in &directory.files {
            // The walk refuses paths that are too long.
            let Ok(path) = directory.path.join(&file.name) else { continue };
            let file_url = FileUrl::new(root, path).text();
            match &file.listed {
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
